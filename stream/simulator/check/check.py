"""Reads what came out and compares it with the truth, waiting for as long as there is progress.

Outputs are read as consumers should: read_committed, so that what was aborted is not there.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable
from typing import NamedTuple

import orjson

from stream.kafka.errors import KafkaError
from stream.kafka.topic_reader import (
    ConsumerRecord,
    MissingTopicError,
    Offsets,
    TopicReader,
    ends_of,
    read_from,
)
from stream.service.errors import said
from stream.simulator.check.compare import Comparison
from stream.simulator.check.expected_outputs import ExpectedOutputs
from stream.simulator.check.leaks import LeakSearch
from stream.simulator.check.metrics_and_logs import MetricsAndLogs
from stream.simulator.check.report import CheckReport

QUIET_S = 2.0
"""How long nothing more must come after all is there: what comes twice comes a little later."""

ANSWER_S = 15.0
READ_MS = 200
FETCH = {
    "max_partition_fetch_bytes": 4 * 1024 * 1024,
    "fetch_max_bytes": 32 * 1024 * 1024,
    "fetch_max_wait_ms": 100,
}

SAID_OF_DEAD_LETTERS = ("reason", "stage", "error")

Waiting = Callable[[int, int], None]
"""Told now and then how many of the expected events are there."""


class CheckError(Exception):
    """The outputs could not be read: it is not known whether anything differs."""


class OutputTopics(NamedTuple):
    """The topics that are compared; of the last two is only looked at what must not be in them."""

    events: str
    ended: str
    alerts: str
    dead_letters: str
    alerts_active: str
    fetches: str


Owed = Callable[[], float]
"""How many seconds may pass until all is there that somebody has yet to read."""


class IdleTimeout:
    """How long nothing may come until no more is waited for. Times are monotonic seconds."""

    def __init__(self, began_s: float, *, quiet_s: float, timeout_s: float) -> None:
        self.last_s = began_s
        self._quiet_s = quiet_s
        self._timeout_s = timeout_s

    def is_over(self, now_s: float, *, came: bool, complete: bool, owed_s: float) -> bool:
        """Asked again and again. What is owed is waited for, but not when all that is expected is there."""
        if came or (owed_s > 0 and not complete):
            self.last_s = now_s
        return now_s - self.last_s >= (self._quiet_s if complete else self._timeout_s)


async def mark(bootstrap: str, topics: OutputTopics) -> Offsets:
    """The ends of the output topics. Take it before anything is written. Raises CheckError."""
    try:
        return await ends_of({"bootstrap_servers": bootstrap}, topics)
    except MissingTopicError as error:
        raise CheckError(str(error)) from None
    except KafkaError as error:
        raise CheckError(f"{bootstrap}: {said(error)}") from error


async def check(
    bootstrap: str,
    topics: OutputTopics,
    truth: ExpectedOutputs,
    since: Offsets,
    *,
    timeout_s: float = 60.0,
    quiet_s: float = QUIET_S,
    alone: bool = False,
    waiting: Waiting | None = None,
    owed_s: Owed | None = None,
    search: LeakSearch | None = None,
    beside: MetricsAndLogs | None = None,
) -> CheckReport:
    """Compare what came out since the mark with the truth.

    Waits until everything is there and `quiet_s` nothing more has come, or until nothing new has come for
    `timeout_s`: then what is missing is missing. That time does not begin while anything is owed. `alone` as
    in Comparison. `search` is given every record, of dead letters what is said of them, and what there is
    `beside` the topics. Raises CheckError.
    """
    began = time.monotonic()
    comparison = Comparison(truth, alone=alone)
    patience = IdleTimeout(began, quiet_s=quiet_s, timeout_s=timeout_s)
    try:
        async with read_from({"bootstrap_servers": bootstrap}, since, **FETCH) as reader:
            patience.last_s = time.monotonic()
            while True:
                fetched = await reader.read(READ_MS)
                for partition, records in fetched.items():
                    _tell(comparison, topics, partition.topic, records)
                    if search is not None:
                        _search(search, topics, records)
                if waiting is not None:
                    waiting(comparison.events_found, comparison.events_expected)
                if patience.is_over(
                    time.monotonic(),
                    came=bool(fetched),
                    complete=comparison.complete,
                    owed_s=owed_s() if owed_s is not None else 0.0,
                ):
                    break
            if not comparison.complete:
                await _still_there(reader)
    except KafkaError as error:
        raise CheckError(f"{bootstrap}: {said(error)}") from error
    report = comparison.report()
    if search is not None:
        if beside is not None:
            await beside.look(search)
        report.searched(search)
    report.seconds = patience.last_s - began
    return report


async def _still_there(reader: TopicReader) -> None:
    """A broker that is gone looks like outputs that never come. Raises CheckError."""
    try:
        async with asyncio.timeout(ANSWER_S):
            await reader.ends()
    except TimeoutError:
        raise CheckError("the broker does not answer any more") from None


def _tell(comparison: Comparison, topics: OutputTopics, topic: str, records: list[ConsumerRecord]) -> None:
    if topic == topics.dead_letters:
        for record in records:
            headers = {name: value.decode(errors="replace") for name, value in record.headers}
            key = record.key.decode(errors="replace") if record.key is not None else None
            comparison.dead_letter(key, headers.get("reason", "?"), headers.get("error", "?"))
        return
    tell = {
        topics.events: comparison.event,
        topics.ended: comparison.record,
        topics.alerts: comparison.alert,
    }.get(topic)
    if tell is not None:
        for record in records:
            tell(orjson.loads(record.value))


def _search(search: LeakSearch, topics: OutputTopics, records: list[ConsumerRecord]) -> None:
    for record in records:
        topic, at = record.topic, f"-{record.partition}@{record.offset}"
        if record.topic == topics.dead_letters:
            # It is as it came, but for what is said of it.
            said = [(name, content) for name, content in record.headers if name in SAID_OF_DEAD_LETTERS]
            search.record(topic, at, None, None, said)
        else:
            search.record(topic, at, record.key, record.value, record.headers)
