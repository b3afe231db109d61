"""What `callstream up` asks of a machine at ordinary load: the share of a core of each role and the broker.

    python -m tests.bench.ordinary --rates 0,10,100 --tree ../before

The times are the kernel's, of every process of the run. A JVM compiles itself for two minutes, so nothing
counts before. The view is plain lines, and what it asks of the worker counts, as it does for its user.
"""

from __future__ import annotations

import contextlib
import os
import signal
import subprocess
import sys
import tempfile
import time
import urllib.request
from collections import Counter
from collections.abc import Callable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

import click

from stream.broker.ports import free_port
from tests.bench.ground import ROOT, CandidateFailed

RATES = (0, 10, 100)
WARM_S, MEASURED_S = 120.0, 60.0
START_LIMIT_S, STOP_LIMIT_S = 120.0, 40.0
ROLES = ("gateway", "worker", "poller", "simulate")
COUNTED = {
    "batches": "callstream_transaction_duration_seconds_count",
    "deliveries": "callstream_events_processed_total",
}
"""Of the worker's metrics."""
_TICKS = os.sysconf("SC_CLK_TCK")


def measure(
    rates: Sequence[int] = RATES,
    warm_s: float = WARM_S,
    measured_s: float = MEASURED_S,
    tree: Path = ROOT,
    say: Callable[[str], None] = lambda _: None,
) -> dict[str, Any]:
    """By rate (webhooks a second): cores of each role, batches and deliveries a second."""
    found = {}
    for rate in rates:
        say(f"callstream up at {rate}/s for {warm_s + measured_s:.0f} s")
        found[str(rate)] = _measure_one(rate, warm_s, measured_s, tree)
    return found


def _measure_one(rate: int, warm_s: float, measured_s: float, tree: Path) -> dict[str, Any]:
    with (
        tempfile.TemporaryDirectory(prefix="callstream-bench-") as folder,
        _up(rate, Path(folder), tree) as up,
    ):
        metrics = up.environ["CALLSTREAM_WORKER_LISTEN"]
        up.wait_started(metrics)
        up.wait(warm_s)
        counted, before, began = _counted(metrics), cpu_seconds(up.session, folder), time.monotonic()
        up.wait(measured_s)
        seconds = time.monotonic() - began
        after, counts = cpu_seconds(up.session, folder), _counted(metrics)
    shares = {role: (after[role] - before[role]) / seconds for role in sorted(after)}
    return {"cores": shares} | {name: (counts[name] - counted[name]) / seconds for name in COUNTED}


class _Up:
    """A running `callstream up`, the leader of its session."""

    def __init__(self, process: subprocess.Popen[bytes], environ: Mapping[str, str], out: Path) -> None:
        self.session = process.pid
        self.environ = environ
        self._process = process
        self._out = out

    def wait(self, seconds: float) -> None:
        """Raises CandidateFailed if it ends meanwhile."""
        with contextlib.suppress(subprocess.TimeoutExpired):
            self._process.wait(seconds)
            raise CandidateFailed(f"callstream up ended:\n{self._said()}")

    def wait_started(self, metrics: str) -> None:
        """Wait for the worker's metrics. Raises CandidateFailed."""
        limit = time.monotonic() + START_LIMIT_S
        while time.monotonic() < limit:
            self.wait(1.0)
            with contextlib.suppress(OSError):
                _counted(metrics)
                return
        raise CandidateFailed(f"the worker did not start:\n{self._said()}")

    def _said(self) -> str:
        return self._out.read_text(errors="replace")[-3000:]


@contextlib.contextmanager
def _up(rate: int, folder: Path, tree: Path) -> Iterator[_Up]:
    environ = {
        **{name: value for name, value in os.environ.items() if not name.startswith("CALLSTREAM_")},
        **{name: os.environ[name] for name in ("CALLSTREAM_CACHE_DIR",) if name in os.environ},
        **{
            f"CALLSTREAM_{role.upper()}_LISTEN": f"127.0.0.1:{free_port()}"
            for role in (*ROLES, "gateway_health")
        },
        "CALLSTREAM_DATA_DIR": str(folder),
        "PYTHONPATH": str(tree),
    }
    load = ["--rate", str(rate)] if rate else ["--no-simulate"]
    out = folder / "up.txt"
    with out.open("wb") as written:
        process = subprocess.Popen(
            [sys.executable, "-m", "stream.cli", "up", "--plain", *load],
            stdin=subprocess.DEVNULL,
            stdout=written,
            stderr=written,
            cwd=folder,
            env=environ,
            start_new_session=True,
        )
    try:
        yield _Up(process, environ, out)
    finally:
        process.send_signal(signal.SIGINT)
        try:
            process.wait(STOP_LIMIT_S)
        except subprocess.TimeoutExpired:
            os.killpg(process.pid, signal.SIGKILL)
            process.wait()


def cpu_seconds(session: int, folder: str) -> Counter[str]:
    """Processor seconds by role of the processes of a session, and of the broker, which has its own and works
    in `folder`.

    Of a worker of several processes it is the sum.
    """
    found: Counter[str] = Counter()
    for process in Path("/proc").iterdir():
        if not process.name.isdigit():
            continue
        try:
            stat = (process / "stat").read_text().rpartition(")")[2].split()
            command = (process / "cmdline").read_text().split("\0")
            works_in = (process / "cwd").readlink()
        except OSError:  # it has ended
            continue
        if int(stat[3]) == session or works_in.is_relative_to(folder):
            found[_role(command)] += (int(stat[11]) + int(stat[12])) / _TICKS
    return found


def _role(command: Sequence[str]) -> str:
    if "java" in Path(command[0]).name:
        return "broker"
    return next((role for role in ROLES if role in command), "up")


def _counted(address: str) -> dict[str, float]:
    with urllib.request.urlopen(f"http://{address}/metrics", timeout=10) as response:
        lines = response.read().decode().splitlines()
    return {
        name: sum(float(line.split()[-1]) for line in lines if line.startswith((family + "{", family + " ")))
        for name, family in COUNTED.items()
    }


@click.command()
@click.option("--rates", default=",".join(map(str, RATES)), show_default=True, help="Webhooks a second.")
@click.option("--warm", type=float, default=WARM_S, show_default=True, help="Seconds that do not count.")
@click.option("--seconds", type=float, default=MEASURED_S, show_default=True)
@click.option("--tree", type=click.Path(exists=True, file_okay=False, path_type=Path), default=ROOT)
def main(rates: str, warm: float, seconds: float, tree: Path) -> None:
    """Measure a checkout at ordinary load."""
    for rate in map(int, rates.split(",")):
        found = _measure_one(rate, warm, seconds, tree.resolve())
        cores = ", ".join(f"{role} {share:.1%}" for role, share in found["cores"].items())
        a_second = ", ".join(f"{found[name]:.1f} {name} a second" for name in COUNTED)
        print(f"{rate}/s: {cores}; {a_second}")


if __name__ == "__main__":
    main()
