"""Our worker's full job in its own process, with the name of its callbacks topic as an argument.

It is `agents.app.build` with everything on: transactions, alerts, metrics, ticks, the health server. Only the
callbacks topic is shared, so that all runs read the same records; application, state and outputs have their
own prefix.
"""

from __future__ import annotations

import asyncio
import dataclasses
import logging
from pathlib import Path
from typing import Any

from agents.app import build
from stream.broker.ports import free_port
from stream.faust_bridge import process
from stream.faust_bridge.app import LanesApp
from stream.kafka import topics
from stream.service.settings import Settings
from tests.bench.candidate import Task


def settings_of(task: Task) -> Settings:
    """The defaults, on the task's broker, with a prefix and a directory of its own."""
    return Settings(
        kafka=task.bootstrap,
        topic_prefix=task.prefix,
        partitions=task.partitions,
        data_dir=Path(task.directory),
        store=task.store,
        instance_id=task.instance,
        worker_listen=f"127.0.0.1:{free_port()}",
    )


def read_from(callbacks: str) -> None:
    """From now on this process takes its callbacks from there."""
    own = topics.names

    def names(prefix: str) -> topics.Topics:
        return dataclasses.replace(own(prefix), callbacks=callbacks)

    topics.names = names


class Counting:
    """The worker's observer, and a count of what passes it by."""

    def __init__(self, app: LanesApp, callbacks: str) -> None:
        self._told = app.lanes.observer
        self._callbacks = callbacks
        self.callbacks = 0
        self.others = 0
        self.folded = 0
        self.batches = 0
        self.process_s = 0.0
        self.commit_s = 0.0
        self.produced_records: dict[str, int] = {}
        self.recovered_records = 0
        self.recovered_s = 0.0

    def __getattr__(self, name: str) -> Any:
        return getattr(self._told, name)

    def consumed(self, topic: str, partition: int, records: int, newest_ms: int) -> None:
        if topic == self._callbacks:
            self.callbacks += records
        else:
            self.others += records
        self._told.consumed(topic, partition, records, newest_ms)

    def batch(self, partition: int, records: int, process_s: float, commit_s: float | None) -> None:
        self.folded += records
        self.batches += 1
        self.process_s += process_s
        self.commit_s += commit_s or 0.0
        self._told.batch(partition, records, process_s, commit_s)

    def produced(self, topic: str, records: int, seconds: float, ok: bool) -> None:
        self.produced_records[topic] = self.produced_records.get(topic, 0) + records
        self._told.produced(topic, records, seconds, ok)

    def recovered(self, partitions: int, records: int, seconds: float) -> None:
        self.recovered_records, self.recovered_s = records, seconds
        self._told.recovered(partitions, records, seconds)


def prepare(task: Task) -> tuple[Settings, LanesApp]:
    """Topics and the app."""
    logging.basicConfig(level=logging.WARNING)
    chosen = settings_of(task)
    if task.topic:
        read_from(task.topic)
    make_topics(chosen)
    return chosen, build(chosen)


def make_topics(chosen: Settings) -> None:
    """As the worker does before it starts."""
    loop = asyncio.new_event_loop()
    loop.run_until_complete(topics.ensure(chosen.kafka, chosen))
    loop.close()


def run(app: LanesApp) -> int:
    """Work until a signal comes, or until someone calls `give_back`."""
    return process.run(app)
