"""What the live view reads, each time anew."""

from __future__ import annotations

import asyncio

from stream.archive.questions import AlertFilter, CallFilter
from stream.cli.query.alerts import read_conditions
from stream.cli.query.reader import CallReader
from stream.cli.watch.items import WatchedState

MOST_FAILURES = 200
MOST_CONDITIONS = 100


async def read_state(reader: CallReader, wanted: CallFilter) -> WatchedState:
    """Open conditions, and the newest calls that were not answered. Raises NoAnswerError."""
    firing = AlertFilter(state="firing", accounts=wanted.accounts)
    conditions, calls = await asyncio.gather(
        read_conditions(reader, firing, MOST_CONDITIONS), reader.calls(wanted, MOST_FAILURES)
    )
    return WatchedState(conditions, calls.items)
