"""Named background tasks: every crash is logged, and cancelling them has a time limit."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Collection, Coroutine, Mapping, Sequence
from typing import Any

CANCEL_TIMEOUT_S = 3.0
"""Shorter than a rebalance waits."""

log = logging.getLogger("callstream.tasks")


def start(work: Coroutine[Any, Any, None], name: str) -> asyncio.Task[None]:
    task = asyncio.create_task(work, name=name)
    task.add_done_callback(_log_crash)
    return task


async def cancel(tasks: Collection[asyncio.Task[None]], timeout_s: float = CANCEL_TIMEOUT_S) -> None:
    """Cancel the tasks and wait until they have ended, at most `timeout_s`."""
    for task in tasks:
        task.cancel()
    _, pending = await asyncio.wait(tasks, timeout=timeout_s) if tasks else ((), ())
    for task in pending:
        log.warning("%s does not end after its cancellation: no longer waiting for it", task.get_name())


def live(tasks: Mapping[str, asyncio.Task[None]], others: Sequence[str] = ()) -> tuple[bool, Sequence[str]]:
    """Whether all tasks are running; `others`: what has ended beside them. If not, a restart helps."""
    ended = [*(name for name, task in tasks.items() if task.done()), *others]
    return not ended, [f"{name} has ended" for name in ended]


def log_ended(tasks: Mapping[str, asyncio.Task[None]]) -> None:
    """Log why a role ends."""
    for name, task in tasks.items():
        if task.done() and not task.cancelled():
            error = task.exception()
            log.error("%s has ended%s", name, f": {type(error).__name__}" if error else "")


def _log_crash(task: asyncio.Task[None]) -> None:
    if task.cancelled():
        if not task.cancelling():  # cancelled from inside: an awaited task was cancelled
            log.error("%s has ended: it cancelled itself", task.get_name())
    elif (error := task.exception()) is not None:
        log.error("%s has ended: %s", task.get_name(), type(error).__name__)
