"""The topics on the real Kafka: made once, checked always."""

from __future__ import annotations

import asyncio
import json
import os
import subprocess
import sys
import time
from dataclasses import astuple, replace
from types import SimpleNamespace
from typing import Any

import pytest
from click.testing import CliRunner
from confluent_kafka.admin import AdminClient, ConfigResource, NewPartitions, NewTopic

from stream.cli.main import main
from stream.kafka.client.connection import connection
from stream.kafka.topics import (
    POLICIES,
    Examined,
    TooFewBrokersError,
    TopicError,
    TopicMismatch,
    _with_replicas,
    app_id,
    ensure,
    examine,
    make_missing,
    names,
    partitions_in_use,
)
from stream.service.settings import Settings


def described(bootstrap: str, topic: str) -> dict[str, str]:
    resource = ConfigResource(ConfigResource.Type.TOPIC, topic)
    admin = AdminClient({"bootstrap.servers": bootstrap})  # its answers end with it
    answer: Any = admin.describe_configs([resource])
    return {name: entry.value for name, entry in answer[resource].result(20).items()}


def grow(bootstrap: str, topic: str, partitions: int) -> None:
    admin = AdminClient({"bootstrap.servers": bootstrap})
    admin.create_partitions([NewPartitions(topic, partitions)])[topic].result(20)
    while len(admin.list_topics(topic, timeout=20).topics[topic].partitions) != partitions:
        time.sleep(0.05)


def make(bootstrap: str, topic: str, partitions: int, config: dict[str, str] | None = None) -> None:
    admin = AdminClient({"bootstrap.servers": bootstrap})
    admin.create_topics([NewTopic(topic, partitions, 1, config=config or {})])[topic].result(20)
    limit = time.monotonic() + 20
    while topic not in admin.list_topics(timeout=20).topics:  # the controller tells the broker a little later
        assert time.monotonic() < limit
        time.sleep(0.05)


def test_the_application_id_and_the_changelog_come_from_the_prefix() -> None:
    assert app_id("calls.") == "calls-worker"
    assert names("calls.").changelog == "calls-worker-calls-changelog"
    assert names("a.b.").alerts_active == "a.b.alerts.active.v1"


def test_the_sources_carry_the_broker_s_own_time_or_a_repetition_would_merge_in_another_order() -> None:
    by_broker = {
        role for role, policy in POLICIES.items() if policy.get("message.timestamp.type") == "LogAppendTime"
    }
    assert by_broker == {"callbacks", "polled", "scopes", "ticks"}


def test_call_records_are_compacted_after_a_day_and_gone_after_thirty() -> None:
    policy = POLICIES["ended"]
    assert policy["cleanup.policy"] == "compact,delete"
    assert (
        int(policy["retention.ms"]) == 30 * int(policy["min.compaction.lag.ms"]) == 30 * 24 * 60 * 60 * 1000
    )


class EmptyCluster:
    """Creates what it is asked for."""

    def __init__(self) -> None:
        self.asked: list[Any] = []

    async def list_topics(self) -> list[str]:
        return []

    async def create_topics(self, asked: list[Any]) -> Any:
        self.asked = asked
        return SimpleNamespace(topic_errors=[(one.name, 0, None) for one in asked])


@pytest.mark.parametrize("replication", [-1, 3])
async def test_topics_are_created_with_the_replicas_of_the_settings(replication: int) -> None:
    """-1 is the cluster's default."""
    cluster: Any = EmptyCluster()
    made = await make_missing(cluster, names("calls."), Settings(replication=replication))
    assert made == list(astuple(names("calls.")))
    assert {(one.num_partitions, one.replication_factor) for one in cluster.asked} == {(12, replication)}
    assert all(one.replica_assignments == {} for one in cluster.asked)


@pytest.mark.broker
async def test_missing_topics_are_made_once_with_their_partitions_and_policies(
    broker: Any, prefix: str
) -> None:
    settings = Settings(topic_prefix=prefix, partitions=3)
    assert sorted(await ensure(broker.bootstrap, settings)) == sorted(astuple(names(prefix)))
    assert await ensure(broker.bootstrap, settings) == []

    there = AdminClient({"bootstrap.servers": broker.bootstrap}).list_topics(timeout=20).topics
    assert {name: len(there[name].partitions) for name in astuple(names(prefix))} == dict.fromkeys(
        astuple(names(prefix)), 3
    )
    wanted = {
        "callbacks": ("delete", "604800000", "1048576"),
        "events": ("delete", "2592000000", "2097152"),
        "scopes": ("delete", "604800000", "1048576"),
        "ticks": ("delete", "86400000", "1048576"),
        "dead_letters": ("delete", "1209600000", "2097152"),
        "changelog": ("compact", "604800000", "2097152"),
        "alerts_active": ("compact", "604800000", "2097152"),
        "polling": ("compact", "604800000", "2097152"),
    }
    found = {}
    for name in wanted:
        config = described(broker.bootstrap, getattr(names(prefix), name))
        found[name] = (config["cleanup.policy"], config["retention.ms"], config["max.message.bytes"])
    assert found == wanted


@pytest.mark.broker
async def test_four_roles_that_start_at_once_make_each_topic_once(broker: Any, prefix: str) -> None:
    settings = Settings(topic_prefix=prefix, partitions=2)
    made = await asyncio.gather(*(ensure(broker.bootstrap, settings) for _ in range(4)))
    assert sorted(name for names_made in made for name in names_made) == sorted(astuple(names(prefix)))


@pytest.mark.broker
async def test_another_number_of_partitions_is_refused_with_topic_wanted_and_found(
    broker: Any, prefix: str
) -> None:
    make(broker.bootstrap, names(prefix).ended, 1)
    with pytest.raises(TopicMismatch) as caught:
        await ensure(broker.bootstrap, Settings(topic_prefix=prefix, partitions=2))
    error = caught.value
    assert (error.topic, error.wanted, error.found) == (names(prefix).ended, "2 partitions", "1")
    assert str(error) == f"topic {prefix}ended.v1: wanted 2 partitions, found 1"


@pytest.mark.broker
async def test_topics_that_were_given_more_partitions_are_used_as_before(
    broker: Any, prefix: str, caplog: pytest.LogCaptureFixture
) -> None:
    settings = Settings(topic_prefix=prefix, partitions=2)
    topics = names(prefix)
    await ensure(broker.bootstrap, settings)
    grow(broker.bootstrap, topics.callbacks, 3)
    assert await ensure(broker.bootstrap, settings) == []
    assert f"topic {topics.callbacks} has 3 partitions, and only the first 2 are used" in caplog.text
    found = await examine(broker.bootstrap, settings)
    assert (found.mismatches, found.grown) == ((), {topics.callbacks: 3})
    assert await partitions_in_use(connection(settings, "test", broker.bootstrap), topics) == 2
    command = [sys.executable, "-m", "stream.cli", "topics"]
    chosen = {"KAFKA": broker.bootstrap, "TOPIC_PREFIX": prefix, "PARTITIONS": "2"}
    environ = os.environ | {f"CALLSTREAM_{name}": value for name, value in chosen.items()}
    said = await asyncio.to_thread(
        subprocess.run, command, env=environ, capture_output=True, text=True, timeout=60
    )
    assert (said.returncode, said.stderr.count("only the first 2")) == (0, 1)

    with pytest.raises(TopicMismatch, match="wanted 1 partitions, found 3"):
        await ensure(broker.bootstrap, Settings(topic_prefix=prefix, partitions=1))
    with pytest.raises(TopicMismatch, match=r"polled.v1: wanted 3 partitions, found 2"):
        await ensure(broker.bootstrap, Settings(topic_prefix=prefix, partitions=3))
    grow(broker.bootstrap, topics.changelog, 3)
    with pytest.raises(TopicMismatch, match="wanted 2 partitions, found 3"):
        await ensure(broker.bootstrap, settings)


@pytest.mark.broker
async def test_other_retention_is_accepted_and_left_alone(broker: Any, prefix: str) -> None:
    make(broker.bootstrap, names(prefix).events, 2, {"retention.ms": "3600000"})
    await ensure(broker.bootstrap, Settings(topic_prefix=prefix, partitions=2))
    assert described(broker.bootstrap, names(prefix).events)["retention.ms"] == "3600000"


@pytest.mark.broker
@pytest.mark.parametrize("role", ["changelog", "alerts_active", "polling"])
async def test_what_must_not_forget_by_age_is_refused_where_it_does(
    broker: Any, prefix: str, role: str
) -> None:
    make(broker.bootstrap, getattr(names(prefix), role), 2)
    with pytest.raises(TopicMismatch, match=r"wanted cleanup\.policy=compact, found delete"):
        await ensure(broker.bootstrap, Settings(topic_prefix=prefix, partitions=2))


@pytest.mark.broker
async def test_a_look_makes_nothing_and_finds_all_that_does_not_fit(broker: Any, prefix: str) -> None:
    settings = Settings(topic_prefix=prefix, partitions=2)
    assert await examine(broker.bootstrap, settings) == Examined(astuple(names(prefix)), brokers=1)

    make(broker.bootstrap, names(prefix).ended, 1)
    make(broker.bootstrap, names(prefix).changelog, 2)
    found = await examine(broker.bootstrap, settings)
    assert set(found.missing) == set(astuple(names(prefix))) - {names(prefix).ended, names(prefix).changelog}
    assert [str(mismatch) for mismatch in found.mismatches] == [
        f"topic {prefix}ended.v1: wanted 2 partitions, found 1",
        f"topic {names(prefix).changelog}: wanted cleanup.policy=compact, found delete",
    ]


@pytest.mark.broker
async def test_more_replicas_than_brokers_are_an_error_that_names_the_setting(
    broker: Any, prefix: str
) -> None:
    settings = Settings(topic_prefix=prefix, partitions=2, replication=3)
    with pytest.raises(TopicError, match=r"too few brokers for CALLSTREAM_REPLICATION=3"):
        await ensure(broker.bootstrap, settings, wait_s=2)
    assert await ensure(broker.bootstrap, replace(settings, replication=1))


async def test_a_look_at_a_cluster_that_is_not_there_ends_soon() -> None:
    with pytest.raises(TopicError, match=r"no broker answers at 127\.0\.0\.1:1 "):
        await examine("127.0.0.1:1", Settings(), wait_s=1)


@pytest.mark.broker
@pytest.mark.e2e
async def test_a_broker_that_is_just_starting_is_waited_for(broker: Any, prefix: str) -> None:
    broker.kill()
    waiting = asyncio.create_task(ensure(broker.bootstrap, Settings(topic_prefix=prefix, partitions=2)))
    await asyncio.sleep(0.5)
    await asyncio.to_thread(broker.restart)
    assert len(await waiting) == len(astuple(names(prefix)))


async def test_a_cluster_that_never_answers_is_an_error_in_bounded_time() -> None:
    with pytest.raises(TopicError, match=r"127\.0\.0\.1:1 was not ready within 0\.3 s"):
        await ensure("127.0.0.1:1", Settings(), wait_s=0.3)


@pytest.mark.broker
def test_the_command_says_in_json_what_it_made_and_what_does_not_fit(
    broker: Any, prefix: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name in [name for name in os.environ if name.startswith("CALLSTREAM_")]:
        monkeypatch.delenv(name)
    monkeypatch.setenv("CALLSTREAM_KAFKA", broker.bootstrap)
    monkeypatch.setenv("CALLSTREAM_TOPIC_PREFIX", prefix)
    monkeypatch.setenv("CALLSTREAM_PARTITIONS", "2")
    first = CliRunner().invoke(main, ["topics", "--json"])
    assert first.exit_code == 0
    rows = json.loads(first.stdout)["topics"]
    assert [row["topic"] for row in rows] == list(astuple(names(prefix)))
    assert all(row["created"] for row in rows)

    monkeypatch.setenv("CALLSTREAM_PARTITIONS", "4")
    second = CliRunner().invoke(main, ["topics", "--json"])
    assert second.exit_code == 3
    assert json.loads(second.stdout)["wanted"] == "4 partitions"


def test_settings_of_two_prefixes_share_no_name() -> None:
    one = replace(Settings(), topic_prefix="calls.")
    other = replace(Settings(), topic_prefix="calls.eu.")
    assert not set(astuple(names(one.topic_prefix))) & set(astuple(names(other.topic_prefix)))


async def test_a_topic_that_one_broker_does_not_know_yet_is_not_judged() -> None:
    """A broker that lags behind describes a new topic without partitions."""

    class Admin:
        async def describe_topics(self, kept: list[str]) -> list[dict[str, Any]]:
            lagging = [{"topic": name, "error_code": 3, "partitions": []} for name in kept[1:]]
            return [{"topic": kept[0], "partitions": [{"replicas": [1]}]}, *lagging]

        async def describe_configs(self, resources: list[Any]) -> list[Any]:
            return []

    of = names("lag.")
    found = await _with_replicas(Admin(), Examined(), of)  # type: ignore[arg-type]
    assert found.one_replica == (of.callbacks,)


async def test_what_a_broker_has_answered_is_told_though_another_address_is_down(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    async def refused(*_: object) -> bool:
        raise TooFewBrokersError("too few brokers for CALLSTREAM_REPLICATION=3")

    monkeypatch.setattr("stream.kafka.topics._ensured", refused)
    with pytest.raises(TopicError, match=r"\(.*too few brokers for CALLSTREAM_REPLICATION=3\)"):
        await ensure("127.0.0.1:1,127.0.0.1:2", Settings(), wait_s=0.5)
