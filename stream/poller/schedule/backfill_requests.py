"""What becomes of a backfill that is asked for, by what is known of it.

The rule of this file: pure. The same question again goes on or shows the answer; it starts over only where
that is asked, or where the answer had holes.
"""

from __future__ import annotations

import msgspec

from stream.core.timestamps import utc
from stream.poller.schedule.planning import Span, refusal
from stream.poller.schedule.progress import Job


class RefusedError(Exception):
    """It cannot be asked; the text says why."""


def asked_for(known: Job | None, wanted: Job, now_us: int, *, again: bool = False) -> Job | None:
    """What is to be noted, None where it is being done or done already. `wanted` is the job as if new.

    Raises RefusedError.
    """
    said = _next(known, wanted, again=again)
    if said is None or said.done_until_us == said.until_us:
        return said  # It was called off when all was read but the last word: that is all that is left.
    why = refusal(said.source, Span(said.done_until_us, said.until_us), now_us)
    if why is not None:
        raise RefusedError(why)
    return said


def _next(known: Job | None, wanted: Job, *, again: bool) -> Job | None:
    if known is None:
        return wanted
    if again or (known.state == "failed" and known.unread):
        return msgspec.structs.replace(wanted, asked=known.asked + 1)
    if known.state in ("failed", "cancelled"):
        return msgspec.structs.replace(
            wanted, asked=known.asked + 1, done_until=known.done_until, rows=known.rows, unread=known.unread
        )
    return None


def called_off(known: Job | None, now_us: int) -> Job:
    """The job, cancelled. Raises RefusedError."""
    if known is None:
        raise RefusedError("there is no such backfill")
    if known.finished:
        raise RefusedError(f"it is {known.state} already")
    return msgspec.structs.replace(known, state="cancelled", updated_at=utc(now_us))
