"""Writing dead letters back to the topics that they came from, each once.

One transaction has both the records and the notes that say so, and only one redrive runs at a time: a second
one fences the first. So a letter is written back once, whatever is killed or repeated.
"""

from __future__ import annotations

import asyncio
from collections import defaultdict
from collections.abc import AsyncGenerator, AsyncIterator, Sequence
from contextlib import aclosing, asynccontextmanager
from dataclasses import replace

from stream.kafka.client.connection import Connection
from stream.kafka.dead_letters.letter import REDRIVEN_FROM, StoredLetter, note, read_letter
from stream.kafka.topic_reader import records
from stream.kafka.topics import names, partitions_in_use
from stream.kafka.transactional_producer import (
    KEYED,
    Output,
    TransactionalProducer,
    TransactionFailed,
    TransactionPart,
)

TRANSACTION_S = 30.0
BATCH, BATCH_BYTES = 500, 4 << 20
"""Letters and bytes of one transaction."""


def redrive_id(prefix: str) -> str:
    """The transactional id of every redrive: `calls.` gives `calls-redrive`."""
    return f"{prefix.removesuffix('.')}-redrive"


class Redriven:
    """Which letters were written back before. About 100 bytes for each that the topic still has."""

    def __init__(self) -> None:
        self._offsets: defaultdict[int, set[int]] = defaultdict(set)

    def __contains__(self, letter: StoredLetter) -> bool:
        return letter.offset in self._offsets[letter.partition]

    def add(self, partition: int, offsets: Sequence[int]) -> None:
        self._offsets[partition].update(offsets)


async def each_letter(cluster: Connection, topic: str, notes: Redriven) -> AsyncGenerator[StoredLetter, None]:
    """All letters of the topic, by partition in their order. Adds the notes that it passes to `notes`.

    Raises KafkaError.
    """
    async with aclosing(records(cluster, topic, from_beginning=True, follow=False)) as found:
        async for record in found:
            read = read_letter(record)
            if isinstance(read, StoredLetter):
                yield read
            else:
                notes.add(record.partition, read)


class Redrive:
    """Writes letters back. `refused`: those that are too large for their topic."""

    def __init__(self, producer: TransactionalProducer) -> None:
        self._producer = producer
        self._waiting: list[StoredLetter] = []
        self.written = 0
        self.refused: list[StoredLetter] = []

    async def add(self, letter: StoredLetter) -> None:
        """Raises Fenced, TransactionFailed, TimeoutError: nothing of the present transaction is written."""
        self._waiting.append(letter)
        size = sum(len(one.value or b"") for one in self._waiting)
        if len(self._waiting) >= BATCH or size >= BATCH_BYTES:
            await self.flush()

    async def flush(self) -> None:
        waiting, self._waiting = self._waiting, []
        if not waiting:
            return
        try:
            await self._write(waiting)
        except TransactionFailed as error:
            if not error.refused:
                raise
            for one in waiting:
                await self._producer.open()
                await self._write_alone(one)
            await self._producer.open()

    async def _write_alone(self, letter: StoredLetter) -> None:
        try:
            await self._write([letter])
        except TransactionFailed as error:
            if not error.refused:
                raise
            self.refused.append(letter)

    async def _write(self, letters: Sequence[StoredLetter]) -> None:
        outputs: defaultdict[str, list[Output]] = defaultdict(list)
        noted: defaultdict[int, list[StoredLetter]] = defaultdict(list)
        for letter in letters:
            outputs[letter.why["source_topic"]].append(redriven_output(letter))
            noted[letter.partition].append(letter)
        outputs[letters[0].topic] += [
            Output(None, None, note(some), partition) for partition, some in noted.items()
        ]
        async with asyncio.timeout(TRANSACTION_S):
            await self._producer.transact([TransactionPart(0, outputs, {}, 0)], changelog="")
        self.written += len(letters)


@asynccontextmanager
async def opened_redrive(cluster: Connection, prefix: str) -> AsyncIterator[Redrive]:
    """Ends any other redrive of these topics. Raises TimeoutError, KafkaError, OSError."""
    group, _, name = redrive_id(prefix).rpartition("-")
    used = replace(cluster, partitions=await partitions_in_use(cluster, names(prefix)))
    producer = TransactionalProducer(group, name, used, lambda *_: None)
    try:
        await producer.open()
        yield Redrive(producer)
    finally:
        await producer.close()


def redriven_output(letter: StoredLetter) -> Output:
    """The record as it was, and where it comes from. It goes to its own partition again."""
    own = [(name, said) for name, said in letter.own if name != REDRIVEN_FROM]
    partition = letter.why.get("source_partition", "")
    return Output(
        letter.key,
        letter.value,
        [*own, (REDRIVEN_FROM, letter.id.encode())],
        int(partition) if partition.isdecimal() else KEYED,
    )
