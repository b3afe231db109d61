"""A transactional producer: outputs, changelog and source offsets of batches, all or nothing.

The commit is sent only after every record was acknowledged, because aiokafka's `commit_transaction` does not
look at refused batches. A producer that failed is never used again: its sequence numbers are wrong.
"""

from __future__ import annotations

import asyncio
import re
import time
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from typing import Any, NamedTuple, cast

from aiokafka.errors import (
    IllegalOperation,
    InvalidProducerEpoch,
    InvalidProducerIdMapping,
    KafkaError,
    MessageSizeTooLargeError,
    ProducerFenced,
    RecordListTooLargeError,
    UnknownProducerId,
)
from aiokafka.structs import OffsetAndMetadata

from stream.kafka.client import request_limits
from stream.kafka.client.connection import Connection
from stream.kafka.client.member_commit import Member, commit_as
from stream.kafka.client.network_client import ignore_failures
from stream.kafka.client.producers import CLOSE_S, PRODUCER, drop, ignore_pending
from stream.kafka.partitions import TopicPartition, partition_of
from stream.service.errors import describe

TRANSACTION_TIMEOUT_MS = 15_000
COMPRESSION = "snappy"
"""Events are alike: a full batch shrinks to a fifth. Zstd shrinks it to a tenth, at three times the cost."""
OPEN_TIMEOUT_S = 8.0
"""Then the caller hears of it, and tries again with fresh connections. Less than a session timeout."""

KEYED = -1
"""As an output's partition: the one that the key hashes to (murmur2, Java's default) in the output's own
topic.
"""
EACH = -2
"""As an output's partition: every one, once."""

FENCED = (ProducerFenced, InvalidProducerEpoch, InvalidProducerIdMapping, UnknownProducerId)
REFUSED = (MessageSizeTooLargeError, RecordListTooLargeError)


_CHANGELOG_END = re.compile(r"changelog=(\d{1,19})")


Produced = Callable[[str, int, float, bool], None]
"""Told of records of a topic: their number, after how many seconds, and whether the broker took them."""


class Output(NamedTuple):
    """One record to be written. `partition` None is the producer's own number, `KEYED` the key's, `EACH` all
    of them, and bytes are a key of their own that chooses it.

    On the hot path a plain tuple of the four will do; it takes a tenth of the time to make.
    """

    key: bytes | None
    value: bytes | None
    headers: Sequence[tuple[str, bytes]] = ()
    partition: int | bytes | None = None


class TransactionPart(NamedTuple):
    """What a batch of one partition number adds to a transaction."""

    partition: int
    outputs: Mapping[str, Sequence[Output]]
    """Records by topic."""
    offsets: Mapping[str, int]
    """The group's next offset of each source topic, in this partition."""
    changelog_end: int
    """The end of the changelog that the states need without this batch."""


class CommittedOffset(NamedTuple):
    """A group's committed offset of a source partition, with its metadata.

    Each commit carries the changelog offset that its states need: old states under new offsets would lose
    the records in between.
    """

    offset: int
    changelog_end: int | None
    """None where an earlier version or an operator's tool committed."""

    @classmethod
    def read(cls, offset: int, metadata: str | None) -> CommittedOffset:
        found = _CHANGELOG_END.fullmatch(metadata or "")
        return cls(offset, int(found[1]) if found else None)


class Fenced(Exception):
    """The producer's epoch is over.

    Another owner has opened the lane, Kafka has ended a transaction that took too long, or the group is at
    another generation.
    """


class Closed(Exception):
    """The producer is closed."""


class TransactionFailed(Exception):
    """The batch was not committed, or the outcome is unknown.

    `refused`: the broker does not take a record.
    """

    def __init__(self, cause: BaseException) -> None:
        super().__init__(describe(cause))
        self.refused = isinstance(cause, REFUSED)


class TransactionalProducer:
    """Writes transactions of `group`, one at a time. Its id is the group's with `name`.

    - `member`: the group member whose assignment the partition is; None where nobody else reads the sources.
    - `produced`: told of each batch of records.
    """

    def __init__(
        self,
        group: str,
        name: int | str,
        connection: Connection,
        produced: Produced,
        member: Member | None = None,
    ) -> None:
        self._member = member
        self._group = group
        self._id = f"{group}-{name}"
        self._connection = connection
        self._produced = produced
        self._producer: Any = None
        self._starting: asyncio.Future[None] | None = None

    async def open(self) -> None:
        """Fence the former owner. On return its last transaction is committed or aborted.

        Raises Closed where it is closed meanwhile: aiokafka would ask for its producer id for ever.
        Raises TimeoutError, KafkaError, OSError: then the caller may try again.
        """
        await self.close()
        producer = self._producer = self._connection.producer(
            transactional_id=self._id,
            transaction_timeout_ms=TRANSACTION_TIMEOUT_MS,
            compression_type=COMPRESSION,
            **PRODUCER,
        )
        request_limits.steer(producer.client)
        if self._member is not None:
            commit_as(producer.client, self._member)
        self._starting = asyncio.ensure_future(asyncio.wait_for(producer.start(), OPEN_TIMEOUT_S))
        try:
            await self._starting
        except asyncio.CancelledError:
            if self._producer is producer:
                raise  # the caller was cancelled, not the start
            raise Closed("closed while it was opened") from None
        finally:
            self._starting = None

    async def close(self) -> None:
        """Close without a flush: what is left in the buffer must not go out."""
        producer, self._producer = self._producer, None
        if producer is None:
            return
        if self._starting is not None:
            self._starting.cancel()
            await asyncio.wait([self._starting], timeout=CLOSE_S)
        await drop(producer)

    async def transact(self, parts: Sequence[TransactionPart], *, changelog: str) -> dict[int, int]:
        """Write `parts`, each of another partition, in one transaction.

        Each part's offsets carry the end of `changelog` that its states need: after its own records of it, or
        as before where it has none. Returns these ends by partition.
        Raises Closed, Fenced, TransactionFailed: after the last two call `open` before the next transaction.
        """
        producer = self._producer
        if producer is None:
            raise Closed("the producer is closed")
        through = False
        try:
            await producer.begin_transaction()
            written = await self._produce(producer, parts, changelog)
            ends = {part.partition: max(part.changelog_end, written.get(part.partition, 0)) for part in parts}
            commits = {
                TopicPartition(topic, part.partition): OffsetAndMetadata(
                    offset, f"changelog={ends[part.partition]}"
                )
                for part in parts
                for topic, offset in part.offsets.items()
            }
            if commits:
                await producer.send_offsets_to_transaction(commits, self._group)
            await producer.commit_transaction()
            through = True
        except FENCED as error:
            raise Fenced(describe(error)) from error
        except (KafkaError, IllegalOperation, AssertionError, OSError) as error:
            if isinstance(ended_by := _ended_by(producer), FENCED):
                raise Fenced(describe(ended_by)) from error
            raise TransactionFailed(error) from error
        finally:
            if not through:
                ignore_pending(producer)
        return ends

    async def _produce(
        self, producer: Any, parts: Sequence[TransactionPart], changelog: str
    ) -> dict[int, int]:
        """Write the records. Returns the ends of `changelog` after them, by partition."""
        began = time.monotonic()
        outputs: dict[tuple[str, int], Sequence[Output]] = {}
        for part in parts:
            for topic, records in part.outputs.items():
                elsewhere = [record for record in records if record[3] is not None]
                own = [record for record in records if record[3] is None] if elsewhere else records
                spread: dict[int, Sequence[Output]] = {part.partition: own} if own else {}
                if elsewhere:
                    count = len(await producer.partitions_for(topic))
                    for number, others in spread_by_partition(elsewhere, count).items():
                        spread[number] = [*spread.get(number, ()), *others]
                for number, group in spread.items():
                    before = outputs.get((topic, number))
                    outputs[topic, number] = [*before, *group] if before else group
        for topic, number in outputs:  # in one request, before the first batch asks for its own
            producer._txn_manager.maybe_add_partition_to_txn(TopicPartition(topic, number))
        sent: list[tuple[str, int, int, asyncio.Future[Any]]] = []
        for (topic, number), records in outputs.items():
            for batch, count in pack_batches(producer, records):
                taken = await producer.send_batch(batch, topic, partition=number)
                ignore_failures([taken])  # should what comes next fail
                sent.append((topic, number, count, taken))
        # Await every future, or asyncio warns about unretrieved exceptions.
        try:
            results = await asyncio.gather(*(future for *_, future in sent), return_exceptions=True)
        except asyncio.CancelledError:  # given up: a silent broker must not look like one that takes all
            for topic, _, count, _ in sent:
                self._produced(topic, count, time.monotonic() - began, False)
            raise
        seconds = time.monotonic() - began
        ends: dict[int, int] = {}
        failure: BaseException | None = None
        for (topic, number, count, _), result in zip(sent, results, strict=True):
            self._produced(topic, count, seconds, not isinstance(result, BaseException))
            if isinstance(result, BaseException):
                failure = failure or result
            elif topic == changelog:
                if result.offset < 0:  # the broker had the batch already and has forgotten its offset
                    failure = failure or KafkaError(f"{topic}-{number}: written at an unknown offset")
                ends[number] = max(ends.get(number, 0), result.offset + count)
        if failure is not None:
            raise failure
        return ends


def _ended_by(producer: Any) -> BaseException | None:
    """What ended the transaction between two calls: the next call says only that there is none."""
    waiter = producer._txn_manager._transaction_waiter
    known = waiter is not None and waiter.done() and not waiter.cancelled()
    return waiter.exception() if known else None


def spread_by_partition(records: Iterable[Output], count: int) -> dict[int, list[Output]]:
    """Records by partition, where the record or a key names one of `count` partitions."""
    parts: dict[int, list[Output]] = {}
    for record in records:
        partition = record[3]
        if partition == EACH:
            for number in range(count):
                parts.setdefault(number, []).append(record)
            continue
        if partition == KEYED:
            partition = record[0] or b""
        if isinstance(partition, bytes):
            partition = partition_of(partition, count)
        parts.setdefault(cast(int, partition), []).append(record)
    return parts


def pack_batches(producer: Any, records: Iterable[Output]) -> Iterator[tuple[Any, int]]:
    """`records` in full batches, with the number of records in each.

    Appends to the batch's own builder: BatchBuilder.append looks up serializers and a clock for each record.
    """
    now_ms = int(time.time() * 1000)
    batch = producer.create_batch()
    append, count = batch._builder.append, 0
    for key, value, headers, _ in records:
        listed = list(headers) if headers else []  # aiokafka takes nothing else
        if append(count, now_ms, key, value, listed) is None:
            batch._relative_offset = count
            yield batch, count
            batch = producer.create_batch()
            append, count = batch._builder.append, 0
            append(count, now_ms, key, value, listed)
        count += 1
    if count:
        batch._relative_offset = count
        yield batch, count
