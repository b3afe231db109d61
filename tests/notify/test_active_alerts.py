"""What is firing, read from a real Kafka, also where the topic is deleted and made again."""

from __future__ import annotations

import asyncio
from typing import Any

import orjson
import pytest
from confluent_kafka import Producer

from stream.kafka import topics
from stream.kafka.client.connection import connection
from stream.notify import active_alerts
from stream.notify.active_alerts import ActiveAlerts
from stream.notify.alert import ReceivedAlert
from stream.service.settings import Settings
from tests.archive.writing.test_recreated import made_again
from tests.notify.alerts import record
from tests.notify.sinks.stub_sinks import until
from tests.real_broker import RealBroker


def write(chosen: Settings, *changes: dict[str, Any]) -> None:
    """As the worker does: a tombstone for what has ended."""
    producer = Producer({"bootstrap.servers": chosen.kafka, "log_level": 2})
    for one in changes:
        active = orjson.dumps(one) if one["state"] == "firing" else None
        producer.produce(topics.names(chosen.topic_prefix).alerts_active, active, key=one["fingerprint"])
    assert producer.flush(30) == 0


async def test_what_fired_in_a_topic_that_was_deleted_and_made_again_has_ended(
    broker: RealBroker, prefix: str, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    """It fired at every sink until the role was restarted: nobody writes the tombstone of the old topic."""
    monkeypatch.setattr(active_alerts, "CHECK_S", 0.3)
    chosen = Settings(kafka=broker.bootstrap, topic_prefix=prefix, partitions=2)
    await topics.ensure(chosen.kafka, chosen)
    topic = topics.names(prefix).alerts_active
    old, ended, new = (record(f"twilio:CA{number}") for number in range(3))
    write(chosen, old, ended, ended | {"state": "resolved"})

    active, firing = ActiveAlerts(connection(chosen, "test"), topic), set[str]()

    def observe(fingerprint: str, alert: ReceivedAlert | None) -> None:
        firing.discard(fingerprint) if alert is None else firing.add(fingerprint)

    active.observers.append(observe)
    running = asyncio.create_task(active.run())
    try:
        await until(active.known.is_set, "what fires is known")
        assert firing == {old["fingerprint"]}
        await made_again(chosen, topic)
        await until(lambda: not firing, "nothing fires in the new topic")
        assert caplog.messages.count(f"{topic} was deleted and made again: it is read anew") == 1
        write(chosen, new)
        await until(lambda: firing == {new["fingerprint"]}, "what fires in the new topic is known")
        assert not running.done()
    finally:
        running.cancel()
        await asyncio.gather(running, return_exceptions=True)
