"""Decodes one of Telnyx' webhooks."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest

from stream.core.events import Reading
from tests.sources.telnyx.bodies import record, webhook

Read = Callable[..., list[Reading]]
One = Callable[..., Reading]


@pytest.fixture
def read_webhook(read: Read) -> One:
    """Reads a webhook of an event type with some fields of its payload changed."""

    def one(event_type: Any = "call.hangup", **payload: Any) -> Reading:
        (reading,) = read("telnyx_webhook", webhook(record(event_type, **payload)), account="acme")
        return reading

    return one
