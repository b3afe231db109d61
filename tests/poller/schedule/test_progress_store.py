"""The store on a real Kafka: saved progress survives its poller, and no poller undoes it."""

from __future__ import annotations

import asyncio
import itertools
import logging
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

import msgspec
import pytest

from stream.core.fetches import account_key
from stream.core.timestamps import utc
from stream.kafka import topics
from stream.kafka.acked_producer import AckedProducer, NotAcknowledgedError
from stream.kafka.client.connection import Connection
from stream.kafka.partitions import TopicPartition, partition_of
from stream.poller.pages.paged_read import ReadResult
from stream.poller.resources.account import Account
from stream.poller.resources.resource import Resource
from stream.poller.schedule.backfills import Backfills
from stream.poller.schedule.progress import Watermark, new_job
from stream.poller.schedule.progress_store import END, ProgressStore
from stream.poller.schedule.windows import Windows
from stream.service.settings import Settings
from tests.e2e.harness import latest, read_topic
from tests.poller.schedule.progress_fakes import account, resource, until
from tests.real_broker import RealBroker

pytestmark = pytest.mark.broker

NOW_US = 1_772_452_800_000_000
HOUR_US = 3_600_000_000
PARTITIONS = 4
ALL = set(range(PARTITIONS))


def mark(us: int, account_id: str = "AC1") -> Watermark:
    return Watermark(
        source="twilio_call", account=account_id, watermark=utc(us), read_at=utc(NOW_US), by="one"
    )


@asynccontextmanager
async def a_store(broker: RealBroker, prefix: str) -> AsyncIterator[ProgressStore]:
    """The store of a poller, from start to end."""
    await topics.ensure(broker.bootstrap, Settings(topic_prefix=prefix, partitions=PARTITIONS))
    async with a_producer(broker, prefix) as producer:
        connection = Connection(broker.bootstrap)
        store = ProgressStore(topics.names(prefix).polling, connection, producer)
        reading = asyncio.create_task(store.run())
        try:
            async with asyncio.timeout(60):
                await store.wait_until_loaded()
            yield store
        finally:
            reading.cancel()
            await asyncio.wait([reading])


@asynccontextmanager
async def a_producer(broker: RealBroker, prefix: str) -> AsyncIterator[AckedProducer]:
    producer = AckedProducer(
        topics.names(prefix).polling,
        Connection(broker.bootstrap),
        produced=lambda *_: None,
    )
    await producer.start()
    try:
        yield producer
    finally:
        await producer.close(5)


class EmptyReader:
    """Reads nothing, and has reached every end."""

    partitions = frozenset[TopicPartition]()

    async def has_reached(self, ends: Any) -> bool:
        return True

    async def read(self) -> dict[TopicPartition, list[Any]]:
        await asyncio.sleep(3600)
        return {}


@asynccontextmanager
async def a_store_without_records(producer: AckedProducer, topic: str) -> AsyncIterator[ProgressStore]:
    async def no_ends(partitions: Any) -> dict[TopicPartition, int]:
        return {}

    store = ProgressStore(topic, {}, producer, no_ends)
    following = asyncio.create_task(store.follow(EmptyReader()))  # type: ignore[arg-type]
    try:
        yield store
    finally:
        following.cancel()
        await asyncio.wait([following])


async def test_watermarks_and_jobs_survive_their_poller(broker: RealBroker, prefix: str) -> None:
    job = new_job("twilio_call", "AC1", NOW_US - HOUR_US, NOW_US, NOW_US)
    marks = [mark(NOW_US + number, f"AC{number}") for number in range(50)]
    async with a_store(broker, prefix) as first:
        assert first.watermark("twilio_call", "AC1") is None
        assert [await first.save(record) for record in [*marks, job]] == [*marks, job]
    async with a_store(broker, prefix) as second:
        assert [second.watermark("twilio_call", f"AC{number}") for number in range(50)] == marks
        assert (second.job(job.id), second.jobs(), second.job("other")) == (job, [job], None)
    placed = {
        record.key.decode(): record.partition
        for record in read_topic(broker.bootstrap, topics.names(prefix).polling)
        if record.key and record.key != END
    }
    assert placed == {record.key: partition_of(record.key.encode(), PARTITIONS) for record in [*marks, job]}


async def test_a_watermark_never_moves_back_whichever_poller_saves_it(
    broker: RealBroker, prefix: str
) -> None:
    async with a_store(broker, prefix) as one, a_store(broker, prefix) as other:
        await one.save(mark(NOW_US))
        assert await one.save(mark(NOW_US - 1)) == mark(NOW_US)
        await until(lambda: other.watermark("twilio_call", "AC1") == mark(NOW_US))
        assert await other.save(mark(NOW_US - HOUR_US)) == mark(NOW_US)
        assert await other.save(mark(NOW_US + 1)) == mark(NOW_US + 1)
        await until(lambda: one.watermark("twilio_call", "AC1") == mark(NOW_US + 1))
    records = latest(read_topic(broker.bootstrap, topics.names(prefix).polling))
    assert [msgspec.json.decode(value, type=Watermark) for value in records.values()] == [mark(NOW_US + 1)]


async def test_a_watermark_that_was_removed_may_be_earlier_for_every_poller(
    broker: RealBroker, prefix: str
) -> None:
    earlier = mark(NOW_US - HOUR_US)
    async with a_store(broker, prefix) as one, a_store(broker, prefix) as other:
        await one.save(mark(NOW_US))
        await one.remove(mark(NOW_US))
        assert one.watermark("twilio_call", "AC1") is None
        assert await one.save(earlier) == earlier
        await until(lambda: other.watermark("twilio_call", "AC1") == earlier)
    async with a_store(broker, prefix) as again:
        assert again.watermark("twilio_call", "AC1") == earlier


async def test_a_late_record_does_not_undo_the_progress_of_others(broker: RealBroker, prefix: str) -> None:
    """Its record is the last in the topic, and has less progress than one before it."""
    topic = topics.names(prefix).polling
    async with a_store(broker, prefix) as one, a_producer(broker, prefix) as producer:
        await one.save(mark(NOW_US))
        async with a_store_without_records(producer, topic) as behind:
            await behind.save(mark(NOW_US - HOUR_US))
        changes = 0
        while changes < 3:  # what it saved, the same as a record, and the late record
            changes = await one.wait_for_change(changes)
        assert one.watermark("twilio_call", "AC1") == mark(NOW_US)
    async with a_store(broker, prefix) as again:
        assert again.watermark("twilio_call", "AC1") == mark(NOW_US)


async def test_waiting_for_a_change_returns_after_each_change(broker: RealBroker, prefix: str) -> None:
    async with a_store(broker, prefix) as one, a_store(broker, prefix) as other:
        waiting = asyncio.create_task(other.wait_for_change(0))
        await asyncio.sleep(0)
        await one.save(mark(NOW_US))
        async with asyncio.timeout(30):
            seen = await waiting
            assert other.watermark("twilio_call", "AC1") == mark(NOW_US)
            await one.save(mark(NOW_US + 1))
            assert await other.wait_for_change(seen) > seen


async def test_an_unreadable_record_is_logged_and_skipped(
    broker: RealBroker, prefix: str, caplog: pytest.LogCaptureFixture
) -> None:
    class Raw:
        def __init__(self, key: bytes | None, value: bytes | None) -> None:
            self.key, self.value = key, value

    async with a_store(broker, prefix) as one, a_producer(broker, prefix) as producer:
        key = mark(NOW_US).key.encode()
        bad = [Raw(key, b"\xff"), Raw(b"AC1", b"{}"), Raw(key, b'{"v": 2}')]
        await producer.send_all(bad, 20)
        await one.save(mark(NOW_US))
        await one.save(mark(NOW_US, "AC2"))
        await producer.send_all([Raw(mark(NOW_US, "AC2").key.encode(), None)], 20)
        await until(lambda: one.watermark("twilio_call", "AC2") is None)
    caplog.set_level(logging.WARNING, logger="callstream.poller.windows")
    caplog.clear()
    async with a_store(broker, prefix) as again:
        assert again.watermark("twilio_call", "AC1") == mark(NOW_US)
        assert again.watermark("twilio_call", "AC2") is None, "a tombstone removes it"
    assert len([line for line in caplog.messages if "is skipped" in line]) == 3
    assert "AC1" not in caplog.text


@pytest.mark.e2e
async def test_a_broker_that_returns_is_read_again(broker: RealBroker, prefix: str) -> None:
    async with a_store(broker, prefix) as one, a_store(broker, prefix) as other:
        await one.save(mark(NOW_US))
        broker.kill()
        failed = 0
        for _ in range(3):
            try:
                await one.save(mark(NOW_US + 1))
            except NotAcknowledgedError:
                failed += 1
        assert failed == 3
        assert one.watermark("twilio_call", "AC1") == mark(NOW_US), "what was not saved is not known"
        await asyncio.to_thread(broker.restart)

        async with asyncio.timeout(60):
            while True:
                try:
                    await one.save(mark(NOW_US + 2))
                except NotAcknowledgedError:
                    await asyncio.sleep(0.1)
                else:
                    break
        await until(lambda: other.watermark("twilio_call", "AC1") == mark(NOW_US + 2), 60)


class FakeReader:
    """Records the URLs; at `halt_at` it does not return."""

    def __init__(self, halt_at: int = 0) -> None:
        self.urls: list[str] = []
        self._halt_at = halt_at

    async def read_window(
        self, resource: Resource, account: Account, url: str, priority: str, **_: Any
    ) -> ReadResult:
        self.urls.append(url)
        if len(self.urls) == self._halt_at:
            await asyncio.sleep(3600)
        return ReadResult("success", 10)

    async def read_call(self, *_: Any) -> ReadResult:
        raise AssertionError("no read by call is expected")

    @property
    def spans(self) -> list[tuple[int, int]]:
        return [
            (int(since), int(end))
            for since, _, end in (url.partition("since=")[2].partition("&until=") for url in self.urls)
        ]


def backfills(store: ProgressStore, reader: FakeReader) -> Backfills:
    return Backfills(
        [account()],
        {"twilio_call": resource("twilio_call")},
        store=store,
        reader=reader,  # type: ignore[arg-type]
        now_us=lambda: NOW_US,
    )


async def test_a_second_poller_finishes_a_job_after_the_first_was_stopped(
    broker: RealBroker, prefix: str
) -> None:
    job = new_job("twilio_call", "AC1", NOW_US - 10 * HOUR_US - 5, NOW_US, NOW_US)
    one, other = FakeReader(halt_at=5), FakeReader()
    async with a_store(broker, prefix) as first:
        working = backfills(first, one)
        await working.assign(ALL, PARTITIONS)
        await first.save(job)
        await until(lambda: len(one.urls) == 5, 60)
        await working.close()
    async with a_store(broker, prefix) as second:
        before = second.job(job.id)
        assert (before.state, before.rows) == ("running", 40)
        working = backfills(second, other)
        await working.assign(ALL, PARTITIONS)
        await until(lambda: second.job(job.id).finished, 60)
        await working.close()
    async with a_store(broker, prefix) as third:
        last = third.job(job.id)
    assert last == msgspec.structs.replace(
        job, state="done", done_until=job.until, rows=110, updated_at=utc(NOW_US)
    )
    spans = sorted({*one.spans, *other.spans})
    assert (spans[0][0], spans[-1][1]) == (job.since_us, job.until_us)
    assert all(end == begin for (_, end), (begin, _) in itertools.pairwise(spans))
    assert set(one.spans) & set(other.spans) == {one.spans[-1]}, "only the running slice is read twice"


async def test_windows_resume_at_the_watermark_of_the_last_poller(broker: RealBroker, prefix: str) -> None:
    class Silent:
        def window(self, *_: Any) -> None: ...

    def windows(store: ProgressStore, reader: FakeReader, now_us: int) -> Windows:
        return Windows(
            Settings(poll_interval_s=3600),
            [account("AC1"), account("AC2")],
            {"twilio_call": resource("twilio_call")},
            store=store,
            reader=reader,  # type: ignore[arg-type]
            metrics=Silent(),  # type: ignore[arg-type]
            by="one",
            now_us=lambda: now_us,
        )

    async with a_store(broker, prefix) as first:
        reading = windows(first, FakeReader(), NOW_US)
        await reading.assign({partition_of(account_key("twilio", "AC1"), PARTITIONS)}, PARTITIONS)
        await until(lambda: first.watermark("twilio_call", "AC1"))
        await reading.close()
    reader = FakeReader()
    async with a_store(broker, prefix) as second:
        reading = windows(second, reader, NOW_US + 30 * HOUR_US)
        await reading.assign({partition_of(account_key("twilio", "AC1"), PARTITIONS)}, PARTITIONS)
        await until(lambda: reader.urls)
        await reading.close()
    assert reader.urls[0] == f"https://api.example.test/twilio_call/0?since={NOW_US - HOUR_US}"
