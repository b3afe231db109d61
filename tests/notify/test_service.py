"""The role on a real Kafka, with a stub of each service: what each gets, and what is committed."""

from __future__ import annotations

import asyncio
import contextlib
import re
from collections.abc import Iterable
from typing import Any, NamedTuple

import orjson
import pytest
from confluent_kafka import Consumer, KafkaException, Producer, TopicPartition

from stream.kafka import topics
from stream.kafka.access import notify_group
from stream.kafka.acked_producer import RecordTooLargeError
from stream.kafka.oversized_records import SMALL_LETTER_BYTES
from stream.notify import service
from stream.service.http import client
from stream.service.settings import Settings
from stream.service.tables.notify_tables import RouteSetting
from tests.e2e.harness import lag, read_topic
from tests.notify.alerts import record
from tests.notify.sinks.stub_sinks import StubSinks, stub_sinks, until
from tests.real_broker import RealBroker

PARTITIONS = 4
IN_A_GROUP = ("pagerduty", "slack", "webhook")


def settings(broker: RealBroker, prefix: str, stub: StubSinks, **sinks: Any) -> Settings:
    """Facts are collected for a second."""
    chosen = stub.settings(**sinks)
    return Settings(
        kafka=broker.bootstrap,
        topic_prefix=prefix,
        partitions=PARTITIONS,
        session_timeout_s=6.0,
        notify_listen="127.0.0.1:0",
        notify_sinks=tuple(chosen),
        notify_routes=tuple(
            RouteSetting(sink=one.name, name=one.name, wait_s=1.0, interval_s=2.0) for one in chosen
        ),
    )


def produce(broker: RealBroker, prefix: str, records: Iterable[Any]) -> None:
    """Write alerts as the worker does: to the alerts by scope, and what fires by fingerprint."""
    names = topics.names(prefix)
    producer = Producer({"bootstrap.servers": broker.bootstrap, "log_level": 2})
    for one in records:
        if not isinstance(one, dict):
            producer.produce(names.alerts, one, key=b"x")
            continue
        value = orjson.dumps(one)
        producer.produce(names.alerts, value, key=one["scope"]["id"].encode())
        active = value if one["state"] == "firing" else None
        producer.produce(names.alerts_active, active, key=one["fingerprint"].encode())
    assert producer.flush(30) == 0


def endpoint(**fields: Any) -> dict[str, Any]:
    return record(
        "twilio:endpoint:AC1:https://app.example.com/voice",
        **{"rule": "webhook.failing", "severity": "critical", **fields},
    )


def begun(broker: RealBroker, prefix: str) -> bool:
    """Whether each sink's group has committed where it begins, in every partition."""
    partitions = [TopicPartition(topics.names(prefix).alerts, number) for number in range(PARTITIONS)]
    offsets = []
    for one in IN_A_GROUP:
        member = {"bootstrap.servers": broker.bootstrap, "group.id": notify_group(prefix, one)}
        with contextlib.closing(Consumer(member)) as consumer:
            try:
                offsets += [tp.offset for tp in consumer.committed(partitions, timeout=20)]
            except KafkaException:  # a new topic's leader is not known everywhere at once
                return False
    return min(offsets) >= 0


def committed(broker: RealBroker, prefix: str) -> bool:
    """Whether each sink's group has committed everything."""
    names = topics.names(prefix)
    return not any(lag(broker.bootstrap, notify_group(prefix, one), [names.alerts]) for one in IN_A_GROUP)


def told(stub: StubSinks) -> int:
    """Calls that Slack was told of."""
    found = (re.search(r": (\d+) calls? ", one["text"]) for one in stub.payloads("slack"))
    return sum(int(one[1]) for one in found if one)


def firing(stub: StubSinks) -> set[str]:
    """Rules of the alerts that Alertmanager was last told of."""
    return {one["labels"]["alertname"] for one in (stub.payloads("alertmanager") or [[]])[-1]}


async def test_every_sink_is_told_and_a_restart_repeats_nothing(broker: RealBroker, prefix: str) -> None:
    async with stub_sinks() as stub:
        chosen = settings(broker, prefix, stub)
        await topics.ensure(broker.bootstrap, chosen)
        produce(broker, prefix, [record("twilio:CA-before", rule="call.short")])
        calls = [record(f"twilio:CA{number}") for number in range(500)]
        async with service.serving(chosen) as notifier:
            await until(lambda: begun(broker, prefix), "the groups have begun at the end")
            produce(broker, prefix, [endpoint(), *calls, b"not an alert"])
            await until(lambda: all(map(stub.payloads, stub.received)), "every sink was told", 60)
            await until(lambda: told(stub) == 500, "of every call", 60)
            # Alertmanager is told first of what fires since before.
            fires = {"call.short", "call.failed", "webhook.failing"}
            await until(lambda: firing(stub) == fires, "Alertmanager, too")
            await until(lambda: committed(broker, prefix), "and all is committed")
            assert notifier.ready() == (True, [])
            assert notifier.live() == (True, [])
        assert stub.refused == []
        assert {name: len(found) <= 3 for name, found in stub.received.items()} == dict.fromkeys(
            stub.received, True
        )
        letters = read_topic(broker.bootstrap, topics.names(prefix).dead_letters)
        assert [(one.value, dict(one.headers)["reason"]) for one in letters] == [
            (b"not an alert", b"invalid_field")
        ] * len(IN_A_GROUP)
        before = {name: len(found) for name, found in stub.received.items() if name != "alertmanager"}
        async with service.serving(chosen):
            produce(broker, prefix, [endpoint(state="resolved", revision=2, ends_at="2026-11-20T22:20:00Z")])
            await until(lambda: len(stub.payloads("slack")) > before["slack"], "the end was told", 60)
            await until(lambda: committed(broker, prefix), "and committed")
        assert {name: len(stub.payloads(name)) for name in before} == {
            name: number + 1 for name, number in before.items()
        }
        assert stub.payloads("pagerduty")[-1]["event_action"] == "resolve"


async def test_a_sink_that_is_away_loses_nothing_and_holds_up_no_other(
    broker: RealBroker, prefix: str
) -> None:
    async with stub_sinks() as stub:
        chosen = settings(broker, prefix, stub)
        await topics.ensure(broker.bootstrap, chosen)
        async with service.serving(chosen) as notifier:
            await until(lambda: begun(broker, prefix), "the groups have begun")
            stub.away = {"slack", "alertmanager"}
            produce(broker, prefix, [record(f"twilio:CA{number}") for number in range(50)])
            await until(
                lambda: stub.payloads("webhook") and stub.payloads("pagerduty"), "the others are told"
            )
            await until(lambda: len(notifier.ready()[1]) == 2, "two sinks are named")
            assert notifier.ready() == (
                True,
                [
                    "the sink alertmanager takes nothing: status 503",
                    "the sink slack takes nothing: status 503",
                ],
            )
            shown = notifier.metrics.exposition()[0].decode()
            assert 'callstream_alert_sink_up{sink="slack"} 0.0' in shown
            assert 'callstream_alert_sink_up{sink="webhook"} 1.0' in shown
            produce(broker, prefix, [record(f"twilio:CA{number}") for number in range(50, 60)])
            await asyncio.sleep(1)
            assert not committed(broker, prefix)
            stub.away = set()
            await until(lambda: told(stub) == 60, "Slack is told of all calls", 60)
            await until(lambda: stub.payloads("alertmanager"), "Alertmanager, too")
            await until(lambda: notifier.ready() == (True, []), "no sink is named")
            await until(lambda: committed(broker, prefix), "all is committed")
        assert len(stub.payloads("slack")) <= 2


async def test_what_a_sink_refuses_or_does_not_take_in_its_time_is_a_dead_letter(
    broker: RealBroker, prefix: str
) -> None:
    async with stub_sinks() as stub:
        chosen = settings(broker, prefix, stub, retry_s=3.0)
        await topics.ensure(broker.bootstrap, chosen)
        async with service.serving(chosen):
            await until(lambda: begun(broker, prefix), "the groups have begun")
            stub.answers, stub.away = {"webhook": [400]}, {"slack"}
            produce(broker, prefix, [endpoint()])
            await until(lambda: committed(broker, prefix), "nothing waits any more", 60)
            await until(lambda: len(stub.payloads("pagerduty")) == 1, "PagerDuty has it")
        letters = read_topic(broker.bootstrap, topics.names(prefix).dead_letters)
        found = [(orjson.loads(one.value or b""), dict(one.headers)) for one in letters]
        assert [one for one, _ in found] == [endpoint()] * 2
        assert {headers["error"] for _, headers in found} == {
            b"the sink webhook answered status 400",
            b"the sink slack answered status 503",
        }
        assert {(headers["reason"], headers["stage"]) for _, headers in found} == {
            (b"undeliverable", b"notify")
        }


class Fetched(NamedTuple):
    value: bytes
    key: bytes = b"k"
    headers: tuple[tuple[str, bytes], ...] = ()
    topic: str = "calls.alerts.v1"
    partition: int = 0
    offset: int = 7


async def test_a_dead_letter_that_its_topic_does_not_take_whole_is_cut() -> None:
    """It was tried for ever, and nothing behind it was read."""
    taken: list[Any] = []

    async def send_all(records: Any, limit_s: float, *, headers: Any, **_: Any) -> None:
        if len(records[0].value) > 1 << 20:
            raise RecordTooLargeError("calls.dead-letters.v1", records)
        taken.append((records[0].key, records[0].value, dict(headers)["truncated"]))

    async with client.session() as http:
        notifier = service.Notifier(Settings(kafka="127.0.0.1:1"), http)
        notifier._producer.send_all = send_all  # type: ignore[method-assign, assignment]
        async with asyncio.timeout(0.5):
            await notifier._write_dead_letters([Fetched(b"x" * (2 << 20))], "not_json", "not an alert")
        await notifier.close()
    assert taken == [(b"k", b"x" * SMALL_LETTER_BYTES, b"%d" % (2 << 20))]


@pytest.mark.parametrize(
    ("trouble", "is_known", "sinks", "expected"),
    [
        (None, True, {"a": None}, (True, [])),
        (None, True, {"a": "status 503"}, (True, ["the sink a takes nothing: status 503"])),
        (None, False, {}, (False, ["it is not known yet what is firing"])),
        ("no broker", True, {}, (False, ["no broker"])),
    ],
)
def test_ready_is_who_can_use_kafka_and_sinks_that_take_nothing_are_named(
    trouble: str | None, sinks: dict[str, str | None], expected: object, *, is_known: bool
) -> None:
    assert service.ready(trouble, is_known=is_known, sinks=sinks) == expected
