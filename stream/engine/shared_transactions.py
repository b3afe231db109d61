"""What all lanes of a worker have made, committed in one transaction after the other.

A transaction costs the broker and the worker the same for one lane as for twelve. When one fails, each of its
lanes asks for the outcome and commits by itself (`stream/engine/commit.py`), with a producer of its own: a
partition that takes no record holds up its own lane only.

Why nothing of another owner is lost or doubled, whichever process is frozen, killed or late:
- Kafka takes a transaction's offsets only from a member of the group's present generation (KIP-447). What a
  former owner has not handed in when its successor is assigned, it cannot commit any more.
- What it has handed in is decided before the successor begins, which reads stable offsets only. Its outputs,
  changelog and offsets are one transaction, also where its partitions have several successors.
- That does not take long: a worker writes under the transactional id of its lowest partition, and a lane that
  commits alone under an id of its own. When a worker is assigned partitions, it opens both ids of each.
  Whichever a former owner used, one of its successors opens it, and so fences it and ends its transaction.
- A worker asks the group whether it is still a member before it opens an id again, so that one that has woken
  up does not fence its successors.
"""

from __future__ import annotations

import asyncio
import logging
import time
from collections.abc import AsyncIterator, Coroutine, Mapping, Sequence
from contextlib import asynccontextmanager
from typing import Any, TypeVar

from stream.engine.batch import BatchPolicy
from stream.engine.group import Assignment, AssignmentOver
from stream.engine.status import EX_SOFTWARE, Waits, end_process
from stream.kafka.client.network_client import ignore_failures
from stream.kafka.errors import BROKER_AWAY
from stream.kafka.transactional_producer import (
    Closed,
    Fenced,
    TransactionalProducer,
    TransactionFailed,
    TransactionPart,
)
from stream.service.errors import describe

REOPEN_EVERY_S = 0.5
PAUSE_S = 0.001
"""Enough for a broker to answer one of a transaction's five requests."""
LONGEST_GATHERING_S = 0.4
"""How long a transaction waits for lanes that fold: batches that come to nothing never fill it."""
FULL_BATCHES = 4
"""How many times the records of a full batch a transaction takes: each costs five requests, however large."""
FIRST_TIMEOUT_S = 4.0
"""Less than Kafka's own limit for a transaction (15 to 25 s)."""
LONGEST_TIMEOUT_S = 60.0

ENOUGH_A_SECOND = 500
"""Where records come faster, what comes in `latency_s` at this rate is enough for a transaction, which costs
little beside them.
"""

T = TypeVar("T")

log = logging.getLogger("callstream.lanes")


class TransactionTimeout:
    """How long a transaction may take: then it is given up for a new producer with new connections.

    It doubles after each transaction that was given up and stays long while transactions take long: a slow
    cluster is not a broken one.
    """

    def __init__(self) -> None:
        self.seconds = FIRST_TIMEOUT_S

    async def limit(self, transaction: Coroutine[Any, Any, T]) -> T:
        """Await `transaction`. Raises TransactionFailed when it takes too long: its outcome is unknown."""
        task, began = asyncio.ensure_future(transaction), time.monotonic()
        try:
            await asyncio.wait([task], timeout=self.seconds)
            if not task.done():
                self.seconds = min(LONGEST_TIMEOUT_S, 2 * self.seconds)
                raise TransactionFailed(TimeoutError())
        finally:
            task.cancel()
            ignore_failures([task])
        result = task.result()
        self.seconds = max(FIRST_TIMEOUT_S, min(self.seconds, 4 * (time.monotonic() - began)))
        return result


class SharedTransactions:
    """The transactions of one assignment. `producers`: by partition number, with its id; `alone`: the
    same, of lanes that commit alone.
    """

    def __init__(
        self,
        producers: Mapping[int, TransactionalProducer],
        alone: Mapping[int, TransactionalProducer],
        assignment: Assignment,
        waits: Waits,
        changelog: str,
        policy: BatchPolicy,
    ) -> None:
        self._producers = producers
        self._alone = alone
        self._producer = producers[min(producers)]
        self._assignment = assignment
        self._waits = waits
        self._changelog = changelog
        self._policy = policy
        self._timeout = TransactionTimeout()
        self._turn = asyncio.Lock()
        self._folding = 0
        self._due = asyncio.Event()
        self._due.set()
        self._due_timer: asyncio.TimerHandle | None = None
        self._arrived = 0
        """Records since the last transaction."""
        self._waiting: list[tuple[TransactionPart, asyncio.Future[int]]] = []
        self._gathers_since = 0.0
        self._changed = asyncio.Event()
        self._task: asyncio.Task[None] | None = None

    async def open(self) -> None:
        """Fence the former owners, however long that takes. Raises AssignmentOver, Closed."""
        each = (*self._producers.items(), *self._alone.items())
        await asyncio.gather(*(self._fence(number, producer) for number, producer in each))

    def start(self) -> None:
        """Begin to commit what lanes hand in."""
        self._task = asyncio.create_task(self._work(), name="transactions")

    async def close(self) -> None:
        """Give up what is not committed."""
        if self._task is not None:
            self._task.cancel()
        self._fail_waiting(AssignmentOver("the lanes are being closed"))
        await asyncio.gather(*(producer.close() for producer in self._producers.values()))

    def arrived(self, records: int) -> None:
        """So many records have come to a lane."""
        self._arrived += records
        if self._arrived >= ENOUGH_A_SECOND * self._policy.latency_s:
            self._due.set()

    async def due(self) -> None:
        """Wait until the next transaction is due. What is folded earlier cannot grow any more, so only a full
        batch is.
        """
        await self._due.wait()

    @asynccontextmanager
    async def folding(self) -> AsyncIterator[None]:
        """One lane folds at a time. The next transaction waits for those that are about to, as long as it has
        room.
        """
        self._folding += 1
        try:
            async with self._turn:
                # Between two lanes, the transaction that is on its way goes on.
                await asyncio.sleep(0 if self._due.is_set() else PAUSE_S)
                yield
        finally:
            self._folding -= 1
            self._changed.set()

    async def commit(self, part: TransactionPart) -> int:
        """Commit `part` with what other lanes have made. Returns the changelog offset of its states.

        Raises AssignmentOver; and Fenced, TransactionFailed: then the outcome is unknown.
        """
        committed: asyncio.Future[int] = asyncio.get_running_loop().create_future()
        if not self._waiting:
            self._gathers_since = time.monotonic()
        self._waiting.append((part, committed))
        self._changed.set()
        return await committed

    async def _fence(self, number: int, producer: TransactionalProducer) -> None:
        about = ("producer", number)
        while not self._assignment.over:
            try:
                await producer.open()
            except BROKER_AWAY as error:
                why = f"partition {number}: cannot be opened ({describe(error)}): trying again"
                self._waits.begin(about, why)
                await asyncio.sleep(REOPEN_EVERY_S)
            else:
                self._waits.over(about)
                if producer is not self._producer:
                    await producer.close()
                return
        raise AssignmentOver("the assignment is over")

    async def _work(self) -> None:
        try:
            while True:
                await self._changed.wait()
                self._changed.clear()
                self._waiting = [one for one in self._waiting if not one[1].cancelled()]
                if self._waiting and not (self._folding and self._has_room()):
                    waiting, self._waiting = self._waiting, []
                    await self._write(waiting)
                    self._changed.set()
        except Closed:
            pass  # while it was opened again: the lanes are being closed
        except Exception as error:
            log.exception("transactions")
            end_process(f"transactions: {describe(error)}", EX_SOFTWARE)

    def _has_room(self) -> bool:
        records = sum(len(records) for part, _ in self._waiting for records in part.outputs.values())
        full = FULL_BATCHES * self._policy.max_batch
        return records < full and time.monotonic() < self._gathers_since + LONGEST_GATHERING_S

    async def _write(self, waiting: list[tuple[TransactionPart, asyncio.Future[int]]]) -> None:
        try:
            ends = await self._transact([part for part, _ in waiting])
        except (Fenced, TransactionFailed) as error:
            await self._producer.close()  # nothing more of it goes out when the lanes ask for the outcome
            _fail(waiting, error)
            await self._reopen()
        except Closed:
            _fail(waiting, AssignmentOver("the lanes are being closed"))
        else:
            for part, committed in waiting:
                if not committed.done():
                    committed.set_result(ends[part.partition])

    async def _transact(self, parts: Sequence[TransactionPart]) -> dict[int, int]:
        if self._due_timer is not None:
            self._due_timer.cancel()
        self._due.clear()
        self._arrived = 0
        next_s = self._gathers_since + self._policy.latency_s  # not later by how long the lanes have folded
        try:
            return await self._timeout.limit(self._producer.transact(parts, changelog=self._changelog))
        finally:
            # One timer, so that all lanes fold for the same transaction.
            wait_s = next_s - time.monotonic()
            self._due_timer = asyncio.get_running_loop().call_later(wait_s, self._due.set)

    async def _reopen(self) -> None:
        """Open the producer again, which ends its transaction. Until it is open, lanes commit alone.

        That may take long: the end of the transaction must be written to each of its partitions first.
        """
        failing = asyncio.create_task(self._fail_waiting_lanes())
        try:
            while not self._assignment.over:
                try:
                    if await self._assignment.confirmed():
                        await self._producer.open()
                        return
                except BROKER_AWAY as error:
                    log.info("shared transactions: %s", describe(error))
                await asyncio.sleep(REOPEN_EVERY_S)
        finally:
            failing.cancel()

    async def _fail_waiting_lanes(self) -> None:
        while True:
            await asyncio.sleep(REOPEN_EVERY_S)
            self._fail_waiting(TransactionFailed(TimeoutError()))

    def _fail_waiting(self, error: Exception) -> None:
        waiting, self._waiting = self._waiting, []
        _fail(waiting, error)


def _fail(waiting: list[tuple[TransactionPart, asyncio.Future[int]]], error: Exception) -> None:
    for _, committed in waiting:
        if not committed.done():
            committed.set_exception(error)
