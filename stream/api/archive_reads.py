"""Reads of the archive in threads: few at once, few that wait, each with a time limit.

The event loop is never blocked, and a database that hangs costs the threads of this pool and nothing else.
"""

from __future__ import annotations

import asyncio
import logging
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from typing import ParamSpec, TypeVar

from stream.api.problems import unavailable
from stream.archive.questions import ArchiveError
from stream.service.errors import describe
from stream.service.log_once import LogOnce

P = ParamSpec("P")
T = TypeVar("T")

WAITING_FOR_EACH = 8
"""Reads that wait for a thread, for each thread. More are refused at once."""

AWAY = (ArchiveError, OSError)
"""What a read raises when the database does not answer."""

log = logging.getLogger("callstream.api")


class ArchiveReads:
    """A bounded pool of threads for reads.

    `timeout_s`: for one read, waiting included. A read that exceeds it keeps its thread until it ends; its
    caller is told to come again.
    """

    def __init__(self, threads: int, timeout_s: float, ended: Callable[[str], None]) -> None:
        """`ended`: is told the outcome of each read."""
        self._pool = ThreadPoolExecutor(threads, thread_name_prefix="archive-read")
        self._timeout_s = timeout_s
        self._told = ended
        self._most = threads * (1 + WAITING_FOR_EACH)
        self._pending = 0
        self._searches = asyncio.Semaphore(max(1, threads // 2))
        self._trouble: str | None = None
        self._outages = LogOnce()

    @property
    def trouble(self) -> str | None:
        """Why the last read has failed; None if it has not."""
        return self._trouble

    async def run(self, read: Callable[P, T], *args: P.args, **kwargs: P.kwargs) -> T:
        """The result of `read` in a thread. Raises Refused (503) where the archive does not answer."""
        return await self._run(partial(read, *args, **kwargs), lambda: None)

    async def search(self, read: Callable[P, T], *args: P.args, **kwargs: P.kwargs) -> T:
        """The same, where every call may be looked at. Half of the threads stay free of such reads."""
        try:
            async with asyncio.timeout(self._timeout_s):
                await self._searches.acquire()
        except TimeoutError:
            self._told("overloaded")
            raise unavailable("Too many searches wait for the archive.", 1) from None
        return await self._run(partial(read, *args, **kwargs), self._searches.release)

    async def _run(self, work: Callable[[], T], ended: Callable[[], None]) -> T:
        """`ended`: is called when no thread has to do with it."""
        if self._pending >= self._most:
            ended()
            self._told("overloaded")
            raise unavailable("Too many requests wait for the archive.", 1)
        self._pending += 1
        running = self._pool.submit(work)
        loop = asyncio.get_running_loop()
        running.add_done_callback(lambda _: self._ended(loop, ended))
        try:
            async with asyncio.timeout(self._timeout_s):
                found = await asyncio.wrap_future(running)
        except TimeoutError:
            self._failed("timeout", f"no answer within {self._timeout_s:g} s")
            raise unavailable("The archive did not answer in time.") from None
        except AWAY as error:
            self._failed(type(error).__name__, describe(error))
            raise unavailable("The archive does not answer.") from None
        self._told("success")
        self._trouble = None
        if self._outages.succeeded("archive", time.monotonic()):
            log.info("the archive answers again")
        return found

    def close(self) -> None:
        """Wait for nothing: a thread that reads ends with its read."""
        self._pool.shutdown(wait=False, cancel_futures=True)

    def _ended(self, loop: asyncio.AbstractEventLoop, ended: Callable[[], None]) -> None:
        """In the read's thread, or the loop's where it was cancelled before it began."""
        if not loop.is_closed():
            loop.call_soon_threadsafe(self._release, ended)

    def _release(self, ended: Callable[[], None]) -> None:
        self._pending -= 1
        ended()

    def _failed(self, kind: str, says: str) -> None:
        self._trouble = f"the archive cannot be read: {says}"
        self._told("timeout" if kind == "timeout" else "error")
        if self._outages.failed("archive", kind, time.monotonic()):
            log.error("the archive cannot be read: %s", says)
