"""Broker and topics: looked at, never made."""

from __future__ import annotations

from dataclasses import astuple
from pathlib import Path
from typing import Any

import pytest

from stream.cli.checkup.check import Check
from stream.cli.checkup.cluster import cluster, topics
from stream.kafka.topics import Examined, TopicMismatch, ensure, names
from stream.service.settings import Settings

PARTITIONS = TopicMismatch("calls.ended.v1", "12 partitions", "5")


async def test_a_broker_that_is_configured_and_does_not_answer_has_failed() -> None:
    assert await cluster(Settings(kafka="127.0.0.1:1")) == [
        Check(
            "broker",
            "failed",
            "nobody listens at 127.0.0.1:1 (ConnectionRefusedError: Connection refused (errno 111))",
            "start the broker, or check CALLSTREAM_KAFKA and the firewall",
        ),
        Check("topics", "unknown", "no broker to ask"),
    ]


async def test_no_broker_is_started_where_none_is_configured(tmp_path: Path) -> None:
    found = await cluster(Settings(data_dir=tmp_path))
    assert [(check.name, check.state) for check in found] == [("broker", "warning"), ("topics", "unknown")]
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize(
    ("found", "state", "says"),
    [
        (Examined(brokers=1), "ok", "all are there, with 12 partitions"),
        (
            Examined(grown={"calls.ended.v1": 24}),
            "warning",
            "calls.ended.v1: only the first 12 partitions are used",
        ),
        (Examined(missing=("a", "b")), "warning", "missing: a, b"),
        (Examined(missing=("a", "b", "c", "d", "e")), "warning", "missing: a, b, c and 2 more"),
        (
            Examined(brokers=3, one_replica=("a", "b"), one_in_sync=("c",)),
            "warning",
            "a, b: one replica, which a lost broker takes with it; "
            "c: min.insync.replicas is 1, so a lost broker may lose records",
        ),
        (
            Examined(without_leader=("a",)),
            "failed",
            "a cannot be written: a partition has no leader",
        ),
        (
            Examined(missing=("a",), mismatches=(PARTITIONS,)),
            "failed",
            "topic calls.ended.v1: wanted 12 partitions, found 5",
        ),
    ],
)
def test_what_is_said_of_the_topics(found: Examined, state: str, says: str) -> None:
    check = topics(found, Settings())
    assert (check.state, check.says) == (state, says)
    assert bool(check.mend) is (state != "ok")


@pytest.mark.parametrize(
    ("missing", "mend"), [(0, "others have 12: delete"), (11, "set CALLSTREAM_PARTITIONS")]
)
def test_one_topic_with_fewer_partitions_than_others_is_not_what_to_set(missing: int, mend: str) -> None:
    """Of the others, what is beyond that number would not be read."""
    found = Examined(missing=astuple(names("calls."))[:missing], mismatches=(PARTITIONS,))
    assert topics(found, Settings()).mend.startswith(mend)


@pytest.mark.broker
async def test_a_real_broker_and_its_topics(broker: Any, prefix: str) -> None:
    settings = Settings(kafka=broker.bootstrap, topic_prefix=prefix, partitions=2)
    there = Check("broker", "ok", f"{broker.bootstrap} answers: 1 broker")
    answers, missing = await cluster(settings)
    assert (answers, missing.state) == (there, "warning")
    assert f"and {len(astuple(names(prefix))) - 3} more" in missing.says

    await ensure(broker.bootstrap, settings)
    assert await cluster(settings) == [there, Check("topics", "ok", "all are there, with 2 partitions")]
