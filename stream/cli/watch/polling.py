"""What the live view reads, each time anew."""

from __future__ import annotations

import asyncio

from stream.archive.questions import AlertFilter, CallFilter
from stream.cli.query.reader import CallReader
from stream.cli.watch.items import WatchedState
from stream.core.alerting.scopes import CONDITIONS

MOST_FAILURES = 200
MOST_CONDITIONS = 50
"""Of each rule."""

CONDITION_RULES = tuple(dict.fromkeys(one.rule_id for each in CONDITIONS.values() for one in each))


async def read_state(reader: CallReader, wanted: CallFilter) -> WatchedState:
    """Open conditions, and the newest calls that were not answered. Raises NoAnswerError."""
    pages = await asyncio.gather(
        *(reader.alerts(AlertFilter(rule=rule, state="firing"), MOST_CONDITIONS) for rule in CONDITION_RULES)
    )
    calls = await reader.calls(wanted, MOST_FAILURES)
    return WatchedState([alert for page in pages for alert in page.items], calls.items)
