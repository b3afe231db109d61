"""Good signed requests to a real gateway, with and without an attack.

Attacker, gateway and good client are separate processes on this machine. The tests measure latency: with
`ATTACKED_ALONE=1` nothing else runs on the machine, and the gateway must reach the goal.
"""

from __future__ import annotations

import json
import os
import re
import resource
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any, NamedTuple

import msgspec
import pytest

from stream.broker.ports import free_port
from tests.e2e.attacks import TELNYX_KEY, Attack
from tests.e2e.full_worker import get_text
from tests.e2e.harness import ROOT, WorkerProcess, stopped_after, wait_until
from tests.e2e.signed_load import ACCOUNT, TOKEN, Load
from tests.gateway.signing import public
from tests.real_broker import RealBroker

pytestmark = pytest.mark.e2e

ATTACKED_S = 10.0
BEFORE_S = 1.5
"""The attack starts this long before the first good request."""

GOAL_MS = 250.0
NOISY_MS = 2000.0
"""On a machine with other load."""

FORBIDDEN = re.compile("[\\x00-\\x08\\x0b-\\x1f\\x7f-\\x9f\\u202a-\\u202e\\u2066-\\u2069]")
"""What must not reach a terminal: controls other than line ends and tabs, and bidirectional overrides."""

ROWS: list[str] = []


class Case(NamedTuple):
    """An attack, and its gateway: the number of tokens, and of descriptors where they are few."""

    kind: str
    connections: int
    tokens: int = 1
    descriptors: int = 0
    shared: bool = False
    """Everything comes from one address, as behind a proxy that is not configured."""

    def __str__(self) -> str:
        shared = "shared" if self.shared else ""
        return "-".join([self.kind, str(self.connections), str(self.tokens), str(self.descriptors or shared)])


CASES = [
    Case("gzip_bomb", 4),
    Case("stalled_bodies", 1000),
    Case("slow_bodies", 1000),
    Case("kept_connections", 400, descriptors=200),
    Case("bad_signatures", 16, tokens=1),
    Case("bad_signatures", 16, tokens=50),
    Case("bad_signatures", 16, tokens=500),
    Case("bad_signatures", 16, tokens=500, shared=True),
    Case("forged_query", 16),
    Case("hostile_text", 4),
    Case("unread_answers", 100),
    Case("tiny_chunks", 16),
    Case("pipelined", 16),
    Case("unread_metrics", 50),
]


class Gateway(WorkerProcess):
    """A gateway as a process, with its HTTP at `port` and its health at `health_port`."""

    def __init__(self, broker: RealBroker, prefix: str, directory: Path, case: Case) -> None:
        self.port, self.health_port = free_port(), free_port()
        tokens = [f"AC{n:032x}=token-{n}" for n in range(case.tokens - 1)]
        start = "import resource, runpy, sys; sys.argv = ['callstream', 'gateway']; "
        if case.descriptors:
            start += f"resource.setrlimit(resource.RLIMIT_NOFILE, ({case.descriptors},) * 2); "
        super().__init__(
            ("-c", start + "runpy.run_module('stream.cli', run_name='__main__')"),
            {
                "CALLSTREAM_KAFKA": broker.bootstrap,
                "CALLSTREAM_TOPIC_PREFIX": prefix,
                "CALLSTREAM_DATA_DIR": str(directory / "data"),
                "CALLSTREAM_GATEWAY_LISTEN": f"127.0.0.1:{self.port}",
                "CALLSTREAM_GATEWAY_HEALTH_LISTEN": f"127.0.0.1:{self.health_port}",
                # With a proxy configured, every other client is known by its own address.
                "CALLSTREAM_TRUSTED_PROXIES": "" if case.shared else "10.0.0.0/8",
                "CALLSTREAM_TELNYX_PUBLIC_KEY": public(TELNYX_KEY),
                "CALLSTREAM_TWILIO_ACCOUNT_TOKENS": ",".join([*tokens, f"{ACCOUNT}={TOKEN}"]),
            },
            directory / "gateway.log",
        )

    def ready(self) -> bool:
        assert self.exit_code is None, self.output()
        return get_text(f"http://127.0.0.1:{self.health_port}/readyz")[0] == 200

    def open_files(self) -> int:
        return len(os.listdir(f"/proc/{self.running.pid}/fd"))

    def resident_mb(self) -> float:
        status = Path(f"/proc/{self.running.pid}/status").read_text()
        found = re.search(r"^VmRSS:\s+(\d+) kB", status, re.MULTILINE)
        assert found is not None
        return int(found[1]) / 1024


@pytest.fixture(scope="module", autouse=True)
def _table() -> Iterator[None]:
    """Raises the limit of open files for both ends of a thousand connections; prints the measurements."""
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (hard, hard))
    yield
    resource.setrlimit(resource.RLIMIT_NOFILE, (soft, hard))
    print("\n| attack | | answers | p50 ms | p99 ms | max ms |\n|---|---|---|---|---|---|", file=sys.stderr)
    print("\n".join(ROWS), file=sys.stderr)


@pytest.mark.parametrize("case", CASES, ids=str)
def test_good_requests_are_answered_while_a_gateway_is_attacked(
    case: Case, broker: RealBroker, prefix: str, tmp_path: Path
) -> None:
    gateway = Gateway(broker, prefix, tmp_path, case)
    with stopped_after(gateway):
        gateway.start()
        wait_until(gateway.ready, "the gateway is ready", 60)
        # The first requests of a gateway wait for Kafka's metadata.
        _result(_start("signed_load", Load(port=gateway.port, seconds=1)))
        good = Load(port=gateway.port, seconds=ATTACKED_S - 2 * BEFORE_S)
        alone = _result(_start("signed_load", good))
        _row(case, "without", alone)
        before_mb = gateway.resident_mb()
        attack = Attack(
            kind=case.kind,
            port=gateway.port,
            health_port=gateway.health_port,
            seconds=ATTACKED_S,
            connections=case.connections,
        )
        attacking = _start("attacks", attack)
        try:
            attacking.wait(BEFORE_S)
        except subprocess.TimeoutExpired:
            pass  # it goes on beside the good requests
        attacked = _result(_start("signed_load", good))
        seen = _result(attacking)
        _row(case, "with", attacked)
        grown_mb = gateway.resident_mb() - before_mb
        print(f"{case}: attacker {seen}, grown by {grown_mb:.0f} MB", file=sys.stderr)
        assert gateway.ready()
        assert "500" not in seen, "a fault of the gateway's own"
        assert attacked["answers"] == {"204": attacked["requests"]}
        assert attacked["p99_ms"] < (GOAL_MS if os.environ.get("ATTACKED_ALONE") else NOISY_MS)
        assert grown_mb < 200
        assert len(gateway.output()) < 20_000, "the attack fills the log"
        assert case.kind == "hostile_text" or not seen.get("204"), "the attacker was believed"
        if case.kind == "hostile_text":
            assert seen["204"] > 10
            shown = _tail(gateway, "--keys", "--raw")
            assert shown.count("owned") > 10
            assert not FORBIDDEN.search(shown)
            assert not FORBIDDEN.search(gateway.output())
        assert gateway.terminate()[0] == 0


def _tail(gateway: Gateway, *more: str) -> str:
    """What an operator sees of the callbacks in Kafka."""
    return subprocess.run(
        [sys.executable, "-m", "stream.cli", "tail", "callbacks", "--from-beginning", "--no-follow", *more],
        cwd=ROOT,
        env=gateway.environ,
        capture_output=True,
        text=True,
        timeout=60,
        check=True,
    ).stdout


def _start(module: str, task: msgspec.Struct) -> subprocess.Popen[str]:
    return subprocess.Popen(
        [sys.executable, "-m", f"tests.e2e.{module}", msgspec.json.encode(task).decode()],
        cwd=ROOT,
        env={**os.environ, "PYTHONPATH": str(ROOT)},
        stdout=subprocess.PIPE,
        text=True,
    )


def _result(process: subprocess.Popen[str]) -> dict[str, Any]:
    """Its result, once it has ended."""
    try:
        out, _ = process.communicate(timeout=ATTACKED_S + 60)
    except subprocess.TimeoutExpired:
        process.kill()
        raise
    assert process.returncode == 0
    found: dict[str, Any] = json.loads(out)
    return found


def _row(case: Case, how: str, found: dict[str, Any]) -> None:
    name = f"{case.kind} × {case.connections}"
    name += f", {case.tokens} tokens" if case.kind == "bad_signatures" else ""
    name += ", one address" if case.shared else ""
    name += f", {case.descriptors} descriptors" if case.descriptors else ""
    answers = ", ".join(f"{count} × {status}" for status, count in sorted(found["answers"].items()))
    took = " | ".join(f"{found[name]:.0f}" for name in ("p50_ms", "p99_ms", "max_ms"))
    ROWS.append(f"| {name} | {how} | {answers} | {took} |")
