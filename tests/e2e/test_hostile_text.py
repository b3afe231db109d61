"""Hostile text in signed callbacks reaches a real terminal: it is shown and has no effect."""

from __future__ import annotations

import os
import signal
import socket
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from stream.broker.ports import free_port
from tests.e2e.full_worker import get_text
from tests.e2e.harness import wait_until
from tests.e2e.processes import descendants, running, wait_gone
from tests.e2e.signed_load import ACCOUNT, TOKEN, signed
from tests.pseudo_terminal import PseudoTerminal
from tests.real_broker import RealBroker

pytestmark = pytest.mark.e2e

HOSTILE = [
    "[/x]",
    "[bold]x",
    "\x1b]0;owned\x07",
    "\x1b[2J",
    "\x9b31m",
    "\u202eevil",
    "\u200b\u2028x",
    "a\r\nb",
]
FORBIDDEN = ["\x1b]0;", "\x1b[2J", "\x07", "\x9b", "\u202e", "\u200b", "\u2028"]
"""The parts that a terminal would interpret."""

USUAL_POINTER = "\x1b]22;default\x07"
"""The live view's own."""


@contextmanager
def on_a_terminal(*arguments: str, environ: dict[str, str]) -> Iterator[PseudoTerminal]:
    """Runs the command on 200 columns; none of its processes remains afterwards."""
    one = PseudoTerminal("-m", "stream.cli", *arguments, environ=environ, columns=200, lines=60)
    seen: dict[int, str] = {}
    try:
        yield one
    finally:
        if one.process.poll() is None:
            seen = descendants(one.process.pid)
            one.process.kill()
            one.ended()
        if seen:
            wait_gone(seen, 20)
        for pid in running(seen):
            os.kill(pid, signal.SIGKILL)


def send_hostile(port: int, number: int, text: str) -> bytes:
    """Sends a signed callback of a failed call with the text in every free field; returns the answer."""
    body = {
        "AccountSid": ACCOUNT,
        "CallSid": f"CA{number:032x}{text}",
        "CallStatus": "failed",
        "CallbackSource": "call-progress-events",
        "SequenceNumber": "1",
        "ErrorCode": text,
        "Direction": text,
        "SipResponseCode": "503",
        text: text,
    }
    with socket.create_connection(("127.0.0.1", port), 10) as connection:
        connection.sendall(signed(port, body))
        return connection.recv(100)


@pytest.mark.parametrize("how", ["live", "--plain"])
def test_up_shows_hostile_text_harmlessly_and_stops_on_ctrl_c(
    how: str, broker: RealBroker, prefix: str, tmp_path: Path
) -> None:
    gateway, health = free_port(), free_port()
    environ = {
        "CALLSTREAM_KAFKA": broker.bootstrap,
        "CALLSTREAM_TOPIC_PREFIX": prefix,
        "CALLSTREAM_PARTITIONS": "2",
        "CALLSTREAM_DATA_DIR": str(tmp_path / "data"),
        "CALLSTREAM_GATEWAY_LISTEN": f"127.0.0.1:{gateway}",
        "CALLSTREAM_GATEWAY_HEALTH_LISTEN": f"127.0.0.1:{health}",
        "CALLSTREAM_WORKER_LISTEN": f"127.0.0.1:{free_port()}",
        "CALLSTREAM_POLLER_LISTEN": f"127.0.0.1:{free_port()}",
        "CALLSTREAM_TWILIO_ACCOUNT_TOKENS": f"{ACCOUNT}={TOKEN}",
        "CALLSTREAM_TWILIO_API_URL": "http://127.0.0.1:9",
        "CALLSTREAM_TWILIO_INSIGHTS_URL": "http://127.0.0.1:9",
        "CALLSTREAM_TWILIO_MONITOR_URL": "http://127.0.0.1:9",
        "CALLSTREAM_POLL_SOURCES": "none",
    }
    options = [] if how == "live" else [how]
    with on_a_terminal("up", "--no-simulate", *options, environ=environ) as home:
        wait_until(
            lambda: get_text(f"http://127.0.0.1:{health}/readyz")[0] == 200, "the gateway is ready", 60
        )
        for number, text in enumerate([*HOSTILE, "last-of-all"]):
            assert send_hostile(gateway, number, text).startswith(b"HTTP/1.1 204")
        wait_until(lambda: "last-of-all" in home.written(), "the last alert is shown", 60)
        assert home.process.poll() is None
        home.process.send_signal(signal.SIGINT)
        assert home.ended() == 0
        assert home.modes_left() == {}
        shown = home.written().replace(USUAL_POINTER, "")
    assert "Stopped." in shown
    assert "ended unexpectedly" not in shown
    assert not [one for one in FORBIDDEN if one in shown]
    for topic in ("callbacks", "events", "alerts"):
        arguments = ("tail", topic, "--from-beginning", "--no-follow", "--keys", "--raw")
        with on_a_terminal(*arguments, environ=environ) as tail:
            assert tail.ended() == 0
            assert "last-of-all" in tail.written()
            assert "\\u202e" in tail.written()
            assert not [one for one in FORBIDDEN if one in tail.written()]
    assert not [
        one for log in (tmp_path / "data").glob("*.log") for one in FORBIDDEN if one in log.read_text()
    ]
