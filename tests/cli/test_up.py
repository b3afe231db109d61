"""The settings and the end of the roles of `callstream up`."""

from __future__ import annotations

import asyncio
import signal
import socket
import subprocess
import sys
from collections.abc import AsyncIterator, Callable, Coroutine, Sequence
from contextlib import asynccontextmanager
from pathlib import Path
from types import SimpleNamespace
from typing import NoReturn

import pytest
from aiohttp import web
from aiohttp.test_utils import TestServer
from click.testing import CliRunner

from stream.cli.local.child_process import first_to_end
from stream.cli.local.observability import Programs
from stream.cli.local.simulation import (
    SIMULATED_SETTINGS,
    RehearsalPlan,
    simulate_arguments,
    simulated_pace,
)
from stream.cli.up import LocalStack, command, free_address
from stream.service.data_dir import DataDirError
from stream.service.settings import Settings, load
from stream.service.tables.notify_tables import SinkSetting
from stream.simulator.calls.options import LONGEST_TALK_S


def test_a_simulated_day_is_short_but_for_what_is_set_otherwise() -> None:
    assert {name.removeprefix("CALLSTREAM_").lower() for name in simulated_pace(Settings())} == set(
        SIMULATED_SETTINGS
    )
    assert load(simulated_pace(Settings())).time_factor == 60
    assert load(simulated_pace(Settings())).overdue_s >= LONGEST_TALK_S + 300
    lookback_s = load(simulated_pace(Settings())).poll_lookback_s
    assert LONGEST_TALK_S + 300 <= lookback_s < Settings().poll_lookback_s, "a pass comes every five seconds"
    assert "CALLSTREAM_OVERDUE_S" not in simulated_pace(Settings(overdue_s=77.0))


@pytest.mark.parametrize("options", [("--rate", "-5"), ("--rate", "0"), ("--rate", "nan"), ("--for", "inf")])
def test_a_rate_and_a_time_that_cannot_be_are_refused(options: tuple[str, str]) -> None:
    result = CliRunner().invoke(command, list(options))
    assert result.exit_code == 2
    assert f"Invalid value for '{options[0]}'" in result.stderr


@pytest.mark.parametrize(
    ("options", "environment", "said"),
    [
        (["--no-simulate"], {}, "not with --no-simulate"),
        ([], {"CALLSTREAM_KAFKA": "127.0.0.1:9"}, "needs the embedded Kafka"),
    ],
)
def test_an_incident_that_cannot_be_rehearsed_is_refused_before_anything_starts(
    options: list[str], environment: dict[str, str], said: str, tmp_path: Path
) -> None:
    environment = {"CALLSTREAM_DATA_DIR": str(tmp_path), **environment}
    result = CliRunner().invoke(command, ["--incident", "broker-slow", *options], env=environment)
    assert (result.exit_code, said in result.stderr) == (2, True), result.stderr


def test_a_rehearsal_has_healthy_traffic_but_for_its_incident() -> None:
    plan = RehearsalPlan("traffic-stops", 5, 7.5)
    usual, rehearsal = (simulate_arguments("http://127.0.0.1:1", 20, one) for one in (None, plan))
    assert {"--failed=0.15", "--drop=0.02"} <= set(usual)
    assert not [word for word in rehearsal if word.startswith(("--failed", "--drop"))]
    assert rehearsal[-6:] == [
        *("--incident", "traffic-stops", "--incident-after", "5", "--incident-for", "7.5")
    ]


def test_where_a_real_account_is_read_time_runs_as_it_does() -> None:
    assert simulated_pace(Settings(telnyx_api_key="k")) == {}


async def _ends(error: Exception | None = None) -> None:
    if error is not None:
        raise error


async def _lasts() -> None:
    await asyncio.Event().wait()


async def test_a_view_that_dies_is_said_without_what_it_died_of() -> None:
    said = await ended(_lasts(), view=_ends(ValueError("secret +14155550123")), worker=_lasts())
    assert said == "The view ended unexpectedly: ValueError."
    assert await ended(_lasts(), worker=_ends()) == "The worker ended unexpectedly."


async def test_who_is_asked_to_stop_says_nothing() -> None:
    assert await ended(_ends(), view=_lasts()) is None


async def ended(stop: Coroutine[None, None, None], **running: Coroutine[None, None, None]) -> str | None:
    tasks = {name: asyncio.create_task(work) for name, work in running.items()}
    stopping = asyncio.create_task(stop)
    try:
        return await first_to_end(stopping, tasks)
    finally:
        for task in (stopping, *tasks.values()):
            task.cancel()


async def test_a_local_stack_whose_view_fails_says_so_and_ends_with_1(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    class Broken(LocalStack):
        async def _work(self) -> str | None:
            return await ended(_lasts(), view=_ends(ValueError("x")))

    @asynccontextmanager
    async def there(chosen: Settings, *, say: Callable[[str], None]) -> AsyncIterator[object]:
        yield SimpleNamespace(bootstrap="127.0.0.1:1")

    async def ensured(*_: object) -> list[str]:
        return []

    monkeypatch.setattr("stream.cli.up.embedded", there)
    monkeypatch.setattr("stream.cli.up.ensured_topics", ensured)
    chosen = Settings(data_dir=tmp_path, twilio_auth_token=("t",))
    assert await Broken(chosen, rate=0, plain=True).run(None) == 1
    out = capsys.readouterr().out
    assert "The view ended unexpectedly: ValueError.\n" in out
    assert out.startswith("warning: CALLSTREAM_PUBLIC_URL is not set: a request's Host header chooses")


SLOW_KAFKA = """
import asyncio, sys, time
from pathlib import Path
from stream.broker import lifetime
from stream.cli.up import LocalStack
from stream.service.settings import Settings

def start(*_, say, **__):
    say("begins")
    time.sleep(60)

lifetime.start = start
sys.exit(asyncio.run(LocalStack(Settings(data_dir=Path(sys.argv[1])), rate=0, plain=True).run(None)))
"""


def test_ctrl_c_does_not_wait_for_kafka_to_start(tmp_path: Path) -> None:
    command = [sys.executable, "-c", SLOW_KAFKA, str(tmp_path)]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as process:
        assert process.stdout is not None
        while process.stdout.readline() != "begins\n":
            assert process.poll() is None
        process.send_signal(signal.SIGINT)
        try:
            assert process.wait(20) == 0
        finally:
            process.kill()
        assert process.stdout.read() == "Stopped.\n"


async def test_roles_are_stopped_before_kafka_also_where_nobody_reads_what_is_said(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    done: list[str] = []

    class Child:
        async def stop(self) -> None:
            done.append("role stopped")

    class Unread(LocalStack):
        async def _work(self) -> str | None:
            self._children = [Child()]  # type: ignore[list-item]
            monkeypatch.setattr("stream.cli.up.say", closed)
            closed()

    def closed(*_: object) -> NoReturn:
        raise BrokenPipeError

    @asynccontextmanager
    async def there(chosen: Settings, *, say: Callable[[str], None]) -> AsyncIterator[object]:
        try:
            yield SimpleNamespace(bootstrap="127.0.0.1:1")
        finally:
            done.append("broker stopped")

    async def ensured(*_: object) -> list[str]:
        return []

    monkeypatch.setattr("stream.cli.up.embedded", there)
    monkeypatch.setattr("stream.cli.up.ensured_topics", ensured)
    with pytest.raises(BrokenPipeError):
        await Unread(Settings(data_dir=tmp_path), rate=0, plain=True).run(None)
    assert done == ["role stopped", "broker stopped"]


async def test_a_directory_that_prometheus_cannot_have_is_said_before_a_role_starts(tmp_path: Path) -> None:
    begun: list[str] = []

    class Noted(LocalStack):
        def _begin(self, name: str, *_: object) -> asyncio.Task[int]:
            begun.append(name)
            return asyncio.create_task(asyncio.sleep(0, 0))

    (tmp_path / "prometheus").write_text("")
    chosen = Settings(data_dir=tmp_path, kafka="127.0.0.1:1")
    with pytest.raises(DataDirError):
        await Noted(chosen, rate=0, plain=True, programs=Programs("prometheus", None))._work()
    assert begun == []


async def test_the_worker_has_the_processes_that_were_asked_for(tmp_path: Path) -> None:
    begun: dict[str, list[str]] = {}

    class Noted(LocalStack):
        def _begin(self, name: str, command: Sequence[str], *_: object) -> asyncio.Task[int]:
            begun[name] = list(command)
            return asyncio.create_task(asyncio.sleep(0, 0))

    chosen = Settings(data_dir=tmp_path, kafka="127.0.0.1:1")
    await Noted(chosen, rate=0, plain=True, workers=3)._work()
    assert begun["worker"][-2:] == ["worker", "--processes=3"]
    refused = CliRunner().invoke(
        command,
        ["--workers", "13"],
        env={"CALLSTREAM_PARTITIONS": "12", "CALLSTREAM_DATA_DIR": str(tmp_path)},
    )
    assert (refused.exit_code, "CALLSTREAM_PARTITIONS=12" in refused.stderr) == (2, True), refused.stderr


@pytest.mark.parametrize("told", ["", "https://calls.example.com"])
async def test_alerts_link_to_the_page_of_the_api_unless_another_address_is_set(
    told: str, tmp_path: Path
) -> None:
    environments: dict[str, dict[str, str]] = {}

    class Noted(LocalStack):
        def _begin(self, name: str, command: Sequence[str], environ: dict[str, str]) -> asyncio.Task[int]:
            environments[name] = environ
            return asyncio.create_task(asyncio.sleep(0, 0))

    chosen = Settings(data_dir=tmp_path, kafka="127.0.0.1:1", ui_url=told)
    await Noted(chosen, rate=0, plain=True)._work()
    address = environments["api"]["CALLSTREAM_API_LISTEN"]
    assert environments["worker"]["CALLSTREAM_UI_URL"] == (told or f"http://{address}")


async def test_the_poller_starts_when_the_simulated_providers_answer(tmp_path: Path) -> None:
    begun: list[str] = []

    class Noted(LocalStack):
        def _begin(self, name: str, *_: object) -> asyncio.Task[int]:
            begun.append(name)
            return asyncio.create_task(_code())

    async def _code() -> int:
        return 0

    async def provider(_: web.Request) -> web.Response:
        begun.append("provider asked")
        return web.Response(status=401)

    providers = web.Application()
    providers.router.add_get("/", provider)
    async with TestServer(providers) as server:
        listen = f"127.0.0.1:{server.port}"
        await Noted(Settings(data_dir=tmp_path), rate=20, plain=True)._poll(
            {"CALLSTREAM_SIMULATE_LISTEN": listen}
        )
    assert begun == ["provider asked", "poller"]


@pytest.mark.parametrize("sinks", [(), (SinkSetting(name="log", type="log"),)])
async def test_alerts_are_handed_on_where_a_sink_is_configured(
    sinks: tuple[SinkSetting, ...], tmp_path: Path
) -> None:
    begun: list[str] = []

    class Noted(LocalStack):
        def _begin(self, name: str, *_: object) -> asyncio.Task[int]:
            begun.append(name)
            return asyncio.create_task(_code())

    async def _code() -> int:
        return 0

    chosen = Settings(data_dir=tmp_path, kafka="127.0.0.1:9", notify_sinks=sinks)
    await Noted(chosen, rate=0, plain=True)._work()
    assert ("notify" in begun) is bool(sinks)


@pytest.mark.parametrize(
    ("held", "listen"), [("127.0.0.1", "127.0.0.1"), ("127.0.0.2", "0.0.0.0"), ("::1", "[::1]")]
)
def test_a_port_that_is_taken_is_replaced_and_the_role_is_named(held: str, listen: str) -> None:
    said: list[str] = []
    family = socket.AF_INET6 if ":" in held else socket.AF_INET
    with socket.create_server((held, 0), family=family) as taken:
        port = taken.getsockname()[1]
        found = free_address("worker", f"{listen}:{port}", said.append)
    assert found != f"{listen}:{port}"
    free = found.rpartition(":")[2]
    assert said == [f"Port {port} is in use by another program; the worker is at port {free}."]


def test_a_host_that_is_not_of_this_machine_is_left_to_the_role_which_says_so() -> None:
    said: list[str] = []
    assert free_address("worker", "192.0.2.1:8081", said.append) == "192.0.2.1:8081"
    assert said == []


def test_a_port_of_the_systems_choice_is_not_said_to_be_taken() -> None:
    said: list[str] = []
    assert free_address("worker", "127.0.0.1:0", said.append) != "127.0.0.1:0"
    assert said == []
