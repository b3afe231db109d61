"""Roles as child processes, with processes of their own in the roles' place."""

from __future__ import annotations

import asyncio
import sys

from stream.cli.local.child_process import ChildProcess


def a_child(tmp_path, said, code, *, again=True):
    child = ChildProcess(
        "worker", [], {"PATH": "/usr/bin:/bin"}, tmp_path / "log", again=again, say=said.append
    )
    child._command = [sys.executable, "-c", code]
    return child


async def test_a_role_that_fails_is_started_again_and_that_is_said(tmp_path):
    said: list[str] = []
    child = a_child(tmp_path, said, "raise SystemExit(75)")
    running = asyncio.create_task(child.run())
    while child.starts < 2:
        await asyncio.sleep(0.02)
    await child.stop()
    running.cancel()
    assert "ended with 75" in said[0]


async def test_a_role_that_is_asked_to_stop_is_not_started_again(tmp_path):
    child = a_child(tmp_path, [], "import time; time.sleep(60)")
    running = asyncio.create_task(child.run())
    while child.pid is None:
        await asyncio.sleep(0.02)
    await child.stop()
    assert await running == -15
    assert child.starts == 1
    assert child.pid is None


async def test_what_a_role_says_is_in_its_log(tmp_path):
    child = a_child(tmp_path, [], "print('at work')", again=False)
    assert await child.run() == 0
    assert (tmp_path / "log").read_text() == "at work\n"
