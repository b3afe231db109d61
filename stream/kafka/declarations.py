"""The topics as other tools declare them, for clusters on which callstream may not create any. Pure."""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Iterator, Mapping
from dataclasses import asdict
from typing import NamedTuple

from stream.kafka.topics import POLICIES, names
from stream.service.settings import RoleSettings


class DeclaredTopic(NamedTuple):
    """A topic as callstream would create it. `replicas`: -1 is the cluster's default."""

    role: str
    name: str
    partitions: int
    replicas: int
    config: Mapping[str, str]


def declared(settings: RoleSettings) -> list[DeclaredTopic]:
    """Every topic of these settings."""
    return [
        DeclaredTopic(role, name, settings.partitions, settings.replication, POLICIES[role])
        for role, name in asdict(names(settings.topic_prefix)).items()
    ]


def _kafka_topics(topic: DeclaredTopic) -> Iterator[str]:
    replicas = [f"--replication-factor {topic.replicas}"] if topic.replicas > 0 else []
    config = [f"--config {name}={value}" for name, value in topic.config.items()]
    parts = [
        'kafka-topics.sh --bootstrap-server "$KAFKA" --command-config "$CONFIG" --create --if-not-exists',
        f"--topic {topic.name} --partitions {topic.partitions}",
        *replicas,
        *config,
    ]
    yield " ".join(parts)


def _strimzi(topic: DeclaredTopic) -> Iterator[str]:
    yield "---"
    yield "apiVersion: kafka.strimzi.io/v1"
    yield "kind: KafkaTopic"
    yield "metadata:"
    # A resource's name is a DNS name; the topic's own is in the spec.
    yield f"  name: {re.sub('[^a-z0-9.-]', '-', topic.name.lower())}"
    yield "  labels:"
    yield "    strimzi.io/cluster: my-cluster"
    yield "spec:"
    yield f"  topicName: {topic.name}"
    yield f"  partitions: {topic.partitions}"
    if topic.replicas > 0:
        yield f"  replicas: {topic.replicas}"
    yield "  config:"
    for name, value in topic.config.items():
        yield f'    {name}: "{value}"'


def _terraform(topic: DeclaredTopic) -> Iterator[str]:
    yield f'resource "kafka_topic" "callstream_{topic.role}" {{'
    yield f'  name               = "{topic.name}"'
    yield f"  partitions         = {topic.partitions}"
    yield f"  replication_factor = {topic.replicas}"
    yield "  config = {"
    for name, value in topic.config.items():
        yield f'    "{name}" = "{value}"'
    yield "  }"
    yield "}"


def _json(topic: DeclaredTopic) -> Iterator[str]:
    yield json.dumps(topic._asdict())


FORMATS: Mapping[str, Callable[[DeclaredTopic], Iterator[str]]] = {
    "kafka-topics": _kafka_topics,
    "strimzi": _strimzi,
    "terraform": _terraform,
    "json": _json,
}
"""Lines of one topic: a command, a YAML document, a resource of the provider Mongey/kafka, a JSON object."""
