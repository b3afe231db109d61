"""Alerts out, with `callstream notify` as a process: killed in mid-burst, and with a sink that is away."""

from __future__ import annotations

import asyncio
import json
import time
from collections.abc import Iterator, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import asdict
from pathlib import Path
from typing import Any

import pytest

from stream.broker.ports import free_port
from stream.kafka import topics
from stream.service.settings import Settings
from tests.e2e.full_worker import get_text
from tests.e2e.harness import WorkerProcess, wait_until
from tests.e2e.poller import run_in_thread
from tests.notify.alerts import record
from tests.notify.sinks.stub_sinks import StubSinks, stub_sinks
from tests.notify.test_service import IN_A_GROUP, PARTITIONS, begun, committed, produce
from tests.real_broker import RealBroker

pytestmark = pytest.mark.e2e


def conditions(numbers: Sequence[int]) -> list[dict[str, Any]]:
    """So many failing endpoints: each is one notification."""
    return [
        record(
            f"twilio:endpoint:AC1:https://app.example.com/{number}",
            rule="webhook.failing",
            severity="critical",
        )
        for number in numbers
    ]


@contextmanager
def notifying(
    broker: RealBroker, prefix: str, directory: Path, stub: StubSinks, **route: Any
) -> Iterator[WorkerProcess]:
    """The process, ready, its groups at the end of the alerts."""
    chosen = Settings(kafka=broker.bootstrap, topic_prefix=prefix, partitions=PARTITIONS)
    asyncio.run(topics.ensure(broker.bootstrap, chosen))
    sinks = [{name: value for name, value in asdict(one).items() if value} for one in stub.settings()]
    port = free_port()
    process = WorkerProcess(
        ("-m", "stream.cli", "notify"),
        {
            "CALLSTREAM_KAFKA": broker.bootstrap,
            "CALLSTREAM_TOPIC_PREFIX": prefix,
            "CALLSTREAM_PARTITIONS": str(PARTITIONS),
            "CALLSTREAM_DATA_DIR": str(directory / "data"),
            "CALLSTREAM_NOTIFY_LISTEN": f"127.0.0.1:{port}",
            "CALLSTREAM_SESSION_TIMEOUT_S": "6",
            "CALLSTREAM_NOTIFY_SINKS": json.dumps(sinks),
            "CALLSTREAM_NOTIFY_ROUTES": json.dumps([{"sink": one["name"], **route} for one in sinks]),
        },
        directory / "notify.log",
    ).start()
    try:
        wait_until(lambda: get_text(f"http://127.0.0.1:{port}/readyz")[0] == 200, "notify is ready", 60)
        wait_until(lambda: begun(broker, prefix), "its groups have begun", 60)
        yield process
        if process.exit_code is None:
            code, _ = process.terminate()
            assert code == 0, process.output()
        assert "planted" not in process.log.read_text()
    finally:
        process.ensure_ended()


def keys(stub: StubSinks) -> dict[str, set[str]]:
    """The conditions that each sink was told of."""
    return {
        "pagerduty": {one["dedup_key"] for one in stub.payloads("pagerduty")},
        "webhook": {one["data"]["group"]["key"] for one in stub.payloads("webhook")},
        "slack": {one["blocks"][-1]["elements"][0]["text"].split("`")[1] for one in stub.payloads("slack")},
    }


def labels(stub: StubSinks) -> set[str]:
    return {one["labels"]["scope"] for payload in stub.payloads("alertmanager") for one in payload}


@pytest.mark.parametrize("successor", ["itself", "another"])
def test_notify_that_is_killed_in_mid_burst_loses_no_alert(
    broker: RealBroker, prefix: str, tmp_path: Path, successor: str
) -> None:
    """It is started again, or another process has half of the partitions and takes over the rest."""
    with (
        run_in_thread(stub_sinks()) as stub,
        notifying(broker, prefix, tmp_path, stub, per_minute=60) as process,
        ExitStack() as stack,
    ):
        if successor == "another":
            directory = tmp_path / "another"
            directory.mkdir()
            stack.enter_context(notifying(broker, prefix, directory, stub, per_minute=60))
        burst = conditions(range(100))
        expected = {one["fingerprint"] for one in burst}
        produce(broker, prefix, burst[:50])
        wait_until(lambda: 0 < len(keys(stub)["slack"]) < 50, "it is in the middle of the burst", 30)
        process.kill()
        produce(broker, prefix, burst[50:])
        if successor == "itself":
            process.start()
        wait_until(
            lambda: keys(stub) == dict.fromkeys(IN_A_GROUP, expected), "every sink was told of each", 180
        )
        wait_until(lambda: labels(stub) == {one["scope"]["id"] for one in burst}, "Alertmanager, too", 90)
        assert stub.refused == []
        repeated = {kind: len(stub.payloads(kind)) - len(expected) for kind in IN_A_GROUP}
        print(f"repeated after the kill: {repeated}")
        assert all(number <= 10 for number in repeated.values()), repeated


def test_five_hundred_failed_calls_in_a_minute_with_a_sink_away_are_three_notifications_and_none_is_lost(
    broker: RealBroker, prefix: str, tmp_path: Path
) -> None:
    with (
        run_in_thread(stub_sinks()) as stub,
        notifying(broker, prefix, tmp_path, stub, wait_s=10, interval_s=40),
    ):
        stub.away = {"slack"}
        began_s = time.monotonic()
        for second in range(50):
            produce(broker, prefix, [record(f"twilio:CA{second}-{number}") for number in range(10)])
            time.sleep(max(0.0, began_s + second * 1.2 - time.monotonic()))
        time.sleep(max(0.0, began_s + 60 - time.monotonic()))
        assert stub.payloads("slack") == []
        stub.away = set()
        wait_until(lambda: committed(broker, prefix), "everything was handed over", 120)
        assert stub.refused == []
        assert sum(one["data"]["fired"] for one in stub.payloads("webhook")) == 500
        for kind, found in stub.received.items():
            times = [at_s for at_s, _ in found]
            most = max(sum(at <= other < at + 60 for other in times) for at in times)
            assert most <= 3, (kind, times)
        assert [": 500 calls " in one["text"] for one in stub.payloads("slack")] == [True]
