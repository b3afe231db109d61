"""What each role does on the cluster: what its ACLs must allow, and nothing else.

`callstream doctor` checks it, docs/kafka.md shows it, and a test runs every role with exactly these rights.
`WRITE` on a topic includes the idempotent producer's right from Kafka 2.8 on.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import astuple
from typing import NamedTuple

from stream.kafka.client.admin import admin_client
from stream.kafka.client.connection import Connection
from stream.kafka.client.requests.rights import may_use_group, may_use_transactional_id, topic_operations
from stream.kafka.topics import app_id, names

TOPIC, GROUP, GROUPS, TRANSACTIONS = "topic", "group", "groups", "transactional id"


class Access(NamedTuple):
    """Operations on one thing. `kind`: TOPIC, GROUP, or GROUPS or TRANSACTIONS, whose names are prefixes."""

    kind: str
    name: str
    operations: frozenset[str]


READS: Mapping[str, tuple[str, ...]] = {
    "gateway": (),
    "worker": ("callbacks", "polled", "scopes", "ticks", "changelog"),
    "poller": ("fetches", "polling"),
    "notify": ("alerts", "alerts_active"),
    "archive": ("events", "ended", "alerts"),
    "api": ("events", "ended", "alerts"),
}
"""Topics by role, as in `Topics`."""

WRITES: Mapping[str, tuple[str, ...]] = {
    "gateway": ("callbacks", "dead_letters"),
    "worker": (
        *("events", "ended", "alerts", "alerts_active", "fetches"),
        *("scopes", "ticks", "dead_letters", "changelog"),
    ),
    # A request that is in the wrong partition is written to its own.
    "poller": ("polled", "polling", "fetches", "dead_letters"),
    "notify": ("dead_letters",),
    "archive": (),
    "api": (),
}

ROLES = tuple(READS)

NAMED = 3
"""Rights that are named of several."""


def poller_group(prefix: str) -> str:
    """The pollers' consumer group: `calls.` gives `calls-poller`."""
    return f"{prefix.removesuffix('.')}-poller"


def notify_group(prefix: str, sink: str) -> str:
    """The consumer group of a sink of alerts: `calls.` gives `calls-notify-SINK`. Each has its own, so that
    none waits for another."""
    return f"{prefix.removesuffix('.')}-notify-{sink}"


def archive_group(prefix: str) -> str:
    """The consumer group of those who write the archive: `calls.` gives `calls-archive`."""
    return f"{prefix.removesuffix('.')}-archive"


def needed(role: str, prefix: str) -> tuple[Access, ...]:
    """What `role` needs where the topics begin with `prefix`.

    Every role sees all topics and their settings: it checks them when it starts.
    """
    topics = names(prefix)
    operations: dict[str, set[str]] = {name: {"DESCRIBE", "DESCRIBE_CONFIGS"} for name in astuple(topics)}
    for operation, of in (("READ", READS), ("WRITE", WRITES)):
        for field in of[role]:
            operations[getattr(topics, field)].add(operation)
    found = [Access(TOPIC, name, frozenset(wanted)) for name, wanted in operations.items()]
    if role == "worker":
        found.append(Access(GROUP, app_id(prefix), frozenset({"READ"})))
        # A lane's id is that of the group and its partition.
        found.append(Access(TRANSACTIONS, f"{app_id(prefix)}-", frozenset({"DESCRIBE", "WRITE"})))
    if role == "poller":
        found.append(Access(GROUP, poller_group(prefix), frozenset({"READ"})))
    if role == "archive":
        found.append(Access(GROUP, archive_group(prefix), frozenset({"READ"})))
    if role == "notify":
        found.append(Access(GROUPS, notify_group(prefix, ""), frozenset({"READ"})))
    return tuple(found)


async def missing(cluster: Connection, role: str, prefix: str) -> list[Access]:
    """What `role` needs and this client may not do. A topic that does not exist is not counted.

    Raises KafkaError (IncompatibleBrokerVersion: Kafka before 2.3 cannot tell), OSError.
    """
    wanted = needed(role, prefix)
    lacking = []
    async with admin_client(cluster) as admin:
        await admin.start()
        allowed = await topic_operations(admin, [one.name for one in wanted if one.kind == TOPIC])
        for one in wanted:
            if one.kind == TOPIC:
                found = allowed.get(one.name, one.operations)
            elif one.kind in (GROUP, GROUPS):
                group = one.name if one.kind == GROUP else f"{one.name}0"
                found = one.operations if await may_use_group(admin, group) else frozenset()
            else:
                may = await may_use_transactional_id(admin, f"{one.name}0")
                found = one.operations if may else frozenset()
            if not one.operations <= found:
                lacking.append(one._replace(operations=one.operations - found))
    return lacking


def named(lacking: Sequence[Access]) -> str:
    """For a sentence: `WRITE on topic calls.polled.v1, READ on group calls-poller`."""
    some = [f"{' and '.join(sorted(one.operations))} on {one.kind} {one.name}" for one in lacking[:NAMED]]
    more = len(lacking) - NAMED
    return ", ".join(some) + (f" and {more} more" if more > 0 else "")
