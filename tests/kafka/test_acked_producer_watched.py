"""Readiness without traffic: an idle gateway or poller sees by itself that its topic takes no writes."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from types import SimpleNamespace
from typing import Any, NamedTuple

import pytest

from stream.kafka import acked_producer as landing
from stream.kafka import in_sync
from stream.kafka.acked_producer import AckedProducer, NotAcknowledgedError
from stream.kafka.in_sync import InSyncCheck
from tests.kafka.fake_producer import FakeProducer

TOPIC = "calls.callbacks.v1"
BELOW = "partition 0 of calls.callbacks.v1 has 1 replicas in sync, and min.insync.replicas is 2"


class Record(NamedTuple):
    key: bytes | None = b"k"
    value: bytes | None = b"v"


class Cluster:
    """Three nodes and their topic, as a client finds them."""

    def __init__(self) -> None:
        self.in_sync = [1, 2, 3]
        self.frozen: set[int] = set()
        self.least = 2
        self.cluster = SimpleNamespace(brokers=lambda: [SimpleNamespace(nodeId=node) for node in (1, 2, 3)])

    async def send(self, node: int, request: Any) -> Any:
        if node in self.frozen:
            await asyncio.sleep(60)
        parts = [{"partition": 0, "leader": 1, "isr": self.in_sync}]
        return SimpleNamespace(to_object=lambda: {"topics": [{"topic": TOPIC, "partitions": parts}]})

    def force_metadata_update(self) -> None:
        pass

    async def told_least(self) -> int:
        return self.least


@pytest.fixture
def cluster() -> Cluster:
    return Cluster()


@pytest.fixture
def producer(cluster: Cluster) -> FakeProducer:
    producer = FakeProducer()
    producer.client = cluster  # type: ignore[assignment]
    return producer


@pytest.fixture
async def acked(
    cluster: Cluster, producer: FakeProducer, monkeypatch: pytest.MonkeyPatch
) -> AsyncIterator[AckedProducer]:
    monkeypatch.setattr(landing, "PROBE_EVERY_S", 0.01)
    monkeypatch.setattr(landing, "PROBE_LIMIT_S", 0.1)

    async def opened() -> FakeProducer:
        return producer

    made = AckedProducer(
        TOPIC,
        {},
        produced=lambda *_: None,
        open_producer=opened,
        min_in_sync=cluster.told_least,
    )
    await made.start()
    watching = asyncio.create_task(made.watch())
    yield made
    watching.cancel()


async def until(acked: AckedProducer, trouble: str | None) -> None:
    async with asyncio.timeout(20):
        while acked.trouble() != trouble:
            await asyncio.sleep(0.01)


async def test_too_few_replicas_in_sync_are_trouble_without_any_traffic(
    acked: AckedProducer, cluster: Cluster
) -> None:
    cluster.in_sync = [1]
    await until(acked, BELOW)
    cluster.in_sync = [1, 2]
    await until(acked, None)


async def test_an_outage_is_logged_when_it_begins_and_when_it_ends(
    acked: AckedProducer, cluster: Cluster, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level("INFO", logger="callstream.producer")

    async def lines(wanted: int) -> list[str]:
        async with asyncio.timeout(20):
            while len(caplog.messages) < wanted:
                await asyncio.sleep(0.01)
        await asyncio.sleep(0.05)  # several more looks
        return caplog.messages

    cluster.in_sync = [1]
    began = f"{TOPIC} takes no records: {BELOW}"
    assert await lines(1) == [began]
    cluster.in_sync = [1, 2]
    assert await lines(2) == [began, f"{TOPIC} takes records again"]


async def test_two_frozen_brokers_of_three_are_trouble_though_all_are_said_to_be_in_sync(
    acked: AckedProducer, cluster: Cluster
) -> None:
    cluster.frozen = {2, 3}
    await until(acked, BELOW)
    cluster.frozen = {2}
    await until(acked, None)


async def test_a_record_that_lands_elsewhere_does_not_hide_it(acked: AckedProducer, cluster: Cluster) -> None:
    cluster.in_sync = [1]
    await until(acked, BELOW)
    await acked.send_all([Record()], 5)
    assert acked.trouble() == BELOW


async def test_what_waits_unacknowledged_is_trouble_until_it_is_acknowledged(
    acked: AckedProducer, producer: FakeProducer
) -> None:
    """Whatever the replicas look like: that they are in sync is what was."""
    producer.silent = True
    with pytest.raises(NotAcknowledgedError):
        await acked.send_all([Record()], 0.05)
    await asyncio.sleep(0.1)
    assert acked.trouble() == "the broker does not acknowledge records"
    producer.pending[0].set_result(None)
    await until(acked, None)


async def test_a_cluster_that_does_not_tell_its_least_is_asked_again(
    cluster: Cluster, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(in_sync, "SETTING_RETRY_S", 0.0)
    least = iter((OSError(), 2))

    async def told() -> int:
        found = next(least)
        if isinstance(found, OSError):
            raise found
        return found

    cluster.in_sync = [1]
    replicas = InSyncCheck(TOPIC, told)
    assert [await replicas.shortfall(cluster, 5) for _ in range(3)] == [None, BELOW, BELOW]
