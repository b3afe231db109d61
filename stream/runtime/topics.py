"""The topics: their names, what they are made with, and that they are as they must be.

The rule of this file: what is missing is created, what is there is not changed. Another retention is the
operator's choice; another number of partitions would put one call in two places, so it is refused.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, NamedTuple

from aiokafka.admin import AIOKafkaAdminClient, NewTopic
from aiokafka.errors import KafkaError, TopicAlreadyExistsError, for_code

from stream.runtime.settings import Settings

DAY_MS = 86_400_000
MIB = 1 << 20
WAIT_S = 30.0
"""How long a broker that is just starting is waited for."""


class TopicMismatch(Exception):
    """A topic is not as it must be: the message names the topic, what is wanted and what was found."""


@dataclass(frozen=True)
class Topics:
    """The full names of the topics of one prefix."""

    callbacks: str
    polled: str
    events: str
    ended: str
    alerts: str
    alerts_active: str
    fetches: str
    ticks: str
    dead_letters: str
    changelog: str


class Plan(NamedTuple):
    """What a topic is created with."""

    name: str
    partitions: int
    configs: dict[str, str]


class Found(NamedTuple):
    """A topic as it was asked for, and what became of it: `created` or `there`."""

    plan: Plan
    state: str


def app_id(prefix: str) -> str:
    """The Faust application id: two prefixes on one cluster share no state."""
    return f"{prefix.rstrip('.-_')}-worker".lstrip("-")


def names(prefix: str) -> Topics:
    """The names of the topics with this prefix."""
    return Topics(
        callbacks=f"{prefix}callbacks.v1",
        polled=f"{prefix}polled.v1",
        events=f"{prefix}events.v1",
        ended=f"{prefix}ended.v1",
        alerts=f"{prefix}alerts.v1",
        alerts_active=f"{prefix}alerts.active.v1",
        fetches=f"{prefix}fetches.v1",
        ticks=f"{prefix}ticks.v1",
        dead_letters=f"{prefix}dead-letters.v1",
        changelog=f"{app_id(prefix)}-calls-changelog",
    )


def plans(settings: Settings) -> list[Plan]:
    """What each topic is created with."""
    topics = names(settings.topic_prefix)

    def kept(days: float, bytes_at_most: int) -> dict[str, str]:
        return {
            "cleanup.policy": "delete",
            "retention.ms": str(int(days * DAY_MS)),
            "max.message.bytes": str(bytes_at_most),
        }

    compacted = {"cleanup.policy": "compact", "max.message.bytes": str(2 * MIB)}
    configs: Mapping[str, dict[str, str]] = {
        topics.callbacks: kept(7, MIB),
        topics.polled: kept(7, MIB),
        topics.events: kept(30, 2 * MIB),
        topics.ended: kept(30, 2 * MIB),
        topics.alerts: kept(30, 2 * MIB),
        topics.alerts_active: {
            **compacted,
            "delete.retention.ms": str(DAY_MS),
            "max.compaction.lag.ms": str(DAY_MS // 24),
        },
        topics.fetches: kept(7, MIB),
        topics.ticks: kept(1, MIB),
        topics.dead_letters: kept(14, 2 * MIB),
        topics.changelog: {**compacted, "min.compaction.lag.ms": str(DAY_MS // 24)},
    }
    return [Plan(name, settings.partitions, config) for name, config in configs.items()]


async def ensure(bootstrap: str, settings: Settings) -> list[Found]:
    """Create what is missing, and refuse what does not fit.

    Several processes may do it at once. A broker that is starting is waited for, `WAIT_S` at most; then the
    last KafkaError is raised. Raises TopicMismatch.
    """
    limit = time.monotonic() + WAIT_S
    while True:
        try:
            return await _ensure_once(bootstrap, plans(settings))
        except (KafkaError, OSError):
            if time.monotonic() > limit:
                raise
            await asyncio.sleep(0.5)


async def _ensure_once(bootstrap: str, wanted: list[Plan]) -> list[Found]:
    admin = AIOKafkaAdminClient(bootstrap_servers=bootstrap)
    await admin.start()
    try:
        found = await _partitions(admin, [plan.name for plan in wanted])
        missing = [plan for plan in wanted if plan.name not in found]
        if missing:
            await _create(admin, missing)
            found = await _settled(admin, wanted)
        for plan in wanted:
            if found[plan.name] != plan.partitions:
                raise TopicMismatch(
                    f"topic {plan.name}: {plan.partitions} partitions wanted, {found[plan.name]} found."
                    " The number of a topic's partitions never changes in place: set CALLSTREAM_PARTITIONS to"
                    " what is there, or CALLSTREAM_TOPIC_PREFIX to another prefix."
                )
        created = {plan.name for plan in missing}
        return [Found(plan, "created" if plan.name in created else "there") for plan in wanted]
    finally:
        await admin.close()


async def _partitions(admin: Any, topics: list[str]) -> dict[str, int]:
    """How many partitions each of those topics has that exist."""
    described = await admin.describe_topics(topics)
    return {topic["topic"]: len(topic["partitions"]) for topic in described if not topic["error_code"]}


async def _create(admin: Any, missing: list[Plan]) -> None:
    new = [
        NewTopic(
            name=plan.name, num_partitions=plan.partitions, replication_factor=-1, topic_configs=plan.configs
        )
        for plan in missing
    ]
    answer = await admin.create_topics(new)
    for name, code, *_ in answer.topic_errors:
        error = for_code(code)
        if code and error is not TopicAlreadyExistsError:
            raise error(f"topic {name} could not be created")


async def _settled(admin: Any, wanted: list[Plan]) -> dict[str, int]:
    """The topics once the broker shows them all; creation is not at once."""
    limit = time.monotonic() + WAIT_S
    while True:
        found = await _partitions(admin, [plan.name for plan in wanted])
        if all(plan.name in found for plan in wanted) or time.monotonic() > limit:
            return found
        await asyncio.sleep(0.1)
