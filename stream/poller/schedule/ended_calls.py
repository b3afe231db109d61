"""Twilio's calls that ended in a time, from landed rows of the Calls resource: a backfill asks about each.

The rule of this file: pure and lenient. A row that cannot be read names no call; it is the worker's business
to say so.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any, NamedTuple

from stream.core.events import DecodeError
from stream.core.insights_edges import edges_of
from stream.core.statuses import TERMINAL, status_of
from stream.core.timestamps import instant
from stream.kafka.envelope_codec import read_envelope
from stream.poller.schedule.planning import Span


class EndedCall(NamedTuple):
    """A call, and the edges at which it can have events of Voice Insights."""

    call_id: str
    edges: tuple[str | None, ...]


def ended_calls(envelopes: Iterable[bytes], span: Span) -> list[EndedCall]:
    """The calls among rows in their envelopes that ended in `span`, in their order.

    A call that never got far has no end: its start counts.
    """
    return [
        EndedCall(row["sid"], edges_of(_text(row, "direction"), _text(row, "from"), _text(row, "to")))
        for row in map(_row, envelopes)
        if isinstance(row.get("sid"), str) and _ended_in(row, span)
    ]


def _ended_in(row: dict[str, Any], span: Span) -> bool:
    if status_of(_text(row, "status")) not in TERMINAL:
        return False
    ended_us = instant(_text(row, "end_time") or _text(row, "start_time") or "")
    return ended_us is not None and span.since_us <= ended_us < span.until_us


def _row(envelope: bytes) -> dict[str, Any]:
    try:
        return read_envelope(envelope).body
    except DecodeError:
        return {}


def _text(row: dict[str, Any], field: str) -> str | None:
    value = row.get(field)
    return value if isinstance(value, str) else None
