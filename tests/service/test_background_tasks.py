"""Work beside is heard of when it ends, unless somebody ended it."""

from __future__ import annotations

import asyncio

import pytest

from stream.service.background_tasks import cancel, start


async def waits(for_: asyncio.Future[None]) -> None:
    await for_


async def test_work_that_ends_by_an_error_or_cancels_itself_is_heard_of(
    caplog: pytest.LogCaptureFixture,
) -> None:
    loop = asyncio.get_running_loop()
    broken, gone, asked = (loop.create_future() for _ in range(3))
    tasks = [start(waits(one), name) for one, name in ((broken, "one"), (gone, "two"), (asked, "three"))]
    await asyncio.sleep(0)
    broken.set_exception(ValueError("+15005550001"))
    gone.cancel()
    await asyncio.wait(tasks[:2])
    await cancel(tasks[2:])
    assert [one.getMessage() for one in caplog.records] == [
        "one has ended: ValueError",
        "two has ended: it cancelled itself",
    ]
