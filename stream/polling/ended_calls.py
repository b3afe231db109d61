"""Twilio's calls that ended in a time, from rows of the Calls resource: a backfill asks about each of them.

The rule of this file: pure and lenient. A row that cannot be read names no call; it is the landing's business
to say so.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any, NamedTuple

import orjson

from stream.core.instants import instant
from stream.core.schedule import edges_of
from stream.core.statuses import TERMINAL, status_of
from stream.polling.planning import Span


class EndedCall(NamedTuple):
    """A call, and the edges at which it can have events of Voice Insights."""

    call_id: str
    edges: tuple[str | None, ...]


def ended_calls(rows: Iterable[bytes], span: Span) -> list[EndedCall]:
    """The calls among `rows` that ended in `span`, in their order.

    A call that never got far has no end: its start counts.
    """
    return [
        EndedCall(row["sid"], edges_of(_text(row, "direction"), _text(row, "from"), _text(row, "to")))
        for row in map(_object, rows)
        if isinstance(row.get("sid"), str) and _ended_in(row, span)
    ]


def _ended_in(row: dict[str, Any], span: Span) -> bool:
    if status_of((_text(row, "status") or "").lower()) not in TERMINAL:
        return False
    ended_us = instant(_text(row, "end_time") or _text(row, "start_time") or "")
    return ended_us is not None and span.since_us <= ended_us < span.until_us


def _object(row: bytes) -> dict[str, Any]:
    try:
        found = orjson.loads(row)
    except orjson.JSONDecodeError:
        return {}
    return found if isinstance(found, dict) else {}


def _text(row: dict[str, Any], field: str) -> str | None:
    value = row.get(field)
    return value if isinstance(value, str) else None
