"""The broker and the topics, as they are.

The rule of this file: it asks and makes nothing, no broker and no topic.
"""

from __future__ import annotations

import asyncio

from stream.broker.ownership import find_running
from stream.cli.checkup.check import Check
from stream.kafka.topics import Examined, TopicError, examine
from stream.service.settings import Settings

NAMED = 3
"""Topics that are named where several are meant."""


async def cluster(settings: Settings) -> list[Check]:
    bootstrap = settings.kafka
    if not bootstrap:
        running = await asyncio.to_thread(find_running, settings.data_dir / "broker")
        if running is None:
            says = "none is configured, and the embedded one does not run"
            mend = "start a role (`callstream up` starts all), or set CALLSTREAM_KAFKA"
            return [
                Check("broker", "warning", says, mend),
                Check("topics", "unknown", "no broker to ask"),
            ]
        bootstrap = f"127.0.0.1:{running.port}"
    try:
        found = await examine(bootstrap, settings)
    except TopicError as error:
        mend = (
            "start it, or see to CALLSTREAM_KAFKA" if settings.kafka else "see its log in the data directory"
        )
        return [
            Check("broker", "failed", str(error), mend),
            Check("topics", "unknown", "no broker to ask"),
        ]
    brokers = "1 broker" if found.brokers == 1 else f"{found.brokers} brokers"
    return [Check("broker", "ok", f"{bootstrap} answers: {brokers}"), topics(found, settings)]


def topics(found: Examined, settings: Settings) -> Check:
    """What is to be said of the topics. Pure."""
    if found.mismatches:
        says = "; ".join(str(mismatch) for mismatch in found.mismatches[:NAMED])
        mend = (
            "set CALLSTREAM_PARTITIONS to what is there, or another CALLSTREAM_TOPIC_PREFIX; "
            "a policy is mended on the topic"
        )
        return Check("topics", "failed", says, mend)
    if found.without_leader:
        says = f"{_some(found.without_leader)} cannot be written: a partition has no leader"
        return Check("topics", "failed", says, "see to the cluster's brokers")
    if found.missing:
        return Check(
            "topics", "warning", f"missing: {_some(found.missing)}", "`callstream topics` makes them"
        )
    return Check("topics", "ok", f"all are there, with {settings.partitions} partitions")


def _some(names: tuple[str, ...]) -> str:
    more = len(names) - NAMED
    return ", ".join(names[:NAMED]) + (f" and {more} more" if more > 0 else "")
