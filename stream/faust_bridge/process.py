"""The worker as a process of its own: our loop, our signals, our exit code.

SIGTERM and SIGINT stop it cleanly; a second one, if it is a SIGINT, at once. Any other end of the app is an
error.
"""

from __future__ import annotations

import asyncio
import logging
import os
import signal
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import faust

from stream.engine.status import end_process
from stream.kafka.client import network_client
from stream.service.errors import describe
from stream.service.logs import write_error

STOP_TIMEOUT_S = 20.0
END_TIMEOUT_S = 3.0
STOPPED = 0
CRASHED = 1

log = logging.getLogger("callstream.lanes")


def run(app: faust.App) -> int:
    """Run `app` until a signal or a crash. Returns the exit code: 0 if it was asked to stop and did."""
    loop = app.loop  # Faust's services are already bound to this loop
    asyncio.set_event_loop(loop)
    try:
        return int(loop.run_until_complete(serve(app)))
    finally:
        loop.run_until_complete(_end_all())
        loop.run_until_complete(loop.shutdown_asyncgens())
        loop.close()


async def serve(app: faust.App) -> int:
    """Start `app` in the running loop, wait for a signal or a crash, stop it."""
    asked = asyncio.Event()
    loop = asyncio.get_running_loop()
    for number in (signal.SIGTERM, signal.SIGINT):
        loop.add_signal_handler(number, _ask, asked, number)
    starting = asyncio.create_task(app.start())
    crashed = asyncio.create_task(_ended(app, starting))
    wanted = asyncio.create_task(asked.wait())
    await asyncio.wait([crashed, wanted], return_when=asyncio.FIRST_COMPLETED)
    crashed.cancel()
    wanted.cancel()
    reason = app.crash_reason or (
        starting.exception() if starting.done() and not starting.cancelled() else None
    )
    stopping = asyncio.create_task(app.stop())
    await asyncio.wait([stopping], timeout=STOP_TIMEOUT_S)
    if not stopping.done():
        # Not cancelled and awaited: what does not stop may ignore a cancellation, too. A worker that was
        # asked to stop writes nothing more: it has stopped, whatever still waits for a broker.
        code = STOPPED if asked.is_set() and reason is None else CRASHED
        end_process(f"not stopped within {STOP_TIMEOUT_S:.0f} s", code)
    starting.cancel()
    await asyncio.wait([starting])
    stopping.result()
    if reason is not None:
        log.error("crashed: %s", describe(reason))
        return CRASHED
    return STOPPED


@contextmanager
def exiting(**_: Any) -> Iterator[None]:
    """Replaces mode.worker.exiting for `faust -A agents`: it prints the error's text."""
    try:
        yield
    except Exception as error:  # noqa: BLE001  the last resort of a command
        write_error(error)
        sys.exit(CRASHED)
    sys.exit(STOPPED)


async def _end_all() -> None:
    """Cancel all tasks that are left, as `asyncio.run` does before it closes the loop."""
    ending = asyncio.ensure_future(network_client.cancel_all(asyncio.all_tasks() - {asyncio.current_task()}))
    await asyncio.wait([ending], timeout=END_TIMEOUT_S)
    ending.cancel()


async def _ended(app: faust.App, starting: asyncio.Task[None]) -> None:
    await asyncio.wait([starting])
    if starting.cancelled() or starting.exception() is not None:
        return
    await app.wait_until_stopped()


def _ask(asked: asyncio.Event, number: int) -> None:
    # A service manager may send SIGTERM to a worker and to its supervisor, which sends it, too.
    if asked.is_set() and number == signal.SIGINT:
        os._exit(CRASHED)
    asked.set()
