"""A producer without a broker: it takes records, and a test says what becomes of them."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from types import SimpleNamespace
from typing import Any

from aiokafka.errors import MessageSizeTooLargeError, OutOfOrderSequenceNumber

LIMIT = 1000
"""Bytes of a batch that the pretended topic takes."""


class Builder:
    def __init__(self) -> None:
        self.records: list[bytes] = []

    def append(self, *, timestamp: Any, key: bytes | None, value: bytes, headers: Sequence[Any]) -> None:
        self.records.append(value)

    def close(self) -> None:
        pass


class FakeProducer:
    """As aiokafka's idempotent one: after a refused batch it acknowledges nothing any more.

    `silent`: it takes records and says nothing. `shares`: what is sent meanwhile is in one batch.
    """

    def __init__(self, *, silent: bool = False, limits: dict[str, int] | None = None) -> None:
        self.silent = silent
        self.limits = {} if limits is None else limits
        self.landed: list[tuple[str, bytes]] = []
        self.headers: list[tuple[str, bytes]] = []
        self.partitions: list[int | None] = []
        self.pending: list[asyncio.Future[None]] = []
        self.broken = False
        self._batch: list[tuple[str, bytes, asyncio.Future[None]]] = []
        self._closed = False
        self._sender = SimpleNamespace(sender_task=None)
        self._message_accumulator = SimpleNamespace(_pending_batches=set(), _batches={})
        self._txn_manager = None
        self.client = SimpleNamespace(_sync_task=None, _conns={})

    async def flush(self) -> None:
        pass

    async def partitions_for(self, topic: str) -> set[int]:
        return {0}

    async def send(
        self,
        topic: str,
        value: bytes,
        key: bytes | None,
        partition: int | None,
        headers: Sequence[tuple[str, bytes]] | None,
    ) -> asyncio.Future[None]:
        self.headers = list(headers or ())
        self.partitions.append(partition)
        future = self._future()
        self._batch.append((topic, value, future))
        if len(self._batch) == 1:
            asyncio.get_running_loop().call_soon(self._sent)
        return future

    def create_batch(self) -> Builder:
        return Builder()

    async def send_batch(self, batch: Builder, topic: str, *, partition: int) -> asyncio.Future[None]:
        future = self._future()
        asyncio.get_running_loop().call_soon(
            self._answered, [(topic, value, future) for value in batch.records]
        )
        return future

    def _future(self) -> asyncio.Future[None]:
        future = asyncio.get_running_loop().create_future()
        self.pending.append(future)
        return future

    def _sent(self) -> None:
        batch, self._batch = self._batch, []
        self._answered(batch)

    def _answered(self, batch: list[tuple[str, bytes, asyncio.Future[None]]]) -> None:
        if self.silent or self._closed:
            return
        error: Exception | None = None
        if self.broken:
            error = OutOfOrderSequenceNumber()
        elif sum(len(value) for _, value, _ in batch) > self.limits.get(batch[0][0], LIMIT):
            self.broken, error = True, MessageSizeTooLargeError()
        for topic, value, future in batch:
            if error is not None:
                future.set_exception(error)
                future.exception()
            elif not future.done():
                self.landed.append((topic, value))
                future.set_result(None)
