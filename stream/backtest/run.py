"""One backtest: the recording goes through both sets of rules in step, within limits of time and memory.

Nothing is written to Kafka. The recording is read without a group, so that it moves nobody's offsets.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable, Collection, Mapping, Sequence
from contextlib import aclosing
from typing import NamedTuple

import msgspec

from stream.backtest.comparison import SIDES, AlertComparison, Side
from stream.backtest.recording import RecordedDeliveries, RecordedSlice, RecordedTime, opened_recording
from stream.backtest.replay import Replay
from stream.backtest.report import BacktestReport, report_of
from stream.core.alerting.alert import Alert
from stream.core.timestamps import SECOND_US, utc
from stream.engine.batch import Processor
from stream.kafka.client.connection import Connection
from stream.kafka.topics import Topics

WARM_UP_S = 3 * 3600
"""So much is taken before alerts count: longer than a condition remembers what is usual (90 minutes), and
than most calls last, so that few are taken from their middle.
"""
STEP_RECORDS = 1000
"""Records that are taken at once in a thread, while the event loop keeps the connections to Kafka."""

OUT_OF_TIME = "it stopped at the limit of time"
OUT_OF_MEMORY = "it stopped at the limit of memory: take fewer partitions, or allow more"
A_PART = (
    "not all partitions were taken: there are fewer facts about calls, and conditions count fewer calls than "
    "those of a worker"
)

_read_alert = msgspec.json.Decoder(Alert).decode


class NothingRecordedError(Exception):
    """The topics have no delivery of this time."""


class BacktestLimits(NamedTuple):
    """`seconds`: of real time, None for no limit; `bytes`: of the tables of both sides."""

    seconds: float | None
    bytes: int


class BacktestSpan(NamedTuple):
    """Alerts count from `since_us` on; the recording is taken until `until_us`. Microseconds since 1970."""

    since_us: int
    until_us: int

    @property
    def recorded(self) -> RecordedTime:
        return RecordedTime((self.since_us - WARM_UP_S * SECOND_US) // 1000, -(-self.until_us // 1000))


class Backtest:
    """Both sides, and how far they are. `jobs`: the processor of each, as a worker has it."""

    def __init__(
        self,
        jobs: Mapping[Side, Processor],
        topics: Topics,
        span: BacktestSpan,
        recording: RecordedDeliveries,
    ) -> None:
        self.records = 0
        self.reached_us = span.recorded.from_ms * 1000
        self.found = AlertComparison(span.since_us)
        self.replays = {
            side: Replay(jobs[side], topics, recording.partition_count, recording.numbers) for side in SIDES
        }

    @property
    def bytes(self) -> int:
        return sum(one.bytes for one in self.replays.values())

    def take(self, slices: Sequence[RecordedSlice]) -> None:
        """The next slices go through both sides."""
        for one in slices:
            for replay in self.replays.values():
                replay.take(one)
            self._compare(one.second)
            self.records += sum(len(some) for some in one.records.values())

    def advance(self, second: int) -> None:
        """Time goes on without deliveries."""
        for replay in self.replays.values():
            replay.advance(second)
        self._compare(second)

    def _compare(self, second: int) -> None:
        for side, replay in self.replays.items():
            for value in replay.alerts:
                self.found.take(side, _read_alert(value))
            replay.alerts.clear()
        self.reached_us = max(self.reached_us, second * SECOND_US)
        self.found.settle(self.reached_us)


async def run_backtest(
    cluster: Connection,
    topics: Topics,
    jobs: Mapping[Side, Processor],
    span: BacktestSpan,
    limits: BacktestLimits,
    *,
    numbers: Collection[int] | None = None,
    show: Callable[[Backtest], None] = lambda _: None,
) -> BacktestReport:
    """What the candidate rules would have changed. `numbers`: only these partitions.

    `show` is told now and then how far it is. Raises NothingRecordedError, MissingTopicError, KafkaError.
    """
    raw = (topics.callbacks, topics.polled)
    ends_s = None if limits.seconds is None else time.monotonic() + limits.seconds
    async with opened_recording(cluster, raw, span.recorded, numbers) as recording:
        done = Backtest(jobs, topics, span, recording)
        stopped = await _taken(done, recording, limits, ends_s, show)
    if recording.begins_ms is None:
        raise NothingRecordedError(
            f"no deliveries are recorded between {utc(span.recorded.from_ms * 1000)} and {utc(span.until_us)}"
        )
    if stopped is None:
        await asyncio.to_thread(done.advance, span.until_us // SECOND_US)
    done.found.settle(done.reached_us, everything=True)
    begins_us = recording.begins_ms * 1000
    since_us = min(max(span.since_us, begins_us), done.reached_us)
    notes = [stopped] if stopped is not None else []
    if begins_us > span.since_us:
        notes.append(
            f"the first delivery is of {utc(begins_us)[:16]}Z: calls that had begun before are incomplete, "
            "and what was usual before is not known"
        )
    if len(recording.numbers) < recording.partition_count:
        notes.append(A_PART)
    return report_of(
        done.found,
        since_us=since_us,
        until_us=done.reached_us,
        complete=stopped is None,
        partitions=(len(recording.numbers), recording.partition_count),
        records=done.records,
        unreadable=done.replays["current"].unreadable,
        notes=notes,
    )


async def _taken(
    done: Backtest,
    recording: RecordedDeliveries,
    limits: BacktestLimits,
    ends_s: float | None,
    show: Callable[[Backtest], None],
) -> str | None:
    """Take the recording to its end; returns why it stopped before."""
    step: list[RecordedSlice] = []
    size = 0
    async with aclosing(recording.slices()) as slices:
        async for one in slices:
            step.append(one)
            size += sum(len(some) for some in one.records.values())
            if size < STEP_RECORDS:
                continue
            await asyncio.to_thread(done.take, step)
            step, size = [], 0
            show(done)
            if done.bytes > limits.bytes:
                return OUT_OF_MEMORY
            if ends_s is not None and time.monotonic() > ends_s:
                return OUT_OF_TIME
    await asyncio.to_thread(done.take, step)
    return None
