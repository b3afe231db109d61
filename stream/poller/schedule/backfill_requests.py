"""What becomes of a backfill that is asked for, by what is known of it.

The rule of this file: pure. The same question again goes on or shows the answer; it starts over only where
that is asked, or where the answer had holes.
"""

from __future__ import annotations

import msgspec

from stream.core.timestamps import utc
from stream.poller.schedule.planning import Span, refusal
from stream.poller.schedule.progress import BackfillJob


class BackfillRefusedError(Exception):
    """It cannot be asked; the text says why."""


def next_job(
    known: BackfillJob | None, wanted: BackfillJob, now_us: int, *, again: bool = False
) -> BackfillJob | None:
    """What is to be noted, None where it is being done or done already. `wanted` is the job as if new.

    Raises BackfillRefusedError.
    """
    said = _next(known, wanted, again=again)
    if said is None or said.done_until_us == said.until_us:
        return said  # It was called off when all was read but the last word: that is all that is left.
    why = refusal(said.source, Span(said.done_until_us, said.until_us), now_us)
    if why is not None:
        raise BackfillRefusedError(why)
    return said


def _next(known: BackfillJob | None, wanted: BackfillJob, *, again: bool) -> BackfillJob | None:
    if known is None:
        return wanted
    if again or (known.state == "failed" and known.unread):
        return msgspec.structs.replace(wanted, asked=known.asked + 1)
    if known.state in ("failed", "cancelled"):
        return msgspec.structs.replace(
            wanted, asked=known.asked + 1, done_until=known.done_until, rows=known.rows, unread=known.unread
        )
    return None


def cancelled(known: BackfillJob | None, now_us: int) -> BackfillJob:
    """The job, cancelled. Raises BackfillRefusedError."""
    if known is None:
        raise BackfillRefusedError("there is no such backfill")
    if known.finished:
        raise BackfillRefusedError(f"it is {known.state} already")
    return msgspec.structs.replace(known, state="cancelled", updated_at=utc(now_us))
