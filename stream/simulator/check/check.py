"""Reads what came out and compares it with the expected outputs, waiting as long as there is progress.

Outputs are read as consumers should read them: read_committed, so that aborted records are invisible.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable
from dataclasses import dataclass
from typing import NamedTuple

import orjson

from stream.core.alerting.rules import DEFAULT_RULES, Rules
from stream.kafka.client.connection import Connection
from stream.kafka.errors import KafkaError, reaction
from stream.kafka.topic_reader import (
    ConsumerRecord,
    MissingTopicError,
    Offsets,
    TopicReader,
    ends_of,
    read_from,
)
from stream.service.errors import describe
from stream.simulator.check.compare import Comparison, Place
from stream.simulator.check.expected_outputs import ExpectedOutputs
from stream.simulator.check.leaks import LeakSearch, MetricsAndLogs
from stream.simulator.check.report import CheckReport

ANSWER_S = 15.0
READ_MS = 200
FETCH = {
    "max_partition_fetch_bytes": 4 * 1024 * 1024,
    "fetch_max_bytes": 32 * 1024 * 1024,
    "fetch_max_wait_ms": 100,
}

DEAD_LETTER_HEADERS = ("reason", "stage", "error")
"""Headers that callstream itself writes; the rest of a dead letter is as the provider sent it."""


class CheckError(Exception):
    """The outputs could not be read: it is not known whether anything differs."""


class OutputTopics(NamedTuple):
    """The topics that are compared. The last two are only searched for leaks."""

    events: str
    ended: str
    alerts: str
    dead_letters: str
    alerts_active: str
    fetches: str
    scopes: str


@dataclass(frozen=True, slots=True, kw_only=True)
class CheckOptions:
    """How to check: missing outputs count as missing `timeout_s` after the last record of the run's calls,
    and `quiet_s` is how long to wait for duplicates after everything has come out. `progress` gets the events
    found and expected. `rules`: by which the worker raises alerts.
    """

    timeout_s: float = 60.0
    quiet_s: float = 2.0
    alone: bool = False
    progress: Callable[[int, int], None] | None = None
    search: LeakSearch | None = None
    metrics_and_logs: MetricsAndLogs | None = None
    rules: Rules = DEFAULT_RULES


class IdleTimeout:
    """How long nothing may come before the check ends. Times are monotonic seconds."""

    def __init__(self, began_s: float, *, quiet_s: float, timeout_s: float) -> None:
        self.last_s = began_s
        self._quiet_s = quiet_s
        self._timeout_s = timeout_s

    def is_over(self, now_s: float, *, came: bool, complete: bool, owed_s: float) -> bool:
        """Call it again and again. Rows that cannot be read yet (`owed_s`) keep it waiting until complete."""
        if came or (owed_s > 0 and not complete):
            self.last_s = now_s
        return now_s - self.last_s >= (self._quiet_s if complete else self._timeout_s)


async def end_offsets(connection: Connection, topics: OutputTopics) -> Offsets:
    """The ends of the output topics, to be taken before anything is written. Raises CheckError."""
    try:
        return await ends_of(connection, topics)
    except MissingTopicError as error:
        raise CheckError(str(error)) from None
    except KafkaError as error:
        raise CheckError(_said(connection, error)) from error


def _said(connection: Connection, error: KafkaError) -> str:
    return f"the broker at {connection.bootstrap} {reaction(error)}: {describe(error)}"


async def check(
    connection: Connection,
    topics: OutputTopics,
    expected: ExpectedOutputs,
    since: Offsets,
    options: CheckOptions,
    *,
    owed_s: Callable[[], float] = lambda: 0.0,
) -> CheckReport:
    """Compare what came out since these offsets with the expected outputs.

    `owed_s`: seconds until all rows can be read; the time-out does not start before. Raises CheckError.
    """
    began = time.monotonic()
    comparison = Comparison(expected, alone=options.alone, rules=options.rules)
    idle = IdleTimeout(began, quiet_s=options.quiet_s, timeout_s=options.timeout_s)
    search = options.search
    try:
        async with read_from(connection, since, **FETCH) as reader:
            idle.last_s = time.monotonic()
            while True:
                before = comparison.records
                for partition, records in (await reader.read(READ_MS)).items():
                    _compare(comparison, topics, partition.topic, records)
                    if search is not None:
                        _search(search, topics, records)
                if options.progress is not None:
                    options.progress(comparison.events_found, comparison.events_expected)
                if idle.is_over(
                    time.monotonic(),
                    # Others may write to these topics for ever.
                    came=comparison.records > before,
                    complete=comparison.complete,
                    owed_s=owed_s(),
                ):
                    break
            if not comparison.complete:
                await _ensure_broker_answers(reader)
    except KafkaError as error:
        raise CheckError(_said(connection, error)) from error
    report = comparison.report()
    if search is not None:
        if options.metrics_and_logs is not None:
            await options.metrics_and_logs.search_with(search)
        report.searched(search)
    report.seconds = idle.last_s - began
    return report


async def _ensure_broker_answers(reader: TopicReader) -> None:
    """Without a broker all outputs would look missing. Raises CheckError."""
    try:
        async with asyncio.timeout(ANSWER_S):
            await reader.ends()
    except TimeoutError:
        raise CheckError("the broker does not answer any more") from None


def _compare(comparison: Comparison, topics: OutputTopics, topic: str, records: list[ConsumerRecord]) -> None:
    compare = {
        topics.events: comparison.event,
        topics.ended: comparison.record,
        topics.alerts: comparison.alert,
    }.get(topic)
    for record in records:
        key = record.key.decode(errors="replace") if record.key is not None else None
        headers = {name: (value or b"").decode(errors="replace") for name, value in record.headers}
        if topic == topics.dead_letters:
            comparison.dead_letter(key, headers.get("reason", "?"), headers.get("error", "?"))
        elif topic == topics.alerts_active:
            comparison.alerts.active(key, active=record.value is not None)
        elif compare is not None and record.value is not None:  # None: of a call that was forgotten
            compare(orjson.loads(record.value), Place(topic, key, record.partition, headers))


def _search(search: LeakSearch, topics: OutputTopics, records: list[ConsumerRecord]) -> None:
    for record in records:
        topic, at = record.topic, f"-{record.partition}@{record.offset}"
        if record.topic == topics.dead_letters:
            headers = [header for header in record.headers if header[0] in DEAD_LETTER_HEADERS]
            search.record(topic, at, None, None, headers)
        else:
            search.record(topic, at, record.key, record.value, record.headers)
