"""What is said of topics that a lost node of three takes with it."""

from __future__ import annotations

import asyncio
import time
from dataclasses import astuple

import pytest
from click.testing import CliRunner
from confluent_kafka.admin import AdminClient, AlterConfigOpType, ConfigEntry, ConfigResource, ResourceType

from stream.cli.checkup.cluster import topic_risks
from stream.cli.main import main
from stream.kafka.topics import Topics, ensure, examine, names
from stream.service.settings import Settings
from tests.e2e.cluster.cluster import Cluster

pytestmark = pytest.mark.e2e


def kept(topics: Topics) -> tuple[str, ...]:
    """All topics but that of the ticks, which are sent again."""
    return tuple(name for name in astuple(topics) if name != topics.ticks)


async def test_topics_with_one_replica_or_one_in_sync_are_named(cluster: Cluster, prefix: str) -> None:
    """The nodes' own default is two replicas in sync."""
    single = Settings(topic_prefix=f"a{prefix}", partitions=2, replication=1)
    await ensure(cluster.bootstrap, single)
    found = await examine(cluster.bootstrap, single)
    assert (found.brokers, found.one_replica, found.one_in_sync) == (3, kept(names(f"a{prefix}")), ())
    assert len(topic_risks(found, single)) == 1

    safe = Settings(topic_prefix=f"b{prefix}", partitions=2, replication=3)
    await ensure(cluster.bootstrap, safe)
    found = await examine(cluster.bootstrap, safe)
    assert (found.one_replica, found.one_in_sync) == ((), ())
    entry = ConfigEntry("min.insync.replicas", "1", incremental_operation=AlterConfigOpType.SET)
    resource = ConfigResource(ResourceType.TOPIC, names(f"b{prefix}").ended, incremental_configs=[entry])
    admin = AdminClient({"bootstrap.servers": cluster.bootstrap})
    admin.incremental_alter_configs([resource])[resource].result(20)
    until = time.monotonic() + 10
    while not found.one_in_sync and time.monotonic() < until:  # the node that is asked may hear of it later
        await asyncio.sleep(0.1)
        found = await examine(cluster.bootstrap, safe)
    assert (found.one_replica, found.one_in_sync) == ((), (names(f"b{prefix}").ended,))


def test_the_command_warns(cluster: Cluster, prefix: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("CALLSTREAM_KAFKA", cluster.bootstrap)
    monkeypatch.setenv("CALLSTREAM_TOPIC_PREFIX", prefix)
    monkeypatch.setenv("CALLSTREAM_REPLICATION", "1")
    done = CliRunner().invoke(main, ["topics"])
    assert done.exit_code == 0
    assert f"warning: {prefix}callbacks.v1" in done.stderr
    assert "one replica, which a lost broker takes with it" in done.stderr
