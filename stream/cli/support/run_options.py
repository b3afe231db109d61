"""From the options of `callstream simulate` to those of its run."""

from __future__ import annotations

import time
from datetime import datetime
from typing import Any

from stream.service.settings import Settings
from stream.simulator.calls.options import OPTIONAL_SOURCES, SERVED_SOURCES, Options
from stream.simulator.incidents import HEALTHY, Rehearsal

FAILED_USUALLY = 0.05


def run_options(
    settings: Settings,
    *,
    calls: int | None,
    seconds: float | None,
    forever: bool,
    rate: float | None,
    failed: float | None,
    polled: bool,
    sources: str | None,
    seed: int | None,
    start: str | None,
    serve: bool,
    time_factor: float | None,
    rehearsed: Rehearsal | None,
    **shares: Any,
) -> Options:
    """The options of a run. A rehearsal ends with as much healthy traffic as the incident had. Raises
    ValueError with what is wrong.
    """
    if rehearsed is not None:
        if calls is not None or start is not None or polled is False:
            raise ValueError("--incident needs live calls: neither --calls nor --start nor --no-polled")
        if not forever and seconds is None:
            seconds = rehearsed.after_s + 2 * rehearsed.for_s
    live = forever or seconds is not None
    if (live and calls is not None) or (forever and seconds is not None):
        raise ValueError("one of --calls, --for and --forever")
    usual_sources = Options(served=serve).sources
    named = frozenset(sources.replace(" ", "").split(",")) if sources else usual_sources
    wanted = usual_sources.union(OPTIONAL_SOURCES) if named == {"all"} else named
    wanted = wanted if polled else wanted - set(SERVED_SOURCES)
    if not wanted:
        raise ValueError("--no-polled leaves none of these sources")
    usual = {"failed": FAILED_USUALLY} if rehearsed is None else HEALTHY
    asked = shares if failed is None else {**shares, "failed": failed}
    return Options(
        calls=None if live else calls or 1000,
        seconds=seconds,
        rate=(50.0 if live else 0.0) if rate is None else rate,
        sources=wanted,
        served=serve,
        time_factor=(time_factor or settings.time_factor) if serve else 1.0,
        seed=time.time_ns() // 1000 if seed is None else seed,
        start_us=_microseconds(start) if start else time.time_ns() // 1000,
        **{**usual, **asked},
    )


def retry_waits(seconds: str) -> tuple[float, ...]:
    """Telnyx' waits before its retries. Raises ValueError."""
    waits = tuple(float(word) for word in seconds.split(",") if word.strip())
    if len(waits) > 5 or not all(wait >= 0 for wait in waits) or not sum(waits) <= 60:
        raise ValueError("--telnyx-retries: at most five waits, 60 s together")
    return waits


def _microseconds(start: str) -> int:
    when = datetime.fromisoformat(start)
    if when.tzinfo is None:
        raise ValueError(f"--start {start} has no time zone: end it in Z")
    return round(when.timestamp() * 1_000_000)
