"""Decodes a body with the decoder that the registry names."""

from __future__ import annotations

import copy
from collections.abc import Callable
from typing import Any

import pytest

from stream.core.events import Envelope, Reading
from stream.sources import DECODERS

Read = Callable[..., list[Reading]]


@pytest.fixture(scope="session")
def read() -> Read:
    def read(
        source: str,
        body: dict[str, Any],
        *,
        account: str | None = None,
        endpoint: str | None = None,
        ordinal: int = 0,
    ) -> list[Reading]:
        envelope = Envelope(
            source=source,
            received_at="2026-03-02T10:00:56.120000Z",
            received_us=1_772_445_656_120_000,
            account=account,
            endpoint=endpoint,
            body=copy.deepcopy(body),
            ordinal=ordinal,
        )
        return DECODERS[source](envelope)

    return read
