"""Work that goes on beside: started under a name, and ended when it is somebody else's.

The rule of this file: none dies unheard, and none that will not end holds up the others for long.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Collection, Coroutine
from typing import Any

END_S = 3.0
"""Less than a rebalance waits for."""

log = logging.getLogger("callstream.polling")


def start(work: Coroutine[Any, Any, None], name: str) -> asyncio.Task[None]:
    task = asyncio.create_task(work, name=name)
    task.add_done_callback(_hear)
    return task


async def cancel(tasks: Collection[asyncio.Task[None]], limit_s: float = END_S) -> None:
    """Cancel them and wait until they are gone, at most `limit_s`."""
    for task in tasks:
        task.cancel()
    if not tasks:
        return
    _, left = await asyncio.wait(tasks, timeout=limit_s)
    for task in left:
        log.warning("%s does not end: not waited for any longer", task.get_name())


def _hear(task: asyncio.Task[None]) -> None:
    if task.cancelled():
        if not task.cancelling():  # By itself: something that it waited for was cancelled.
            log.error("%s has ended: it cancelled itself", task.get_name())
    elif (error := task.exception()) is not None:
        log.error("%s has ended: %s", task.get_name(), type(error).__name__)
