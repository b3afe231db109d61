"""Which times are read: by a window that goes along with the clock, and by a backfill.

The rule of this file: pure; every moment of a span is in what is planned, or is said to be lost.
"""

from __future__ import annotations

from typing import NamedTuple

from stream.core.timestamps import SECOND_US
from stream.poller.resources import RESOURCES

SLICE_S = 3600.0
"""So much time of a backfill is read at once: what a poller that dies has to read again."""

OF_A_CALL = frozenset(source for source, resource in RESOURCES.items() if resource.window_urls is None)
"""Sources that are read call by call: Calls are listed by window, and each is asked about."""

LONGEST_PAUSE_S = 600.0
LONGEST_PAUSE = 10
"""A window that fails is read again after at most so many intervals, and at most so many seconds."""


class Span(NamedTuple):
    """From `since_us` on, and before `until_us`."""

    since_us: int
    until_us: int


class Window(NamedTuple):
    """What a pass reads: everything since `since_us`.

    - `watermark_after_us`: up to which time all is known when it is complete: when it begins.
    - `lost`: what lies between the watermark and the farthest that the provider answers.
    """

    since_us: int
    watermark_after_us: int
    lost: Span | None


def next_window(
    watermark_us: int | None, now_us: int, lookback_s: float, max_lookback_s: float | None
) -> Window:
    """The next pass, by what is known: the watermark, None before the first pass.

    Windows overlap by `lookback_s`, for what comes late. After a long silence the window reaches back to the
    watermark and its overlap, as far as the provider answers (`max_lookback_s`, None for any).
    """
    known_us = now_us if watermark_us is None else min(watermark_us, now_us)
    since_us = known_us - _us(lookback_s)
    if max_lookback_s is None:
        return Window(since_us, now_us, None)
    first_us = now_us - _us(max_lookback_s)
    lost = Span(known_us, first_us) if known_us < first_us else None
    return Window(max(since_us, first_us), now_us, lost)


def pause_s(interval_s: float, failures: int) -> float:
    """From the beginning of a pass to the next one, after so many failures in a row."""
    longest_s = max(interval_s, min(LONGEST_PAUSE * interval_s, LONGEST_PAUSE_S))
    return float(min(interval_s * 2 ** min(failures, LONGEST_PAUSE), longest_s))


def next_slice(done_until_us: int, until_us: int, slice_s: float | None = SLICE_S) -> Span | None:
    """What of a backfill is read next; None when all has been read. Without `slice_s` all that is left."""
    if done_until_us >= until_us:
        return None
    end_us = until_us if slice_s is None else min(done_until_us + _us(slice_s), until_us)
    return Span(done_until_us, end_us)


def refusal(source: str, span: Span, now_us: int, allowance_s: float = 0.0) -> str | None:
    """Why the time cannot be read, as a sentence for who asked; None where it can.

    `allowance_s`: for the time since somebody asked, and for another machine's clock.
    """
    if span.since_us >= span.until_us:
        return "the beginning must lie before the end"
    if span.until_us > now_us + _us(allowance_s):
        return "the end lies in the future"
    return _out_of_reach(source, span, now_us - _us(allowance_s))


def _out_of_reach(source: str, span: Span, now_us: int) -> str | None:
    max_lookback_s = RESOURCES[source].max_lookback_s if source in RESOURCES else None
    if max_lookback_s is None or span.since_us >= now_us - _us(max_lookback_s):
        return None
    if source in OF_A_CALL:
        return f"Twilio keeps {source} for 30 days only: begin later"
    return (
        f"Telnyx answers {source} by time for the last 24 hours only: begin later "
        "(older ones can be read by leg or session alone)"
    )


def _us(seconds: float) -> int:
    return round(seconds * SECOND_US)
