"""The topics for other tools, the same as callstream creates them."""

from __future__ import annotations

import json

import pytest
from click.testing import CliRunner

from stream.cli.main import main
from stream.kafka.declarations import FORMATS, DeclaredTopic, declared
from stream.kafka.topics import POLICIES
from stream.service.settings import Settings


def printed(form: str, settings: Settings) -> list[list[str]]:
    return [list(FORMATS[form](topic)) for topic in declared(settings)]


def test_every_topic_is_declared_as_it_is_created() -> None:
    found = declared(Settings(partitions=6, replication=3))
    assert [topic.role for topic in found] == list(POLICIES)
    assert found[0] == DeclaredTopic("callbacks", "calls.callbacks.v1", 6, 3, POLICIES["callbacks"])


def test_a_command_of_kafka_s_own_tool() -> None:
    (command,) = printed("kafka-topics", Settings(replication=3))[0]
    assert command.startswith('kafka-topics.sh --bootstrap-server "$KAFKA"')
    assert (
        "--topic calls.callbacks.v1 --partitions 12 --replication-factor 3 --config cleanup.policy=delete"
        in (command)
    )
    (command,) = printed("kafka-topics", Settings())[0]
    assert "--replication-factor" not in command


def test_a_resource_of_strimzi_has_a_dns_name_and_the_topic_s_own() -> None:
    assert printed("strimzi", Settings(topic_prefix="Calls_EU.", replication=3))[1] == [
        "---",
        "apiVersion: kafka.strimzi.io/v1",
        "kind: KafkaTopic",
        "metadata:",
        "  name: calls-eu.polled.v1",
        "  labels:",
        "    strimzi.io/cluster: my-cluster",
        "spec:",
        "  topicName: Calls_EU.polled.v1",
        "  partitions: 12",
        "  replicas: 3",
        "  config:",
        '    cleanup.policy: "delete"',
        '    retention.ms: "604800000"',
        '    max.message.bytes: "1048576"',
        '    message.timestamp.type: "LogAppendTime"',
    ]
    assert not [line for line in printed("strimzi", Settings())[1] if "replicas" in line]


def test_a_resource_of_terraform() -> None:
    assert printed("terraform", Settings(replication=3))[10] == [
        'resource "kafka_topic" "callstream_dead_letters" {',
        '  name               = "calls.dead-letters.v1"',
        "  partitions         = 12",
        "  replication_factor = 3",
        "  config = {",
        '    "cleanup.policy" = "delete"',
        '    "retention.ms" = "1209600000"',
        '    "max.message.bytes" = "2097152"',
        "  }",
        "}",
    ]


def test_the_command_prints_and_asks_no_broker(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("CALLSTREAM_KAFKA", "127.0.0.1:1")
    done = CliRunner().invoke(main, ["topics", "--print", "json"])
    assert done.exit_code == 0
    assert [json.loads(line)["name"] for line in done.stdout.splitlines()][:2] == [
        "calls.callbacks.v1",
        "calls.polled.v1",
    ]
    refused = CliRunner().invoke(main, ["topics", "--print", "terraform"])
    assert refused.exit_code == 2
    assert "terraform needs CALLSTREAM_REPLICATION" in refused.stderr
