"""The process of a role: SIGTERM and SIGINT as an event, so that it stops in order; its garbage collector."""

from __future__ import annotations

import asyncio
import contextlib
import gc
import signal
from collections.abc import Coroutine, Iterator
from contextlib import contextmanager
from typing import Any, TypeVar

T = TypeVar("T")

SIGNALS = (signal.SIGTERM, signal.SIGINT)

COLLECT_AFTER = (100_000, 20, 20)
"""Cycles hardly occur: to look for them at Python's 700 took a fifth of a recovery, and of the archive."""

_asked: dict[asyncio.AbstractEventLoop, asyncio.Event] = {}


@contextmanager
def stop_asked() -> Iterator[asyncio.Event]:
    """The event is set at the first signal. While the block runs, no signal ends the process.

    A nested block has the same event, so that no signal is lost between two blocks. Needs a running loop.
    """
    loop = asyncio.get_running_loop()
    if loop in _asked:
        yield _asked[loop]
        return
    asked = _asked[loop] = asyncio.Event()
    for number in SIGNALS:
        loop.add_signal_handler(number, asked.set)
    try:
        yield asked
    finally:
        del _asked[loop]
        for number in SIGNALS:
            with contextlib.suppress(ValueError):
                loop.remove_signal_handler(number)


async def unless(asked: asyncio.Event, work: Coroutine[Any, Any, T]) -> T | None:
    """The result of `work`, or None if the role is asked to stop first.

    Then `work` is cancelled, and its exceptions are ignored.
    """
    doing, waiting = asyncio.ensure_future(work), asyncio.ensure_future(asked.wait())
    try:
        await asyncio.wait([doing, waiting], return_when=asyncio.FIRST_COMPLETED)
        return None if asked.is_set() else await doing
    finally:
        waiting.cancel()
        if not doing.done():
            doing.cancel()
        await asyncio.gather(doing, return_exceptions=True)


def collect_rarely() -> None:
    """Leave alone what the role has made until now, and look for cycles only after many allocations."""
    gc.collect()
    gc.freeze()
    gc.set_threshold(*COLLECT_AFTER)
