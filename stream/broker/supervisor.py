"""A small process between the owner and Java: when the owner ends, in whatever way, so does the broker.

It holds one end of a pipe to the owner, and stops when the pipe closes. It takes a BrokerTask as JSON and
answers with one line of JSON on stdout: {"pid": …} once the broker answers, or
{"failed": …, "port_taken": …}.
"""

from __future__ import annotations

import ctypes
import json
import os
import select
import signal
import subprocess
import sys
import time
from dataclasses import asdict, dataclass
from pathlib import Path
from types import FrameType

from stream.broker import ownership
from stream.broker.probe import cluster_id

START_LIMIT_S = 90.0
STOP_LIMIT_S = 10.0
_PR_SET_PDEATHSIG = 1


@dataclass(frozen=True)
class BrokerTask:
    """What to run: Java's arguments, its directory, the lock to hold, and how to see that it is ready."""

    command: list[str]
    directory: str
    lock: int
    port: int
    cluster_id: str

    def to_json(self) -> str:
        return json.dumps(asdict(self))


def main(argument: str) -> int:
    task = BrokerTask(**json.loads(argument))
    directory = Path(task.directory)
    signal.signal(signal.SIGTERM, _leave)
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    owner = os.getppid()
    try:
        out = open(directory / "broker.out", "wb")  # noqa: SIM115  closed below, after the answer to an error
    except OSError as error:
        _answer({"failed": f"its output cannot be kept: {error.strerror}"})
        return 1
    with out:
        java = subprocess.Popen(
            task.command,
            cwd=directory,
            stdin=subprocess.DEVNULL,
            stdout=out,
            stderr=out,
            pass_fds=(task.lock,),
            preexec_fn=_die_with_parent,  # safe: this process has one thread, which holds no lock
        )
    try:
        if not _becomes_ready(java, task, owner):
            return 1
        ownership.record_running(
            directory, ownership.RunningBroker(java.pid, os.getpid(), task.port, task.cluster_id)
        )
        _answer({"pid": java.pid})
        while java.poll() is None and not _owner_left(owner, wait_s=0.5):
            pass
        return 0 if java.poll() is None else 1
    finally:
        ownership.remove_record(directory)
        _stop(java)


def _becomes_ready(java: subprocess.Popen[bytes], task: BrokerTask, owner: int) -> bool:
    limit = time.monotonic() + START_LIMIT_S
    while time.monotonic() < limit:
        if java.poll() is not None:
            said = last_words(Path(task.directory))
            _answer(
                {
                    "failed": f"Kafka ended with exit code {java.returncode}. Its last lines:\n{said}",
                    "port_taken": "Address already in use" in said,
                }
            )
            return False
        if _owner_left(owner, wait_s=0.05):
            return False
        if cluster_id(task.port, timeout_s=1.0) == task.cluster_id:
            return True
    said = last_words(Path(task.directory))
    _answer({"failed": f"Kafka did not answer within {START_LIMIT_S:.0f} s. Its last lines:\n{said}"})
    return False


def last_words(directory: Path, lines: int = 15) -> str:
    """The last lines of the broker's log and of Java's output."""
    found: list[str] = []
    for name in ("broker.log", "broker.out"):
        try:
            with open(directory / name, "rb") as file:
                file.seek(max(0, os.fstat(file.fileno()).st_size - 6000))
                found += file.read().decode(errors="replace").splitlines()[-lines:]
        except OSError:
            continue
    return "\n".join(found)


def _owner_left(owner: int, *, wait_s: float) -> bool:
    """Whether the pipe is closed. The owner's children may hold it open, so the parent's id counts too."""
    readable, _, _ = select.select([0], [], [], wait_s)
    return (bool(readable) and not os.read(0, 100)) or os.getppid() != owner


def _answer(line: dict[str, object]) -> None:
    try:
        sys.stdout.write(json.dumps(line) + "\n")
        sys.stdout.flush()
    except OSError:
        pass  # the owner has ended, which the pipe shows next


def _stop(java: subprocess.Popen[bytes]) -> None:
    java.send_signal(signal.SIGCONT)  # a stopped process takes no SIGTERM
    java.terminate()
    try:
        java.wait(STOP_LIMIT_S)
    except subprocess.TimeoutExpired:
        java.kill()
        java.wait()


def _die_with_parent() -> None:
    """On Linux, Java does not outlive its supervisor either. Other systems cannot do that."""
    if sys.platform == "linux":
        ctypes.CDLL(None).prctl(_PR_SET_PDEATHSIG, signal.SIGKILL)


def _leave(_signal: int, _frame: FrameType | None) -> None:
    raise SystemExit(0)
