"""How a worker's process tells why it ends."""

from __future__ import annotations

import asyncio
import os
import signal
from typing import Any

import pytest

from stream.faust_bridge.process import CRASHED, STOPPED, exiting, run


def test_a_faust_command_that_fails_tells_the_kind_of_error_and_not_its_text(
    capsys: pytest.CaptureFixture[str],
) -> None:
    with pytest.raises(SystemExit) as ended, exiting(print_exception=True):
        raise KeyError("+15005550006")
    assert ended.value.code == CRASHED
    said = capsys.readouterr().err
    assert said.startswith("KeyError")
    assert "500555" not in said


def test_one_that_succeeds_ends_with_0() -> None:
    with pytest.raises(SystemExit) as ended, exiting():
        pass
    assert ended.value.code == STOPPED


class App:
    """It has stopped, and one of its tasks is still closing a connection."""

    crash_reason: BaseException | None = None

    def __init__(self) -> None:
        self.loop = asyncio.new_event_loop()
        self.closed = False

    async def _close(self) -> None:
        try:
            await asyncio.sleep(60)
        finally:
            await asyncio.sleep(0.05)
            self.closed = True

    async def start(self) -> None:
        self.closing = asyncio.create_task(self._close())
        await asyncio.sleep(0)

    async def wait_until_stopped(self) -> None: ...

    async def stop(self) -> None: ...


def test_what_goes_on_when_the_app_has_stopped_is_ended_before_the_loop_is_closed() -> None:
    app: Any = App()
    try:
        assert run(app) == STOPPED
    finally:
        asyncio.set_event_loop(None)
    assert (app.closed, app.closing.done()) == (True, True)


def test_a_second_sigterm_changes_nothing() -> None:
    """A service manager sends one to the worker, and its supervisor another."""

    class Stopping(App):
        async def wait_until_stopped(self) -> None:
            os.kill(os.getpid(), signal.SIGTERM)
            await asyncio.sleep(60)

        async def stop(self) -> None:
            os.kill(os.getpid(), signal.SIGTERM)
            await asyncio.sleep(0.05)

    app: Any = Stopping()
    try:
        assert run(app) == STOPPED
    finally:
        asyncio.set_event_loop(None)
