"""The command's exit codes and what it prints, and a backfill from the question to the answer."""

from __future__ import annotations

import asyncio
import logging
import os
import signal
import subprocess
import sys
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any

import msgspec
import orjson
import pytest
from click.testing import CliRunner, Result

from stream.cli import backfill
from stream.cli.support.progress import ProgressLine
from stream.core.timestamps import utc
from stream.kafka import topics
from stream.kafka.acked_producer import AckedProducer
from stream.kafka.client.connection import Connection
from stream.poller.pages.paged_read import ReadResult
from stream.poller.resources.account import Account
from stream.poller.resources.resource import Resource
from stream.poller.schedule.backfills import Backfills
from stream.poller.schedule.planning import BackfillRefusedError
from stream.poller.schedule.progress import BackfillJob, new_job
from stream.poller.schedule.progress_store import ProgressStore
from stream.service.settings import Settings
from tests.poller.schedule.progress_fakes import FakeStore, account, resource, until
from tests.real_broker import RealBroker

NOW_US = 1_772_452_800_000_000
HOUR_US = 3_600_000_000
SPAN = ("--since", "2026-03-02T10:00:00Z", "--until", "2026-03-02T12:30:00Z")
JOB = new_job("twilio_call", "AC1", NOW_US - 2 * HOUR_US, NOW_US + HOUR_US // 2, NOW_US)


@pytest.fixture(autouse=True)
def bare(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    for name in [name for name in os.environ if name.startswith("CALLSTREAM_")]:
        monkeypatch.delenv(name)
    level = logging.getLogger("aiokafka").level
    yield
    logging.getLogger("aiokafka").setLevel(level)


def run(*arguments: str, **environment: str) -> Result:
    return CliRunner().invoke(backfill.command, list(arguments), env=environment)


@pytest.mark.parametrize(
    ("arguments", "expected"),
    [
        (["--since", "yesterday"], "a time is 2026-03-02T10:00:00Z (with its zone)"),
        (["--since", "1h", "--until", "2h"], "the beginning must lie before the end"),
        (["--since", "1h", "--until", "2100-01-01T00:00:00Z"], "the end lies in the future"),
        (["--since", "1h", "--again", "--cancel"], "either --again or --cancel"),
        ([], "--source and --since say what is read"),
        (["--list"], "--list lists all of them: it takes --json alone"),
        (["--since", "1h"], "no account of twilio is configured here: name it with --account"),
    ],
)
def test_what_cannot_be_asked_is_refused_with_a_reason_and_code_2(
    arguments: list[str], expected: str, tmp_path: Any
) -> None:
    environment = {"CALLSTREAM_DATA_DIR": str(tmp_path)}
    result = run("--source", "twilio_call", *arguments, **environment)
    assert (result.exit_code, result.stdout) == (2, "")
    assert result.stderr.startswith(f"Error: {expected}")
    result = run("--source", "twilio_call", *arguments, "--json", **environment)
    assert (result.exit_code, result.stderr) == (2, "")
    assert orjson.loads(result.stdout)["error"].startswith(expected)


def test_without_a_broker_the_code_is_4(tmp_path: Any) -> None:
    arguments = ("--source", "twilio_call", "--since", "1h", "--account", "AC1")
    result = run(*arguments, CALLSTREAM_DATA_DIR=str(tmp_path))
    assert (result.exit_code, result.stdout) == (4, "")
    assert result.stderr.startswith("Error: no broker runs here: set CALLSTREAM_KAFKA")
    result = run(*arguments, "--json", CALLSTREAM_DATA_DIR=str(tmp_path))
    assert (result.exit_code, result.stderr) == (4, "")
    assert orjson.loads(result.stdout)["error"].startswith("no broker runs here")


def test_an_unknown_source_is_a_usage_error() -> None:
    assert run("--source", "carrier_pigeon", "--since", "1h").exit_code == 2


@pytest.mark.parametrize(
    ("settings", "source", "given", "found"),
    [
        (Settings(twilio_account_sid="AC1", twilio_auth_token=("t",)), "twilio_call", None, "AC1"),
        (Settings(twilio_account_sid="AC1"), "twilio_call", None, "AC1"),
        (Settings(twilio_account_tokens=(("AC2", "t"),)), "twilio_call_event", None, "AC2"),
        (Settings(twilio_account_tokens=(("AC2", "t"), ("AC3", "t"))), "twilio_call", "AC3", "AC3"),
        (Settings(), "twilio_call", "AC4", "AC4"),
        (Settings(telnyx_api_key="k"), "telnyx_call_event", None, ""),
        (Settings(telnyx_api_key="k", telnyx_account_id="T1"), "telnyx_webhook_delivery", None, "T1"),
        (Settings(telnyx_account_id="T1"), "telnyx_call_event", None, "T1"),
    ],
)
def test_the_account_is_the_one_that_there_is_or_the_one_that_is_named(
    settings: Settings, source: str, given: str | None, found: str
) -> None:
    assert backfill.account_id(settings, source, given) == found


def test_of_several_accounts_none_is_guessed() -> None:
    several = Settings(twilio_account_tokens=(("AC2", "secret"), ("AC3", "secret")))
    with pytest.raises(
        BackfillRefusedError, match=r"^2 accounts of twilio are configured: name one with --account$"
    ):
        backfill.account_id(several, "twilio_call", None)


@dataclass
class Shown:
    states: list[tuple[str, float | None, bool]] = field(default_factory=list)
    said: list[str] = field(default_factory=list)
    warnings: list[str] = field(default_factory=list)

    def show(self, what: str, said: str, share: float | None, *, last: bool = False) -> None:
        self.states.append((what, share, last))
        self.said.append(said)

    def warn(self, text: str) -> None:
        self.warnings.append(text)


def changed(**fields: Any) -> BackfillJob:
    return msgspec.structs.replace(JOB, **fields)


async def test_a_job_that_nobody_takes_is_said_so_once_and_waited_for() -> None:
    store, shown = FakeStore(JOB), Shown()
    looking = asyncio.create_task(
        backfill.wait_until_finished(store, JOB.id, shown, patience_s=0.01)  # type: ignore[arg-type]
    )
    await until(lambda: shown.warnings)
    await asyncio.sleep(0.05)
    assert len(shown.warnings) == 1
    assert shown.warnings[0].startswith("no poller has reported progress")
    store.receive(changed(state="running", error="the provider does not answer", failing_since=utc(NOW_US)))
    await until(lambda: len(shown.states) == 2)
    assert shown.said[1].endswith(", failing since 2026-03-02T12:00:00.000000Z: the provider does not answer")
    await until(lambda: len(shown.warnings) == 2)
    store.receive(done := changed(state="done", done_until=JOB.until))
    async with asyncio.timeout(20):
        assert await looking == done
    assert shown.states == [("waiting", 0.0, False), ("running", 0.0, False), ("done", 1.0, True)]


async def test_a_job_that_is_removed_is_not_waited_for() -> None:
    with pytest.raises(BackfillRefusedError, match="it was removed"):
        await backfill.wait_until_finished(FakeStore(), JOB.id, Shown())  # type: ignore[arg-type]


def test_without_a_terminal_progress_is_plain_lines_and_the_end_is_always_said(
    capsys: pytest.CaptureFixture[str],
) -> None:
    half = changed(state="running", done_until=utc(NOW_US - 3 * HOUR_US // 4), rows=1234)
    assert backfill.read_share(half) == 0.5
    with ProgressLine() as shown:
        shown.show("waiting", "0 rows", 0.0)
        shown.show("running", "1,234 rows", 0.5)
        shown.show("done", "2,000 rows", 1.0, last=True)
        shown.show("done", "2,000 rows", 1.0, last=True)
        shown.show("writing", "5 deliveries", None, last=True)
    captured = capsys.readouterr()
    assert (captured.out, captured.err.splitlines()) == (
        "",
        ["waiting: 0 %, 0 rows", "done: 100 %, 2,000 rows", "writing: 5 deliveries"],
    )
    with ProgressLine(quiet=True) as shown:
        shown.show("done", "2,000 rows", 1.0, last=True)
        shown.warn("nobody")
    assert capsys.readouterr().err == ""


class Provider:
    """10 rows a URL, or what it is told to come to."""

    def __init__(self) -> None:
        self.outcome = "success"
        self.urls: list[str] = []

    def state_of(self, account: Account) -> str:
        return "running"

    async def read_window(
        self, resource: Resource, account: Account, url: str, priority: str, **_: Any
    ) -> ReadResult:
        self.urls.append(url)
        return ReadResult(self.outcome, 10, problem="" if self.outcome == "success" else "answered badly")

    async def read_call(self, *_: Any) -> ReadResult:
        raise AssertionError("no read by call is expected")


@contextmanager
def a_poller(bootstrap: str, prefix: str, provider: Provider) -> Iterator[None]:
    """A poller that does backfills, in a thread of its own."""
    loop, stop = asyncio.new_event_loop(), asyncio.Event()

    async def work() -> None:
        settings = Settings(topic_prefix=prefix, partitions=2)
        await topics.ensure(bootstrap, settings)
        topic, connection = topics.names(prefix).polling, Connection(bootstrap)
        lander = AckedProducer(topic, connection, produced=lambda *_: None)
        await lander.start()
        store = ProgressStore(topic, connection, lander)
        reading = asyncio.create_task(store.run())
        backfills = Backfills(
            [account()],
            {"twilio_call": resource("twilio_call")},
            store=store,
            reader=provider,  # type: ignore[arg-type]
        )
        await backfills.assign({0, 1}, 2)
        await stop.wait()
        await backfills.close()
        reading.cancel()
        await asyncio.wait([reading])
        await lander.close(5)

    thread = threading.Thread(target=lambda: loop.run_until_complete(work()))
    thread.start()
    try:
        yield
    finally:
        loop.call_soon_threadsafe(stop.set)
        thread.join()
        loop.close()


def ask(broker: RealBroker, prefix: str, *more: str) -> tuple[int, dict[str, Any]]:
    result = run(
        *("--source", "twilio_call", *SPAN, "--account", "AC1", "--json", *more),
        CALLSTREAM_KAFKA=broker.bootstrap,
        CALLSTREAM_TOPIC_PREFIX=prefix,
        CALLSTREAM_PARTITIONS="2",
    )
    assert result.stderr == ""
    return result.exit_code, orjson.loads(result.stdout)


@pytest.mark.broker
def test_a_backfill_is_done_shown_done_again_and_continued_after_a_failure(
    broker: RealBroker, prefix: str
) -> None:
    provider = Provider()
    with a_poller(broker.bootstrap, prefix, provider):
        provider.outcome = "auth_error"
        code, job = ask(broker, prefix)
        assert (code, job["state"], job["error"]) == (1, "failed", "auth_error: answered badly")
        provider.outcome = "success"
        code, job = ask(broker, prefix)
        assert (code, job["state"], job["rows"], job["asked"]) == (0, "done", 30, 2)
        assert job["done_until"] == job["until"] == "2026-03-02T12:30:00.000000Z"
        requests = len(provider.urls)
        assert ask(broker, prefix) == (0, job)
        assert len(provider.urls) == requests, "what is done is shown"
        code, again = ask(broker, prefix, "--again")
        assert (code, again["state"], again["rows"], again["asked"]) == (0, "done", 30, 3)
        assert len(provider.urls) == requests + 3
        assert ask(broker, prefix, "--cancel") == (2, {"error": "it is done already"})


@pytest.mark.broker
def test_looking_on_can_be_left_and_the_job_cancelled(broker: RealBroker, prefix: str) -> None:
    assert ask(broker, prefix, "--cancel") == (2, {"error": "the backfill does not exist"})
    environment = {
        **os.environ,
        "CALLSTREAM_KAFKA": broker.bootstrap,
        "CALLSTREAM_TOPIC_PREFIX": prefix,
        "CALLSTREAM_PARTITIONS": "2",
    }
    program = [sys.executable, "-m", "stream.cli", "backfill", "--source", "twilio_call", *SPAN]
    with subprocess.Popen(
        [*program, "--account", "AC1"], env=environment, stderr=subprocess.PIPE, text=True
    ) as looking:
        assert looking.stderr is not None
        while not (line := looking.stderr.readline()).startswith("waiting: 0 %"):
            assert line, "it ended"
        looking.send_signal(signal.SIGINT)
        rest = looking.stderr.read()
    assert (looking.returncode, rest) == (130, f"{backfill.DETACHED}\n")

    code, job = ask(broker, prefix, "--cancel")
    assert (code, job["state"], job["asked"]) == (0, "cancelled", 1)
    provider = Provider()
    with a_poller(broker.bootstrap, prefix, provider):
        code, job = ask(broker, prefix)
        assert (code, job["state"], job["asked"]) == (0, "done", 2)


@pytest.mark.broker
def test_what_the_provider_no_longer_answers_is_refused(broker: RealBroker, prefix: str) -> None:
    where = {"CALLSTREAM_KAFKA": broker.bootstrap, "CALLSTREAM_TOPIC_PREFIX": prefix}
    result = run("--source", "telnyx_call_event", *SPAN, **where)
    assert result.exit_code == 2
    assert "Telnyx returns telnyx_call_event by time for the last 24 hours only" in result.stderr


def test_a_kafka_that_is_not_there_is_said_with_code_4(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(backfill, "CONNECTED_WITHIN_S", 0.3)
    result = run(*("--source", "twilio_call", *SPAN, "--account", "AC1"), CALLSTREAM_KAFKA="127.0.0.1:1")
    assert result.exit_code == 4
    assert "127.0.0.1:1 was not ready within 0.3 s" in result.stderr
