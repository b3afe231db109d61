"""What the live view reads, each time anew."""

from __future__ import annotations

import asyncio

from msgspec.structs import replace

from stream.archive.questions import AlertFilter, CallFilter
from stream.cli.query.alerts import read_conditions
from stream.cli.query.filters import NOT_ANSWERED
from stream.cli.query.reader import CallReader
from stream.cli.watch.items import WatchedState
from stream.core.verdicts.table import FAULTS

MOST_FAILURES = 200
MOST_CONDITIONS = 100


def failures(wanted: CallFilter) -> CallFilter:
    """The calls to list: unless outcomes are asked for, those that were not answered.

    Legs that lost a simultaneous dial are left out: they have no verdict, and there may be many of them.
    """
    if wanted.outcome:
        return wanted
    return replace(wanted, outcome=NOT_ANSWERED, fault=wanted.fault or FAULTS)


async def read_state(reader: CallReader, wanted: CallFilter) -> WatchedState:
    """Open conditions, and the newest of the calls. Raises NoAnswerError."""
    firing = AlertFilter(state="firing", accounts=wanted.accounts)
    conditions, calls = await asyncio.gather(
        read_conditions(reader, firing, MOST_CONDITIONS), reader.calls(wanted, MOST_FAILURES)
    )
    return WatchedState(conditions, calls.items)
