"""Decodes one of Twilio's status callbacks."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest

from stream.core.events import Reading
from tests.sources.twilio.bodies import callback

Read = Callable[..., list[Reading]]
One = Callable[..., Reading]


@pytest.fixture
def read_callback(read: Read) -> One:
    """Reads a status callback with some parameters changed."""

    def one(**changes: Any) -> Reading:
        (reading,) = read("twilio_status_callback", callback(**changes))
        return reading

    return one
