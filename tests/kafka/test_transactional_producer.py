"""What a lane's transaction carries, when it is not committed, and how its outputs are packed."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from types import SimpleNamespace
from typing import Any

import pytest
from aiokafka import TopicPartition
from aiokafka.errors import (
    IllegalOperation,
    InvalidProducerEpoch,
    InvalidProducerIdMapping,
    KafkaError,
    MessageSizeTooLargeError,
    NotEnoughReplicasError,
    ProducerFenced,
    UnknownProducerId,
)
from aiokafka.structs import OffsetAndMetadata

from stream.kafka.transactional_producer import (
    EACH,
    KEYED,
    Closed,
    CommittedOffset,
    Fenced,
    Output,
    TransactionalProducer,
    TransactionFailed,
    TransactionPart,
    pack_batches,
    spread_by_partition,
)


class Builder:
    """A batch that is full after three records."""

    def __init__(self) -> None:
        self.records: list[tuple[Any, ...]] = []

    def append(self, offset: int, timestamp: int, key: Any, value: Any, headers: list[Any]) -> object | None:
        if len(self.records) == 3:
            return None
        self.records.append((offset, key, value, headers))
        return self


class Batch:
    def __init__(self) -> None:
        self._builder = Builder()
        self._relative_offset = 0


class Producer:
    def create_batch(self) -> Batch:
        return Batch()


def test_a_keyed_output_goes_where_java_s_default_partitioner_sends_its_key() -> None:
    known = {b"foobar": -790332482, b"a-little-bit-long-string": -985981536}  # Kafka's UtilsTest.testMurmur2
    keyed = [Output(key, b"v", (), KEYED) for key in known]
    spread = spread_by_partition([*keyed, Output(b"k", b"v", (), 7)], 12)
    expected: dict[int, list[Output]] = {}
    for output, number in zip(keyed, known.values(), strict=True):
        expected.setdefault((number & 0x7FFFFFFF) % 12, []).append(output)
    expected.setdefault(7, []).append(Output(b"k", b"v", (), 7))
    assert spread == expected


def test_an_output_may_go_to_each_partition() -> None:
    everywhere, here = Output(b"k", b"v", (), EACH), Output(b"k", b"w", (), 1)
    assert spread_by_partition([everywhere, here], 3) == {
        0: [everywhere],
        1: [everywhere, here],
        2: [everywhere],
    }


def test_an_output_may_have_another_key_choose_its_partition() -> None:
    outputs = [Output(b"a call", b"v", (), b"foobar"), Output(b"another", b"v", (), b"foobar")]
    assert spread_by_partition(outputs, 12) == {(-790332482 & 0x7FFFFFFF) % 12: outputs}


def test_outputs_fill_batches_in_their_order() -> None:
    outputs = [Output(b"%d" % number, b"v", (("h", b"1"),)) for number in range(7)]
    packed = [
        (batch._relative_offset, count, batch._builder.records)
        for batch, count in pack_batches(Producer(), outputs)
    ]
    in_order = [(place % 3, b"%d" % place, b"v", [("h", b"1")]) for place in range(7)]
    assert packed == [(3, 3, in_order[:3]), (3, 3, in_order[3:6]), (1, 1, in_order[6:])]


def test_nothing_to_write_is_not_a_batch() -> None:
    assert list(pack_batches(Producer(), [])) == []


class Written:
    """What the broker says of a batch: the offset of its first record."""

    def __init__(self, offset: int) -> None:
        self.offset = offset


class Client:
    """An aiokafka producer that remembers what it was asked for; `refuses` and `offsets` by topic."""

    def __init__(self, offsets: dict[str, int], refuses: dict[str, BaseException] | None = None) -> None:
        self.offsets, self.refuses = offsets, refuses or {}
        self.asked: list[str] = []
        self.sent: dict[tuple[str, int], list[bytes]] = {}
        self.commits: dict[TopicPartition, OffsetAndMetadata] = {}
        self._txn_manager = self
        self._message_accumulator = SimpleNamespace(_pending_batches=set(), _batches={})
        self._transaction_waiter: asyncio.Future[None] | None = None
        self._pending_txn_offsets: list[Any] = []

    def maybe_add_partition_to_txn(self, tp: TopicPartition) -> None: ...

    async def partitions_for(self, topic: str) -> set[int]:
        return {0, 1}

    def create_batch(self) -> Batch:
        return Batch()

    async def begin_transaction(self) -> None:
        self.asked.append("begin")

    async def send_batch(self, batch: Batch, topic: str, partition: int) -> asyncio.Future[Written]:
        result: asyncio.Future[Written] = asyncio.get_running_loop().create_future()
        self.sent[topic, partition] = [key for _, key, *_ in batch._builder.records]
        if topic in self.refuses:
            result.set_exception(self.refuses[topic])
        else:
            result.set_result(Written(self.offsets[topic]))
        return result

    async def send_offsets_to_transaction(
        self, commits: dict[TopicPartition, OffsetAndMetadata], group: str
    ) -> None:
        self.asked.append(f"offsets of {group}")
        self.commits = commits

    async def commit_transaction(self) -> None:
        self.asked.append("commit")


def lane_producer(client: Client) -> TransactionalProducer:
    producer = TransactionalProducer("calls-worker", 3, {}, lambda *_: None)
    producer._producer = client
    return producer


async def transact(client: Client, outputs: dict[str, Sequence[Output]], changelog_end: int = 0) -> int:
    """The end of the changelog that a lane's transaction of these outputs leaves."""
    part = TransactionPart(3, outputs, SOURCES, changelog_end)
    return (await lane_producer(client).transact([part], changelog="changelog"))[3]


SOURCES = {"callbacks": 40, "ticks": 9}
OUTPUTS: dict[str, Sequence[Output]] = {
    "events": [Output(b"k", b"e")],
    "changelog": [Output(b"k", b"s"), Output(b"l", b"s")],
}


async def test_offsets_are_committed_with_the_changelog_s_end_that_their_states_need() -> None:
    client = Client({"events": 7, "changelog": 1129})
    assert await transact(client, OUTPUTS, 1100) == 1131
    assert client.commits == {
        TopicPartition(topic, 3): OffsetAndMetadata(at, "changelog=1131") for topic, at in SOURCES.items()
    }
    assert client.asked == ["begin", "offsets of calls-worker", "commit"]


async def test_lanes_share_a_transaction_and_each_has_the_changelog_s_end_of_its_own_partition() -> None:
    client = Client({"events": 7000, "active": 5000, "changelog": 1129})
    keyed = Output(b"foobar", b"v", (), KEYED)  # of two partitions, it goes to 0
    parts = [
        TransactionPart(
            0, {"events": [Output(b"k", b"e")], "active": [Output(b"k", b"a")]}, {"ticks": 5}, 300
        ),
        TransactionPart(1, {"active": [keyed], "changelog": OUTPUTS["changelog"]}, {"callbacks": 40}, 900),
    ]
    assert await lane_producer(client).transact(parts, changelog="changelog") == {0: 300, 1: 1131}
    assert client.commits == {
        TopicPartition("ticks", 0): OffsetAndMetadata(5, "changelog=300"),
        TopicPartition("callbacks", 1): OffsetAndMetadata(40, "changelog=1131"),
    }
    assert client.sent == {
        ("events", 0): [b"k"],
        ("active", 0): [b"k", b"foobar"],
        ("changelog", 1): [b"k", b"l"],
    }
    assert client.asked == ["begin", "offsets of calls-worker", "commit"]


async def test_a_batch_without_states_carries_the_changelog_s_former_end() -> None:
    client = Client({"events": 7})
    only_events = {"events": OUTPUTS["events"]}
    assert await transact(client, only_events, 1100) == 1100
    assert {commit.metadata for commit in client.commits.values()} == {"changelog=1100"}


@pytest.mark.parametrize("topic", ["events", "changelog"])
async def test_a_refused_record_stops_the_commit(topic: str) -> None:
    client = Client({"events": 7, "changelog": 1129}, {topic: MessageSizeTooLargeError("60 bytes")})
    with pytest.raises(TransactionFailed) as failed:
        await transact(client, OUTPUTS)
    assert failed.value.refused
    assert client.asked == ["begin"]


async def test_records_taken_at_an_unknown_offset_are_not_committed() -> None:
    """A broker that had them already and has forgotten where answers -1."""
    client = Client({"events": 7, "changelog": -1})
    with pytest.raises(TransactionFailed):
        await transact(client, OUTPUTS, 1100)
    assert client.asked == ["begin"]


@pytest.mark.parametrize(
    "error",
    [ProducerFenced(), InvalidProducerEpoch(), InvalidProducerIdMapping(), UnknownProducerId()],
    ids=repr,
)
async def test_a_producer_whose_epoch_is_over_is_fenced(error: KafkaError) -> None:
    client = Client({"events": 7, "changelog": 1129}, {"events": error})
    with pytest.raises(Fenced):
        await transact(client, OUTPUTS)


@pytest.mark.parametrize(
    "error",
    [
        KafkaError("down"),
        OSError("gone"),
        TimeoutError(),
        NotEnoughReplicasError(),
        IllegalOperation("no more"),
    ],
)
async def test_any_other_trouble_is_a_failed_transaction(error: Exception) -> None:
    client = Client({"events": 7, "changelog": 1129}, {"events": error})
    with pytest.raises(TransactionFailed) as failed:
        await transact(client, OUTPUTS)
    assert not failed.value.refused


@pytest.mark.parametrize(
    ("ended_by", "raised"),
    [(None, TransactionFailed), (KafkaError("down"), TransactionFailed), (ProducerFenced(), Fenced)],
    ids=repr,
)
async def test_a_transaction_that_ended_between_two_calls_is_told_by_what_ended_it(
    ended_by: KafkaError | None, raised: type[Exception]
) -> None:
    """aiokafka's sender has heard of it; the next call finds no transaction any more."""

    class Late(Client):
        async def send_batch(self, batch: Batch, topic: str, partition: int) -> asyncio.Future[Written]:
            self._transaction_waiter = asyncio.get_running_loop().create_future()
            if ended_by is not None:
                self._transaction_waiter.set_exception(ended_by)
            raise IllegalOperation("Can't send messages while not in transaction")

    with pytest.raises(raised):
        await transact(Late({}), OUTPUTS)


async def test_records_of_a_transaction_that_is_given_up_count_as_not_written() -> None:
    class Silent(Client):
        async def send_batch(self, batch: Batch, topic: str, partition: int) -> asyncio.Future[Written]:
            return asyncio.get_running_loop().create_future()

    told: list[tuple[str, int, bool]] = []
    producer = lane_producer(Silent({}))
    producer._produced = lambda topic, records, seconds, ok: told.append((topic, records, ok))
    with pytest.raises(TimeoutError):
        async with asyncio.timeout(0.01):
            await producer.transact([TransactionPart(3, OUTPUTS, SOURCES, 0)], changelog="changelog")
    assert told == [("events", 1, False), ("changelog", 2, False)]


async def test_a_closed_lane_writes_nothing() -> None:
    producer = TransactionalProducer("calls-worker", 3, {}, lambda *_: None)
    with pytest.raises(Closed, match="closed"):
        await producer.transact([TransactionPart(3, OUTPUTS, SOURCES, 0)], changelog="changelog")


def test_a_commit_says_how_much_of_the_changelog_its_states_need() -> None:
    assert CommittedOffset.read(40, "changelog=1131") == CommittedOffset(40, 1131)


@pytest.mark.parametrize(
    "metadata", [None, "", "note", "changelog=", "changelog=-1", "changelog=1 ", "xchangelog=1"]
)
def test_a_commit_of_an_earlier_version_or_of_a_tool_says_nothing(metadata: str | None) -> None:
    assert CommittedOffset.read(40, metadata) == CommittedOffset(40, None)
