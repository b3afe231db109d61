"""The broker and the topics. Read only: it starts no broker and creates no topic."""

from __future__ import annotations

import asyncio
from dataclasses import astuple

from stream.cli.checkup.check import Check
from stream.cli.checkup.rights import rights
from stream.cli.support.startup import known_bootstrap
from stream.kafka.client.connection import connection
from stream.kafka.reachability import obstacle
from stream.kafka.topics import Examined, TopicError, examine, names
from stream.service.settings import Settings

NAMED = 3
"""Topics that are named of several."""


async def cluster(settings: Settings) -> list[Check]:
    bootstrap = await asyncio.to_thread(known_bootstrap, settings)
    if bootstrap is None:
        says = "none is configured, and the embedded one does not run"
        mend = "start a role (`callstream up` starts all), or set CALLSTREAM_KAFKA"
        return [Check("broker", "warning", says, mend), Check("topics", "unknown", "no broker to ask")]
    reached = connection(settings, "doctor", bootstrap)
    try:
        found = await examine(bootstrap, settings)
    except TopicError as error:
        mend = "see the broker's log" if settings.kafka else "see its log in the data directory"
        says, mend = await obstacle(reached) or (str(error), mend)
        return [Check("broker", "failed", says, mend), Check("topics", "unknown", "no broker to ask")]
    brokers = "1 broker" if found.brokers == 1 else f"{found.brokers} brokers"
    checks = [Check("broker", "ok", f"{bootstrap} answers: {brokers}"), topics(found, settings)]
    if settings.kafka_security != "plaintext":
        # An ACL names a user, and without TLS and a login there is none.
        checks.append(await rights(reached, settings.topic_prefix))
    return checks


def topics(found: Examined, settings: Settings) -> Check:
    """The check of the topics. Pure."""
    if found.mismatches:
        says = "; ".join(str(mismatch) for mismatch in found.mismatches[:NAMED])
        return Check("topics", "failed", says, _mended(found, settings))
    if found.without_leader:
        says = f"{_some(found.without_leader)} cannot be written: a partition has no leader"
        return Check("topics", "failed", says, "check the cluster's brokers")
    if found.missing:
        hidden = "" if settings.kafka_security == "plaintext" else ", or not shown to this login"
        says = f"missing{hidden}: {_some(found.missing)}"
        return Check("topics", "warning", says, "`callstream topics` makes them")
    if risks := topic_risks(found, settings):
        return Check("topics", "warning", "; ".join(says for says, _ in risks), risks[0][1])
    return Check("topics", "ok", f"all are there, with {settings.partitions} partitions")


def _mended(found: Examined, settings: Settings) -> str:
    few = sum(mismatch.wanted.endswith(" partitions") for mismatch in found.mismatches)
    there = len(astuple(names(settings.topic_prefix))) - len(found.missing)
    if 0 < few < there:
        # With as few everywhere, what the others have beyond would not be read.
        return (
            f"others have {settings.partitions}: delete what has fewer if nothing needs its records, and "
            "`callstream topics` makes it again; a policy is mended on the topic"
        )
    return (
        "set CALLSTREAM_PARTITIONS to what is there, or another CALLSTREAM_TOPIC_PREFIX; "
        "a policy is mended on the topic"
    )


def topic_risks(found: Examined, settings: Settings) -> list[tuple[str, str]]:
    """(risk, what to do about it) of topics that have partitions for nothing, or that may lose records with a
    broker of several. Pure.
    """
    risks = []
    if found.grown:
        says = f"{_some(tuple(found.grown))}: only the first {settings.partitions} partitions are used"
        risks.append((says, "write nothing into the others: nothing reads them"))
    if found.one_replica:
        says = f"{_some(found.one_replica)}: one replica, which a lost broker takes with it"
        mend = "give them three (`kafka-reassign-partitions`); CALLSTREAM_REPLICATION=3 is for new ones"
        risks.append((says, mend))
    if found.one_in_sync:
        says = f"{_some(found.one_in_sync)}: min.insync.replicas is 1, so a lost broker may lose records"
        risks.append((says, "set min.insync.replicas=2 on the topics, with three replicas"))
    return risks


def _some(topics: tuple[str, ...]) -> str:
    more = len(topics) - NAMED
    return ", ".join(topics[:NAMED]) + (f" and {more} more" if more > 0 else "")
