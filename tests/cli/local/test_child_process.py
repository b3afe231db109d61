"""Roles as child processes, with processes of their own in the roles' place."""

from __future__ import annotations

import asyncio
import sys

import pytest

from stream.cli.local import child_process
from stream.cli.local.child_process import ChildProcess
from stream.gateway import service


@pytest.fixture(autouse=True)
def short_pauses(monkeypatch):
    monkeypatch.setattr(child_process, "FIRST_PAUSE_S", 0.01)


def a_child(tmp_path, said, code):
    command = [sys.executable, "-c", code]
    return ChildProcess("worker", command, {"PATH": "/usr/bin:/bin"}, tmp_path / "log", say=said.append)


def test_a_gateway_that_waits_for_kafka_as_long_as_it_may_is_not_killed():
    longest_s = service.LAST_ANSWERS_S + 14 + 1 + service.FLUSH_S
    assert longest_s < child_process.STOP_LIMIT_S


async def test_a_role_that_fails_is_started_again_and_that_is_said_and_its_log_goes_on(tmp_path):
    said: list[str] = []
    child = a_child(tmp_path, said, "print('at work'); raise SystemExit(75)")
    running = asyncio.create_task(child.run())
    while len(said) < 2:
        await asyncio.sleep(0.01)
    await child.stop()
    running.cancel()
    assert "ended with 75" in said[0]
    assert (tmp_path / "log").read_text().startswith("at work\nat work\n")


async def test_a_role_that_is_asked_to_stop_is_not_started_again(tmp_path):
    child = a_child(tmp_path, [], "import time; time.sleep(60)")
    running = asyncio.create_task(child.run())
    while child.pid is None:
        await asyncio.sleep(0.02)
    await child.stop()
    assert await running == -15
    assert child.starts == 1
    assert child.pid is None


@pytest.mark.parametrize(
    ("start_limit_s", "code", "says"),
    [(30.0, 7, []), (0.5, -9, ["the worker did not stop within 0 s and was killed"])],
)
async def test_a_role_that_is_still_starting_is_given_more_time_to_stop(tmp_path, start_limit_s, code, says):
    """It looks at signals when it has loaded its modules."""
    said: list[str] = []
    starting = "import signal, time; signal.signal(15, lambda *_: None); print('loading', flush=True)"
    command = [sys.executable, "-c", f"{starting}; time.sleep(1); time.sleep(1); raise SystemExit(7)"]
    limits = {"stop_limit_s": 0.1, "start_limit_s": start_limit_s}
    child = ChildProcess("worker", command, {}, tmp_path / "log", say=said.append, **limits)
    running = asyncio.create_task(child.run())
    while not (tmp_path / "log").exists() or not (tmp_path / "log").read_text():
        await asyncio.sleep(0.01)
    if code < 0:
        await asyncio.sleep(0.5)
    await child.stop()
    assert (await running, said) == (code, says)


async def test_a_role_whose_end_is_final_is_not_started_again(tmp_path):
    said: list[str] = []
    command = [sys.executable, "-c", "raise SystemExit(78)"]
    child = ChildProcess("worker", command, {}, None, say=said.append, final=(2, 78))
    assert await child.run() == child.exit_code == 78
    assert (child.starts, said) == (1, [])


async def test_the_terminals_ctrl_c_does_not_reach_a_role(tmp_path):
    """Its parent stops it; two signals would end it at once."""
    child = a_child(tmp_path, [], "import os, sys; sys.exit(os.getpgid(0) != os.getpid())")
    running = asyncio.create_task(child.run())
    while child.exit_code is None:
        await asyncio.sleep(0.02)
    running.cancel()
    assert child.exit_code == 0
