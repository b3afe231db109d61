"""Several processes of a worker and their supervisor, with small programs in the workers' place."""

from __future__ import annotations

import asyncio
import os
import signal
import socket
import sys
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import pytest
from aiohttp import ClientSession
from click.testing import CliRunner

from stream.broker.ports import free_port
from stream.cli import worker_processes
from stream.cli.local import child_process
from stream.cli.local.figures import WatchedRole
from stream.cli.roles import worker
from stream.cli.worker_processes import process_count, supervise
from stream.service.data_dir import DataDirError
from stream.service.http import health
from stream.service.settings import Settings, SettingsError

SERVING = """
import asyncio, os
from stream.service.http import health
from stream.service.metrics.worker import WorkerMetrics
from stream.service.metrics import worker_families as f
from stream.service.process import stop_asked

async def main():
    metrics = WorkerMetrics()
    metrics.phase("running")
    metrics.count(f.REBALANCES)
    metrics.count(f.CALL_INSIGHTS_EVENTS, "carrier_edge", "error", n=10)
    with stop_asked() as asked:
        async with health.serve(
            os.environ["CALLSTREAM_WORKER_LISTEN"],
            metrics=metrics.exposition, live=lambda: (True, ()), ready=lambda: (True, ()),
        ):
            await asyncio.wait_for(asked.wait(), 60)

asyncio.run(main())
"""


@pytest.fixture(autouse=True)
def short_pauses(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(child_process, "FIRST_PAUSE_S", 0.01)
    monkeypatch.setattr(health, "SCRAPE_S", 0.0)


def run_instead(monkeypatch: pytest.MonkeyPatch, program: str) -> None:
    """Each process runs this program; its arguments are those of the command."""
    monkeypatch.setattr(
        worker_processes, "callstream", lambda *arguments: [sys.executable, "-c", program, *arguments]
    )


@asynccontextmanager
async def supervised(chosen: Settings) -> AsyncIterator[tuple[ClientSession, asyncio.Task[int]]]:
    running = asyncio.create_task(supervise(2, verbose=False, chosen=chosen))
    try:
        async with ClientSession(f"http://{chosen.worker_listen}") as client:
            yield client, running
    finally:
        running.cancel()
        await asyncio.gather(running, return_exceptions=True)


async def until(true: Callable[[], Awaitable[bool]]) -> None:
    async with asyncio.timeout(30):
        while not await true():
            await asyncio.sleep(0.02)


async def ready(client: ClientSession) -> tuple[int, list[str]]:
    try:
        async with client.get("/readyz") as answer:
            return answer.status, (await answer.json())["reasons"]
    except OSError:  # it does not listen yet
        return 0, []


async def series(client: ClientSession) -> dict[str, str]:
    async with client.get("/metrics") as answer:
        lines = (await answer.text()).splitlines()
    return dict(line.rsplit(" ", 1) for line in lines if not line.startswith("#"))


def processes_of(number: int) -> list[int]:
    """The processes of this test that run as that number of a worker."""
    found = []
    for one in Path("/proc").glob("[0-9]*"):
        try:
            arguments = (one / "cmdline").read_bytes().split(b"\0")
            parent = int((one / "stat").read_text().rpartition(")")[2].split()[1])
        except OSError:
            continue
        if parent == os.getpid() and arguments[-3:-1] == [b"--process", str(number).encode()]:
            found.append(int(one.name))
    return found


@pytest.mark.skipif(sys.platform != "linux", reason="it finds the processes in /proc")
async def test_two_processes_answer_as_one_and_one_that_is_killed_is_started_again(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    run_instead(monkeypatch, SERVING)
    systemd = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)
    systemd.bind(str(tmp_path / "notify"))
    systemd.settimeout(30)
    monkeypatch.setenv("NOTIFY_SOCKET", str(tmp_path / "notify"))
    chosen = Settings(
        worker_listen=f"127.0.0.1:{free_port()}", data_dir=tmp_path, instance_id="host", kafka="k:1"
    )
    events = 'callstream_call_insights_events_total{edge="carrier_edge",level="error"}'

    async with supervised(chosen) as (client, running):
        with systemd:
            assert await asyncio.to_thread(systemd.recv, 100) == b"READY=1"
        assert await ready(client) == (200, [])
        (first,), (second,) = processes_of(1), processes_of(2)
        environ = Path(f"/proc/{second}/environ").read_text().split("\0")
        assert {
            "CALLSTREAM_KAFKA=k:1",
            f"CALLSTREAM_DATA_DIR={tmp_path / 'worker-2'}",
            "CALLSTREAM_INSTANCE_ID=host-2",
        } <= set(environ)
        assert not [line for line in environ if line.startswith("NOTIFY_SOCKET=")]
        assert os.getpgid(second) == second, "a Ctrl-C of the terminal would reach it, beside the SIGTERM"

        before = await series(client)
        assert before[events] == "20.0"
        running_2 = 'callstream_worker_state{process="2",state="running"}'
        assert before[running_2] == "1.0"

        os.kill(second, signal.SIGSTOP)
        stopped, said = await asyncio.gather(series(client), ready(client))
        assert (stopped[events], stopped[running_2]) == ("20.0", "0.0")
        assert said == (503, ["process 2: it does not answer"])
        shown = WatchedRole(f"http://{chosen.worker_listen}")
        async with ClientSession() as of_the_live_view:
            await shown.look(of_the_live_view, 0.0)
        assert shown.reasons == ["process 2: it does not answer"]

        os.kill(second, signal.SIGKILL)

        async def is_another() -> bool:
            return processes_of(2) not in ([], [second]) and await ready(client) == (200, [])

        await until(is_another)
        after = await series(client)
        assert after[events] == "30.0"
        assert after['callstream_rebalances_total{process="2"}'] == "1.0"
        assert processes_of(1) == [first]

        os.kill(os.getpid(), signal.SIGTERM)
        assert await running == 0
    assert processes_of(1) + processes_of(2) == []


async def test_an_exit_code_that_no_start_changes_ends_all(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    program = (
        "import sys, time\n"
        "if sys.argv[-1] == '1': time.sleep(60)\n"
        f"begun = open({str(tmp_path / 'begun')!r}, 'a+')\n"
        "begun.write('.'); begun.flush(); begun.seek(0)\n"
        "sys.exit(75 if len(begun.read()) < 3 else 78)\n"
    )
    run_instead(monkeypatch, program)
    chosen = Settings(worker_listen="127.0.0.1:0", data_dir=tmp_path)
    async with supervised(chosen) as (_, running), asyncio.timeout(30):
        assert await running == 78
    said = [record.getMessage() for record in caplog.records]
    assert [line.partition(";")[0] for line in said if "ended with" in line] == [
        "worker processes: the process 2 ended with 75",
        "worker processes: the process 2 ended with 75",
        "process 2 ended with 78: stopping all",
    ]


async def test_a_data_directory_of_all_that_cannot_be_used_is_said_before_a_process_starts(
    tmp_path: Path,
) -> None:
    (tmp_path / "file").write_text("")
    with pytest.raises(DataDirError):
        await supervise(2, False, Settings(data_dir=tmp_path / "file"))


@pytest.mark.parametrize(
    ("chosen", "count"),
    [
        ({}, 1),
        ({"worker_processes": 3}, 3),
        ({"worker_processes": 0}, 7),
        ({"worker_processes": 0, "partitions": 4}, 4),
    ],
)
def test_auto_leaves_one_cpu_and_each_process_a_partition(
    chosen: dict[str, Any], count: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(worker_processes, "usable_cpus", lambda: 8)
    assert process_count(Settings(**chosen)) == count


def test_one_cpu_has_one_process(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(worker_processes, "usable_cpus", lambda: 1)
    assert process_count(Settings(worker_processes=0)) == 1


def test_more_processes_than_partitions_are_refused(tmp_path: Path) -> None:
    with pytest.raises(SettingsError, match="CALLSTREAM_PARTITIONS=2"):
        process_count(Settings(worker_processes=3, partitions=2))
    for option, said in (
        ("13", "CALLSTREAM_PARTITIONS=12"),
        ("some", "CALLSTREAM_WORKER_PROCESSES=some"),
        ("0", "or auto"),
    ):
        done = CliRunner().invoke(worker, ["--processes", option], standalone_mode=True)
        assert (done.exit_code, said in done.output) == (2, True), done.output
