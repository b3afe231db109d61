"""What systemd hears of a role, on a real socket as systemd opens it."""

from __future__ import annotations

import asyncio
import os
import socket
from collections.abc import Iterator
from pathlib import Path

import pytest

from stream.service.http import health, service_manager


@pytest.fixture(params=["path", "abstract"])
def systemd(
    request: pytest.FixtureRequest, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> Iterator[socket.socket]:
    """The socket, at a path and in the abstract namespace."""
    named = str(tmp_path / "notify") if request.param == "path" else f"@callstream-test-{os.getpid()}"
    monkeypatch.setenv("NOTIFY_SOCKET", named)
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM | socket.SOCK_NONBLOCK) as listening:
        listening.bind(named.replace("@", "\0"))
        yield listening


async def test_systemd_is_told_once_when_a_role_is_ready_and_not_before(
    systemd: socket.socket, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(health, "READY_EVERY_S", 0.01)
    is_ready, asked = False, 0

    def ready() -> tuple[bool, list[str]]:
        nonlocal asked
        asked += 1
        return is_ready, []

    async with health.serve(
        "127.0.0.1:0", metrics=lambda _: (b"", "text/plain"), live=lambda: (True, []), ready=ready
    ):
        async with asyncio.timeout(5):
            while asked < 3:
                await asyncio.sleep(0.01)
        with pytest.raises(BlockingIOError):
            systemd.recv(100)
        is_ready = True
        told = await asyncio.wait_for(asyncio.get_running_loop().sock_recv(systemd, 100), 5)
        assert told == b"READY=1"
        before = asked
        await asyncio.sleep(0.05)
        assert asked == before
        with pytest.raises(BlockingIOError):
            systemd.recv(100)


def test_nobody_is_told_without_systemd(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("NOTIFY_SOCKET", raising=False)
    assert not service_manager.waits()


async def test_a_socket_that_takes_nothing_is_said_and_the_role_serves_on(
    monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.setattr(health, "READY_EVERY_S", 0.01)
    monkeypatch.setenv("NOTIFY_SOCKET", "/nonexistent/notify")
    async with (
        asyncio.timeout(5),
        health.serve(
            "127.0.0.1:0", metrics=lambda _: (b"", ""), live=lambda: (True, []), ready=lambda: (True, [])
        ),
    ):
        while not caplog.records:
            await asyncio.sleep(0.01)
    (record,) = caplog.records
    assert record.message.startswith("systemd cannot be told that this role is ready: FileNotFoundError")
