"""What is read next: the passes of a window, the slices of a backfill, and the calls of a slice.

Invariants: pure. Every moment of a time range is in a planned read, or is reported as lost. A repeated
backfill command continues the job or returns its result; the job starts over only if the command asks for
that, or if calls could not be read.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Sequence
from typing import Any, NamedTuple

import msgspec

from stream.core.events import DecodeError
from stream.core.insights_edges import edges_of
from stream.core.sources import SOURCE_BY_NAME
from stream.core.statuses import TERMINAL, status_of
from stream.core.timestamps import SECOND_US, instant, utc
from stream.kafka.envelope_codec import read_envelope
from stream.poller.resources import RESOURCES
from stream.poller.schedule.progress import BackfillJob

MAX_PAUSE_S = 600.0
MAX_PAUSE_INTERVALS = 10
"""A failing window is read again after at most this many intervals and at most MAX_PAUSE_S."""

SLICE_S = 3600.0
"""How much of a backfill is read between two saves: what is read again after a crash."""

READ_BY_CALL = frozenset(source for source, resource in RESOURCES.items() if resource.window_urls is None)
"""Sources without windows. A backfill lists the calls by window, and reads the source for each call."""


class Span(NamedTuple):
    """From `since_us` (included) to `until_us` (excluded)."""

    since_us: int
    until_us: int


# -- windows


def next_pass(
    watermark_us: int | None, now_us: int, lookback_s: float, max_lookback_s: float | None
) -> tuple[int, Span | None]:
    """Where the next pass after this watermark (None before the first one) starts, and the time that is lost.

    Passes overlap by `lookback_s`, for rows that appear late. None starts earlier than `max_lookback_s` ago,
    the limit of the provider (None: no limit): the time between the watermark and that limit is lost.
    """
    known_us = now_us if watermark_us is None else min(watermark_us, now_us)
    since_us = known_us - _us(lookback_s)
    if max_lookback_s is None:
        return since_us, None
    earliest_us = now_us - _us(max_lookback_s)
    lost = Span(known_us, earliest_us) if known_us < earliest_us else None
    return max(since_us, earliest_us), lost


def pause_s(interval_s: float, failures: int) -> float:
    """From the start of a pass to the start of the next one, after this many failures in a row."""
    max_s = max(interval_s, min(MAX_PAUSE_INTERVALS * interval_s, MAX_PAUSE_S))
    return float(min(interval_s * 2 ** min(failures, MAX_PAUSE_INTERVALS), max_s))


# -- backfills


class BackfillRefusedError(Exception):
    """The backfill cannot be started or cancelled. The text says why."""


def next_job(
    known: BackfillJob | None, wanted: BackfillJob, now_us: int, *, again: bool = False
) -> BackfillJob | None:
    """The job to save, or None if it is already running or done. `wanted` is the job as if new.

    Raises BackfillRefusedError.
    """
    if known is None:
        job = wanted
    elif again or (known.state == "failed" and known.unread):
        job = msgspec.structs.replace(wanted, asked=known.asked + 1)
    elif known.state in ("failed", "cancelled"):
        job = msgspec.structs.replace(
            wanted, asked=known.asked + 1, done_until=known.done_until, rows=known.rows, unread=known.unread
        )
    else:
        return None
    rest = Span(job.done_until_us, job.until_us)  # none if it was cancelled after the last slice
    if rest.since_us != rest.until_us and (reason := refusal(job.source, rest, now_us)) is not None:
        raise BackfillRefusedError(reason)
    return job


def cancelled(known: BackfillJob | None, now_us: int) -> BackfillJob:
    """The job in state `cancelled`. Raises BackfillRefusedError."""
    if known is None:
        raise BackfillRefusedError("the backfill does not exist")
    if known.finished:
        raise BackfillRefusedError(f"it is {known.state} already")
    over = {"state": "cancelled", "error": None, "failing_since": None, "updated_at": utc(now_us)}
    return msgspec.structs.replace(known, **over)


def next_slice(done_until_us: int, until_us: int, slice_s: float | None = SLICE_S) -> Span | None:
    """The next slice of a backfill, or None at its end. Without `slice_s` the whole remaining time."""
    if done_until_us >= until_us:
        return None
    end_us = until_us if slice_s is None else min(done_until_us + _us(slice_s), until_us)
    return Span(done_until_us, end_us)


def refusal(source: str, span: Span, now_us: int, tolerance_s: float = 0.0) -> str | None:
    """Why the span cannot be read, as a sentence for the user. None if it can.

    `tolerance_s`: for the time since the user's command, and for the clock of another machine.
    """
    if span.since_us >= span.until_us:
        return "the beginning must lie before the end"
    if span.until_us > now_us + _us(tolerance_s):
        return "the end lies in the future"
    max_lookback_s = RESOURCES[source].max_lookback_s if source in RESOURCES else None
    if max_lookback_s is None or span.since_us >= now_us - _us(tolerance_s) - _us(max_lookback_s):
        return None
    if source in READ_BY_CALL or source.startswith("twilio_"):
        return f"Twilio keeps {source} for 30 days only: begin later"
    return (
        f"Telnyx returns {source} by time for the last 24 hours only: begin later "
        "(older ones can be read by leg or session alone)"
    )


def ended_calls(envelopes: Iterable[bytes], span: Span, source: str) -> dict[str, Sequence[str]]:
    """The ids of the calls that ended in `span`, and the edges at which they can have Voice Insights events.

    `envelopes`: rows of Twilio's Calls; `source`: what is read of them. A source of failures is not read of
    answered calls, as after the end of a call. The start of a call without an end (it failed early) counts as
    its end. An unreadable row is skipped here: the worker reports it.
    """
    statuses = TERMINAL - {"completed"} if SOURCE_BY_NAME[source].only_failures else TERMINAL
    return {
        row["sid"]: edges_of(_text(row, "direction"), _text(row, "from"), _text(row, "to"))
        for row in map(_row, envelopes)
        if isinstance(row.get("sid"), str) and _ended_in(row, span, statuses)
    }


def _ended_in(row: dict[str, Any], span: Span, statuses: Collection[str]) -> bool:
    if status_of(_text(row, "status")) not in statuses:
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


def _us(seconds: float) -> int:
    return round(seconds * SECOND_US)
