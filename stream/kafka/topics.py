"""The topics: their names and policies, how missing ones are created, and whether existing ones are usable.

Another retention is the operator's choice. Another number of partitions is refused, because a call would then
be in two partitions. Partitions that were added to a topic later stay unused: Kafka cannot take them back.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Mapping, Sequence
from dataclasses import asdict, astuple, dataclass, field, fields, replace
from typing import Any

from aiokafka.admin import AIOKafkaAdminClient, NewTopic
from aiokafka.errors import (
    ClusterAuthorizationFailedError,
    InvalidReplicationFactorError,
    KafkaError,
    TopicAlreadyExistsError,
    TopicAuthorizationFailedError,
    for_code,
)

from stream.kafka.client.admin import admin_client, topic_setting, topic_settings
from stream.kafka.client.connection import Connection, connection
from stream.kafka.in_sync import MIN_IN_SYNC
from stream.kafka.reachability import obstacle
from stream.service.errors import describe
from stream.service.settings import RoleSettings

WAIT_S = 60.0
EXAMINE_LIMIT_S = 5.0
OBSTACLE_STEP_S = 1.0
SOURCE_MAX_BYTES = 1024 * 1024
OUTPUT_MAX_BYTES = 2 * 1024 * 1024
_DAY_MS = 24 * 60 * 60 * 1000

log = logging.getLogger("callstream.topics")


class TopicError(Exception):
    """The topics are not usable. The message names the cluster or topic, and the reason."""


class TooFewBrokersError(KafkaError):
    """The cluster cannot hold so many replicas, at least not yet: brokers may be starting."""

    retriable = True


class TopicMismatch(TopicError):
    """A topic exists and is not what the program needs."""

    def __init__(self, topic: str, wanted: str, found: str) -> None:
        super().__init__(f"topic {topic}: wanted {wanted}, found {found}")
        self.topic = topic
        self.wanted = wanted
        self.found = found


@dataclass(frozen=True)
class Examined:
    """The state of the topics: names of those that are missing or without a leader, and mismatches.

    `grown`: the number of partitions of topics that were given more than are used.
    Of several brokers, the loss of one loses records of the topics in `one_replica`, and may lose some of
    those in `one_in_sync`: with `min.insync.replicas` 1, a record counts as written when one broker has it.
    """

    missing: tuple[str, ...] = ()
    without_leader: tuple[str, ...] = ()
    mismatches: tuple[TopicMismatch, ...] = ()
    grown: Mapping[str, int] = field(default_factory=dict)
    brokers: int = 0
    one_replica: tuple[str, ...] = ()
    one_in_sync: tuple[str, ...] = ()


@dataclass(frozen=True)
class Topics:
    """The full name of each topic under one prefix."""

    callbacks: str
    polled: str
    events: str
    ended: str
    alerts: str
    alerts_active: str
    fetches: str
    polling: str
    scopes: str
    ticks: str
    dead_letters: str
    changelog: str


def names(prefix: str) -> Topics:
    """Every topic of a prefix: `calls.` gives `calls.callbacks.v1` and so on."""
    return Topics(
        callbacks=f"{prefix}callbacks.v1",
        polled=f"{prefix}polled.v1",
        events=f"{prefix}events.v1",
        ended=f"{prefix}ended.v1",
        alerts=f"{prefix}alerts.v1",
        alerts_active=f"{prefix}alerts.active.v1",
        fetches=f"{prefix}fetches.v1",
        polling=f"{prefix}polling.v1",
        scopes=f"{prefix}scopes.v1",
        ticks=f"{prefix}ticks.v1",
        dead_letters=f"{prefix}dead-letters.v1",
        changelog=f"{app_id(prefix)}-calls-changelog",
    )


def roles(topics: Topics) -> dict[str, str]:
    """The field of each topic by its full name, as metrics show it."""
    return {name: role for role, name in asdict(topics).items()}


def app_id(prefix: str) -> str:
    """The Faust application id: `calls.` gives `calls-worker`. It names group and changelog."""
    return f"{prefix.removesuffix('.')}-worker"


def _kept(days: int, max_bytes: int) -> dict[str, str]:
    return {
        "cleanup.policy": "delete",
        "retention.ms": str(days * _DAY_MS),
        "max.message.bytes": str(max_bytes),
    }


def _source(days: int) -> dict[str, str]:
    """The lanes merge the sources by timestamp. It is the broker's, so that a replay, which finds everything
    there at once, merges in the same order."""
    return {**_kept(days, SOURCE_MAX_BYTES), "message.timestamp.type": "LogAppendTime"}


_COMPACTED = {
    "cleanup.policy": "compact",
    "max.message.bytes": str(OUTPUT_MAX_BYTES),
    # The newest segment is never compacted, and a recovery reads it whole.
    "segment.bytes": str(64 * 1024 * 1024),
    "min.cleanable.dirty.ratio": "0.3",
}

POLICIES: Mapping[str, Mapping[str, str]] = {
    "callbacks": _source(7),
    "polled": _source(7),
    "events": _kept(30, OUTPUT_MAX_BYTES),
    "ended": {
        **_kept(30, OUTPUT_MAX_BYTES),
        # Who reads it for the first time gets one record a call. What is older than a day is compacted: until
        # then, a consumer that is behind sees every revision.
        "cleanup.policy": "compact,delete",
        "min.compaction.lag.ms": str(_DAY_MS),
    },
    "alerts": _kept(30, OUTPUT_MAX_BYTES),
    "alerts_active": _COMPACTED,
    "fetches": _kept(7, SOURCE_MAX_BYTES),
    "polling": _COMPACTED,
    "scopes": _source(7),
    "ticks": _source(1),
    "dead_letters": _kept(14, OUTPUT_MAX_BYTES),
    "changelog": _COMPACTED,
}
"""How each topic is created. No default keeps call data longer than 30 days, Twilio's own limit."""


def _compacted(topics: Topics) -> list[str]:
    return [getattr(topics, role) for role, policy in POLICIES.items() if policy is _COMPACTED]


async def ensure(bootstrap: str, settings: RoleSettings, *, wait_s: float = WAIT_S) -> list[str]:
    """Create the missing topics and check all of them. Returns the names of those it created.

    Several processes may do so at once. It waits up to `wait_s` for a broker that is starting.
    Raises TopicMismatch, or TopicError when the cluster does not answer or refuses.
    """
    topics = names(settings.topic_prefix)
    cluster = connection(settings, "topics", bootstrap)
    made: list[str] = []
    reason, answered = "no answer", False
    try:
        async with asyncio.timeout(wait_s):
            while True:
                try:
                    if await _ensured(cluster, topics, settings, made):
                        return made
                    reason, answered = "new topics have no leader yet", True
                except (KafkaError, OSError) as error:
                    if isinstance(error, KafkaError) and not _is_retriable(error):
                        raise TopicError(f"the cluster at {bootstrap} refuses: {describe(error)}") from error
                    reason, answered = describe(error), isinstance(error, TooFewBrokersError)
                await asyncio.sleep(0.2)
    except TimeoutError:
        why = reason if answered else await obstacle(cluster, OBSTACLE_STEP_S) or reason
        raise TopicError(f"the cluster at {bootstrap} was not ready within {wait_s:g} s ({why})") from None


async def _ensured(cluster: Connection, topics: Topics, settings: RoleSettings, made: list[str]) -> bool:
    """Whether every topic can be written to. Adds to `made` those that it creates."""
    async with admin_client(cluster, request_timeout_ms=10_000) as admin:
        await admin.start()
        made += await make_missing(admin, topics, settings)
        return await _all_there(admin, topics, settings.partitions)


def _is_retriable(error: KafkaError) -> bool:
    """Whether a retry may help. Connection errors carry no code; Kafka marks other errors as retriable."""
    return bool(error.retriable) or getattr(error, "errno", 0) <= 0


async def make_missing(admin: AIOKafkaAdminClient, topics: Topics, settings: RoleSettings) -> list[str]:
    """Creates the topics that are not there, and returns their names. Raises KafkaError, TopicError."""
    there = set(await admin.list_topics())
    missing = [
        NewTopic(
            name,
            settings.partitions,
            settings.replication,
            # Without an assignment, aiokafka does not let the cluster choose how many.
            replica_assignments={} if settings.replication < 0 else None,
            topic_configs=dict(POLICIES[about.name]),
        )
        for about, name in zip(fields(topics), astuple(topics), strict=True)
        if name not in there
    ]
    if not missing:
        return []
    answer = await admin.create_topics(missing)
    made = []
    for name, code, *message in answer.topic_errors:
        if code == 0:
            made.append(name)
        elif for_code(code) in (ClusterAuthorizationFailedError, TopicAuthorizationFailedError):
            # What may not be described is not listed.
            raise TopicError(f"topic {name} is missing or not shown to this login, which may not create it")
        elif for_code(code) is InvalidReplicationFactorError:
            raise TooFewBrokersError(f"too few brokers for CALLSTREAM_REPLICATION={settings.replication}")
        elif for_code(code) is not TopicAlreadyExistsError:  # another process created it first
            raise for_code(code)(f"{name}: {message[0] if message else for_code(code).description}")
    return made


async def _all_there(admin: AIOKafkaAdminClient, topics: Topics, partitions: int) -> bool:
    """True when every topic can be written to. Raises TopicMismatch."""
    found = _compared(await admin.describe_topics(), topics, partitions)
    if found.mismatches:
        raise found.mismatches[0]
    if found.missing or found.without_leader:
        return False
    for name, count in found.grown.items():
        log.warning("topic %s has %d partitions, and only the first %d are used", name, count, partitions)
    for name in _compacted(topics):
        await _check_compacted(admin, name)
    return True


def _compared(described: Sequence[Any], topics: Topics, partitions: int) -> Examined:
    by_name = {found["topic"]: found["partitions"] for found in described}
    there = {name: by_name[name] for name in astuple(topics) if by_name.get(name)}
    counts = {name: len(found) for name, found in there.items() if len(found) != partitions}
    # The changelog tells a topic that was given more from settings that do not fit: its states are where the
    # calls' keys put them.
    is_ours = topics.changelog in there and topics.changelog not in counts
    grown = {name: count for name, count in counts.items() if is_ours and count > partitions}
    return Examined(
        missing=tuple(name for name in astuple(topics) if name not in there),
        without_leader=tuple(
            name for name, found in there.items() if any(part["leader"] < 0 for part in found)
        ),
        mismatches=tuple(
            TopicMismatch(name, f"{partitions} partitions", str(count))
            for name, count in counts.items()
            if name not in grown
        ),
        grown=grown,
    )


async def examine(bootstrap: str, settings: RoleSettings, *, wait_s: float = EXAMINE_LIMIT_S) -> Examined:
    """The state of the topics; creates nothing. Raises TopicError when the cluster does not answer."""
    topics = names(settings.topic_prefix)
    why = f"no broker answers at {bootstrap}"
    client = admin_client(connection(settings, "topics", bootstrap), request_timeout_ms=int(wait_s * 1000))
    try:
        async with client as admin, asyncio.timeout(wait_s):
            await admin.start()
            why = f"a broker answers at {bootstrap}, but not where its advertised.listeners say"
            brokers = len((await admin.describe_cluster())["brokers"])
            found = _compared(await admin.describe_topics(), topics, settings.partitions)
            others = []
            for name in _compacted(topics):
                if name not in found.missing:
                    try:
                        await _check_compacted(admin, name)
                    except TopicMismatch as error:
                        others.append(error)
            if brokers > 1:
                found = await _with_replicas(admin, found, topics)
    except (KafkaError, OSError, TimeoutError) as error:
        if isinstance(error, KafkaError) and not _is_retriable(error):
            why = f"the cluster at {bootstrap} refuses"
        raise TopicError(f"{why} ({type(error).__name__})") from error
    return replace(found, brokers=brokers, mismatches=(*found.mismatches, *others))


async def partitions_in_use(cluster: Connection, topics: Topics) -> int:
    """By the topics themselves, some of which may have been given more later. Raises KafkaError."""
    async with admin_client(cluster) as admin:
        await admin.start()
        found = {one["topic"]: len(one["partitions"]) for one in await admin.describe_topics()}
    return min(count for name in astuple(topics) if (count := found.get(name)))


async def _with_replicas(admin: AIOKafkaAdminClient, found: Examined, topics: Topics) -> Examined:
    """Of a cluster of several brokers. A lost tick is sent again, so its topic may have one replica."""
    kept = [name for name in astuple(topics) if name not in (*found.missing, topics.ticks)]
    single = {
        one["topic"]
        for one in await admin.describe_topics(kept)
        if any(len(part["replicas"]) < 2 for part in one["partitions"])
    }
    in_sync = await topic_settings(admin, kept, MIN_IN_SYNC)
    return replace(
        found,
        one_replica=tuple(name for name in kept if name in single),
        one_in_sync=tuple(name for name in kept if in_sync.get(name) == "1" and name not in single),
    )


async def _check_compacted(admin: AIOKafkaAdminClient, name: str) -> None:
    """The policy of these topics is not the operator's choice. A changelog with a retention would lose calls,
    and the others would lose alerts that still fire and the progress of polling."""
    policy = await topic_setting(admin, name, "cleanup.policy")
    if policy not in (None, "compact"):
        raise TopicMismatch(name, "cleanup.policy=compact", str(policy))
