"""A background task that ends is logged, unless it was cancelled; one that does not end is not waited for."""

from __future__ import annotations

import asyncio

import pytest

from stream.service.background_tasks import cancel, start


async def wait_for(future: asyncio.Future[None]) -> None:
    await future


async def test_a_task_that_fails_or_cancels_itself_is_logged_without_the_errors_text(
    caplog: pytest.LogCaptureFixture,
) -> None:
    loop = asyncio.get_running_loop()
    broken, gone, asked = (loop.create_future() for _ in range(3))
    tasks = [start(wait_for(one), name) for one, name in ((broken, "one"), (gone, "two"), (asked, "three"))]
    await asyncio.sleep(0)
    broken.set_exception(ValueError("+15005550001"))
    gone.cancel()
    await asyncio.wait(tasks[:2])
    await cancel(tasks[2:])
    assert [one.getMessage() for one in caplog.records] == [
        "one has ended: ValueError",
        "two has ended: it cancelled itself",
    ]


async def test_a_task_that_ignores_its_cancellation_is_not_waited_for(
    caplog: pytest.LogCaptureFixture,
) -> None:
    release = asyncio.Event()

    async def stubborn() -> None:
        while not release.is_set():
            try:
                await release.wait()
            except asyncio.CancelledError:
                pass

    task = start(stubborn(), "it")
    await asyncio.sleep(0)
    await cancel([task], timeout_s=0.01)
    assert caplog.messages == ["it does not end after its cancellation: no longer waiting for it"]
    release.set()
    await task
