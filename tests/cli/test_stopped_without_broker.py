"""Each role stops when it is asked to, with 0 and without a trace, whatever the broker does or does not."""

from __future__ import annotations

import os
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager
from pathlib import Path

import pytest

from stream.broker.ports import free_port
from tests.api.live.following import produce
from tests.e2e.full_worker import get_text
from tests.e2e.harness import wait_until
from tests.real_broker import RealBroker
from tests.real_postgresql import RealPostgresql

ROLES: Mapping[str, tuple[str, ...]] = {
    "gateway": ("gateway",),
    "worker": ("worker",),
    "poller": ("poller",),
    "notify": ("notify",),
    "archive": ("archive",),
    "api": ("api",),
    "up": ("up", "--plain", "--no-simulate"),
    "simulate": ("simulate", "--serve", "--forever", "--rate", "5"),
}
READY: Mapping[str, tuple[str, ...]] = {
    "gateway": ("GATEWAY_HEALTH",),
    "api": ("API_HEALTH",),
    "up": ("GATEWAY_HEALTH", "WORKER", "POLLER", "ARCHIVE", "API_HEALTH"),
    "simulate": (),
}
"""Where a role says that it is ready, if not at its own address."""
NEVER_SEEN = ("Traceback", "Task was destroyed", "never retrieved", "never awaited")

LISTENERS = (
    *("GATEWAY", "GATEWAY_HEALTH", "WORKER", "POLLER", "NOTIFY", "ARCHIVE", "API", "API_HEALTH"),
    "SIMULATE",
)
Addresses = dict[str, str]


def addresses() -> Addresses:
    return {one: f"127.0.0.1:{free_port()}" for one in LISTENERS}


def is_ready(name: str, at: Addresses) -> bool:
    return all(get_text(f"http://{at[one]}/readyz")[0] == 200 for one in READY.get(name, (name.upper(),)))


@contextmanager
def role(
    name: str,
    directory: Path,
    bootstrap: str,
    at: Addresses | None = None,
    program: Sequence[str] = ("-m", "stream.cli"),
    **more: str,
) -> Iterator[subprocess.Popen[bytes]]:
    environ = {
        **{key: value for key, value in os.environ.items() if not key.startswith("CALLSTREAM_")},
        **{f"CALLSTREAM_{one}_LISTEN": address for one, address in (at or addresses()).items()},
        "CALLSTREAM_KAFKA": bootstrap,
        "CALLSTREAM_DATA_DIR": str(directory / "data"),
        "CALLSTREAM_TOPIC_PREFIX": f"stops{os.getpid()}{name}.",
        "CALLSTREAM_PARTITIONS": "2",
        "CALLSTREAM_TWILIO_ACCOUNT_SID": "AC" + "0" * 32,
        "CALLSTREAM_TWILIO_AUTH_TOKEN": "0" * 32,
        "CALLSTREAM_TWILIO_API_URL": "http://127.0.0.1:9",
        "CALLSTREAM_TWILIO_INSIGHTS_URL": "http://127.0.0.1:9",
        "CALLSTREAM_TWILIO_MONITOR_URL": "http://127.0.0.1:9",
        "CALLSTREAM_TELNYX_API_KEY": "KEY0",
        "CALLSTREAM_TELNYX_API_URL": "http://127.0.0.1:9",
        "PYTHONASYNCIODEBUG": "",
        **more,
    }
    with (directory / f"{name}.out").open("wb") as out:
        process = subprocess.Popen(
            [sys.executable, *program, *ROLES[name]],
            env=environ,
            stdin=subprocess.DEVNULL,
            stdout=out,
            stderr=out,
        )
    try:
        yield process
    finally:
        process.kill()
        process.wait()


def stopped(processes: Mapping[str, subprocess.Popen[bytes]], directory: Path, limit_s: float) -> None:
    """Asks them all to stop, and looks at how they do."""
    running = {name for name, process in processes.items() if process.poll() is None}
    assert running == set(processes), {name: said(directory, name) for name in set(processes) - running}
    for process in processes.values():
        process.send_signal(signal.SIGTERM)
    until = time.monotonic() + limit_s
    codes = {name: process.wait(max(1, until - time.monotonic())) for name, process in processes.items()}
    heard = {name: [word for word in NEVER_SEEN if word in said(directory, name)] for name in processes}
    assert (codes, heard) == (
        dict.fromkeys(processes, 0),
        {name: [] for name in processes},
    ), {name: said(directory, name) for name in processes}


def hears(process: subprocess.Popen[bytes]) -> bool:
    """Whether it has a handler for SIGTERM."""
    status = Path(f"/proc/{process.pid}/status").read_text()
    caught = next(line.split()[1] for line in status.splitlines() if line.startswith("SigCgt"))
    return bool(int(caught, 16) >> (signal.SIGTERM - 1) & 1)


def said(directory: Path, name: str) -> str:
    logs = [directory / f"{name}.out", *(directory / "data").glob("*.log" if name == "up" else "none")]
    return "\n".join(path.read_text(errors="replace")[-4000:] for path in logs)


@contextmanager
def nobody() -> Iterator[str]:
    yield f"127.0.0.1:{free_port()}"


@contextmanager
def silent() -> Iterator[str]:
    """It takes connections and answers nothing, as a frozen broker."""
    with socket.create_server(("127.0.0.1", 0)) as listening:
        yield f"127.0.0.1:{listening.getsockname()[1]}"


STARTING = """
import sys, time
from stream.broker import lifetime
from stream.cli.main import main

def start(*_, say, **__):
    say("Starting Apache Kafka …")
    time.sleep(60)

lifetime.start = start
main(sys.argv[1:])
"""


@pytest.mark.parametrize(
    ("name", "asked", "code"),
    [
        ("gateway", signal.SIGINT, 0),
        ("worker", signal.SIGINT, 0),
        ("up", signal.SIGINT, 0),
        ("simulate", signal.SIGINT, 130),
        ("simulate", signal.SIGTERM, 0),
    ],
)
def test_what_starts_its_broker_waits_for_no_broker_when_it_is_stopped(
    name: str, asked: signal.Signals, code: int, tmp_path: Path
) -> None:
    with role(name, tmp_path, "", program=("-c", STARTING)) as process:
        wait_until(lambda: "Starting" in said(tmp_path, name), "it starts a broker", 60)
        process.send_signal(asked)
        assert process.wait(10) == code
    assert not any(word in said(tmp_path, name) for word in NEVER_SEEN)


@pytest.mark.parametrize("broker_is", [nobody, silent])
@pytest.mark.e2e
def test_a_role_that_waits_for_a_broker_stops(broker_is: object, tmp_path: Path) -> None:
    with ExitStack() as stack:
        bootstrap = stack.enter_context(broker_is())  # type: ignore[operator]
        processes = {name: stack.enter_context(role(name, tmp_path, bootstrap)) for name in ROLES}
        wait_until(lambda: all(map(hears, processes.values())), "all of them hear signals", 60)
        time.sleep(2)  # by now they are asking for their broker
        stopped(processes, tmp_path, 60)


@pytest.mark.parametrize("harm", ["kill", "freeze"])
@pytest.mark.e2e
def test_a_role_whose_broker_is_away_stops(broker: RealBroker, harm: str, tmp_path: Path) -> None:
    with ExitStack() as stack:
        at = {name: addresses() for name in ROLES}
        processes = {
            name: stack.enter_context(role(name, tmp_path, broker.bootstrap, at[name])) for name in ROLES
        }
        wait_until(lambda: all(is_ready(name, at[name]) for name in ROLES), "all of them are ready", 180)
        getattr(broker, harm)()
        time.sleep(3)
        stopped(processes, tmp_path, 60)


@pytest.mark.e2e
def test_a_role_that_waits_for_a_frozen_database_stops(
    broker: RealBroker, postgresql_programs: Path, tmp_path: Path
) -> None:
    server = RealPostgresql(postgresql_programs)
    names, at, url = ("archive", "api"), addresses(), server.database()
    with ExitStack() as stack:
        stack.callback(server.stop)
        processes = {
            name: stack.enter_context(
                role(
                    name,
                    tmp_path,
                    broker.bootstrap,
                    at,
                    CALLSTREAM_ARCHIVE_URL=url,
                    CALLSTREAM_API_ARCHIVE_TIMEOUT_S="1",
                    CALLSTREAM_TOPIC_PREFIX=f"stops{os.getpid()}.",
                )
            )
            for name in names
        }
        wait_until(lambda: all(is_ready(name, at) for name in names), "both are ready", 60)
        wait_until(lambda: status_of(at["API"]) == 200, "the archive is read", 30)
        with server.frozen():
            produce(broker, f"stops{os.getpid()}.events.v1", [b"{}"])
            assert status_of(at["API"]) == 503
            time.sleep(2)
            stopped(processes, tmp_path, 20)


def status_of(api: str) -> int:
    return get_text(f"http://{api}/v1/calls")[0]
