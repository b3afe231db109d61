"""One lane's producer: a batch's outputs, changelog and source offsets, all or nothing.

The rule of this file: a commit is asked for only after every record was acknowledged, because aiokafka's
`commit_transaction` does not look at refused batches.
A producer that failed is never used again: its sequence numbers are off.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import Any, cast

from aiokafka import AIOKafkaProducer, TopicPartition
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
from aiokafka.partitioner import murmur2
from aiokafka.structs import OffsetAndMetadata

from stream.engine.batch import KEYED, Output
from stream.engine.changelog_end import written
from stream.engine.observer import Observer
from stream.kafka import request_limits
from stream.kafka.clients import nobody_waits
from stream.kafka.member_commit import Member, commit_as
from stream.kafka.producers import CLOSE_S, drop, unheeded
from stream.service.errors import said

MAX_BATCH_BYTES = 262_144
MAX_REQUEST_BYTES = 8 << 20
TRANSACTION_TIMEOUT_MS = 15_000
OPEN_TIMEOUT_S = 8.0
"""Then it is said, and tried with fresh connections: below a session."""

FENCED = (ProducerFenced, InvalidProducerEpoch, InvalidProducerIdMapping, UnknownProducerId)
REFUSED = (MessageSizeTooLargeError, RecordListTooLargeError)


class Fenced(Exception):
    """The producer's epoch is over.

    Another owner has opened the lane, Kafka has ended a transaction that took too long, or the group is at
    another generation.
    """


class Closed(Exception):
    """The lane is closed, or its assignment is over."""


class TransactionFailed(Exception):
    """The batch was not committed, or it is not known whether it was.

    `refused`: the broker does not take a record.
    """

    def __init__(self, cause: BaseException) -> None:
        super().__init__(said(cause))
        self.refused = isinstance(cause, REFUSED)


class LaneProducer:
    """The transactional producer of one partition number. `connection` are aiokafka's settings.

    `member`: whose assignment the lane is; None where nobody else reads the group's sources.
    """

    def __init__(
        self,
        group: str,
        partition: int,
        connection: Mapping[str, Any],
        observer: Observer,
        member: Member | None = None,
    ) -> None:
        self._member = member
        self._group = group
        self._partition = partition
        self._connection = connection
        self._observer = observer
        self._producer: Any = None
        self._starting: asyncio.Future[None] | None = None

    async def open(self) -> None:
        """Fence the former owner. On return its last transaction is ended, one way or the other.

        Raises Closed where the lane is closed meanwhile: aiokafka would ask for its producer's id for ever.
        Raises TimeoutError, KafkaError, OSError: then it may be tried again.
        """
        await self.close()
        producer = self._producer = AIOKafkaProducer(
            transactional_id=f"{self._group}-{self._partition}",
            transaction_timeout_ms=TRANSACTION_TIMEOUT_MS,
            acks="all",
            linger_ms=0,
            max_batch_size=MAX_BATCH_BYTES,
            max_request_size=MAX_REQUEST_BYTES,
            **request_limits.PRODUCER,
            **self._connection,
        )
        request_limits.steer(producer.client)
        if self._member is not None:
            commit_as(producer.client, self._member)
        self._starting = asyncio.ensure_future(asyncio.wait_for(producer.start(), OPEN_TIMEOUT_S))
        try:
            await self._starting
        except asyncio.CancelledError:
            if self._producer is producer:
                raise  # it is us who are told to stop
            raise Closed("the lane was closed while it was opened") from None
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

    async def transact(
        self,
        outputs: Mapping[str, Sequence[Output]],
        offsets: Mapping[TopicPartition, int],
        *,
        changelog: str,
        needs: int,
    ) -> int:
        """Write `outputs` and the consumer's `offsets` in one transaction.

        The offsets carry the end of `changelog` that their states need: after this batch's records of it, or
        `needs` as before where it has none. Returns that end.
        Raises Closed, Fenced, TransactionFailed: after the last two open again before the next call.
        """
        producer = self._producer
        if producer is None:
            raise Closed("the lane is closed")
        through = False
        try:
            await producer.begin_transaction()
            ends = await self._produce(producer, outputs)
            end = max(needs, ends.get(changelog, 0))
            commits = {tp: OffsetAndMetadata(offset, written(end)) for tp, offset in offsets.items()}
            await producer.send_offsets_to_transaction(commits, self._group)
            await producer.commit_transaction()
            through = True
        except FENCED as error:
            raise Fenced(said(error)) from error
        except (KafkaError, IllegalOperation, AssertionError, OSError) as error:
            raise TransactionFailed(error) from error
        finally:
            if not through:
                unheeded(producer)
        return end

    async def _produce(self, producer: Any, outputs: Mapping[str, Sequence[Output]]) -> dict[str, int]:
        began = time.monotonic()
        parts = await self._by_partition(producer, outputs)
        for topic, partition in parts:  # in one request, before the first batch asks for its own
            producer._txn_manager.maybe_add_partition_to_txn(TopicPartition(topic, partition))
        sent: list[tuple[str, int, int, asyncio.Future[Any]]] = []
        for (topic, partition), records in parts.items():
            for batch, count in _batches(producer, records):
                taken = await producer.send_batch(batch, topic, partition=partition)
                nobody_waits([taken])  # should what comes next fail
                sent.append((topic, partition, count, taken))
        # All of them, so that none is left that nobody looks at.
        results = await asyncio.gather(*(future for *_, future in sent), return_exceptions=True)
        seconds = time.monotonic() - began
        ends: dict[str, int] = {}
        failure: BaseException | None = None
        for (topic, partition, count, _), result in zip(sent, results, strict=True):
            self._observer.produced(topic, count, seconds, not isinstance(result, BaseException))
            if isinstance(result, BaseException):
                failure = failure or result
            elif partition == self._partition:
                if result.offset < 0:  # a broker that had it already, and has forgotten where
                    failure = failure or KafkaError(
                        f"{topic}-{partition}: taken at an offset that is not known"
                    )
                ends[topic] = max(ends.get(topic, 0), result.offset + count)
        if failure is not None:
            raise failure
        return ends

    async def _by_partition(
        self, producer: Any, outputs: Mapping[str, Sequence[Output]]
    ) -> dict[tuple[str, int], Sequence[Output]]:
        parts: dict[tuple[str, int], Sequence[Output]] = {}
        for topic, records in outputs.items():
            elsewhere = [record for record in records if record[3] is not None]
            own = [record for record in records if record[3] is None] if elsewhere else records
            if own:
                parts[topic, self._partition] = own
            if elsewhere:
                count = len(await producer.partitions_for(topic))
                for number, group in _spread(elsewhere, count).items():
                    parts[topic, number] = [*parts.get((topic, number), ()), *group]
        return parts


def _spread(records: Iterable[Output], count: int) -> dict[int, list[Output]]:
    """Records that name their partition or have their key name it, of `count` partitions."""
    parts: dict[int, list[Output]] = {}
    for record in records:
        partition = record[3]
        if partition == KEYED:
            partition = (murmur2(record[0] or b"") & 0x7FFFFFFF) % count
        parts.setdefault(cast(int, partition), []).append(record)
    return parts


def _batches(producer: Any, records: Iterable[Output]) -> Iterator[tuple[Any, int]]:
    """`records` in full batches, with the number of records in each.

    Appends to the batch's own builder: BatchBuilder.append asks for serializers and a clock for every record.
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
