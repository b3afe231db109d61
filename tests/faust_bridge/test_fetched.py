"""What a fetch comes to while partitions come and go: nothing of that ends the worker."""

from __future__ import annotations

import asyncio
from types import SimpleNamespace
from typing import Any, cast

import pytest
from aiokafka.errors import NoOffsetForPartitionError, OffsetOutOfRangeError
from faust.types import TP

from stream.faust_bridge import consumer_thread
from stream.faust_bridge.consumer_thread import LaneConsumerThread
from stream.kafka.client.fetch_sessions import FetchSessions

PARTITION = TP("calls.callbacks.v1", 1)


class Thread(LaneConsumerThread):
    """Without Faust around it: a fetch fails as it is told."""

    def __init__(self, error: Exception) -> None:
        self.error = error
        self.thread_loop = asyncio.get_running_loop()
        self.fetch_sessions = cast(FetchSessions, SimpleNamespace(responded_s=0.0))

    def _ensure_consumer(self) -> Any:
        return SimpleNamespace(_subscription=SimpleNamespace(subscription=None))

    async def _fetch_records(self, *_: Any, **__: Any) -> Any:
        raise self.error


async def test_a_partition_without_a_commit_that_is_assigned_in_mid_fetch_gives_nothing_yet(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """A second worker joins a group that has committed nothing: the first one ended with a crash."""
    monkeypatch.setattr(consumer_thread, "HELD_BACK_WAIT_S", 0)
    fetched = await Thread(NoOffsetForPartitionError(PARTITION)).fetch({PARTITION}, 0.01)
    assert (fetched.records, fetched.positions, fetched.refused) == ({}, {}, {})


async def test_a_position_that_a_broker_does_not_have_is_told_and_moves_nothing() -> None:
    fetched = await Thread(OffsetOutOfRangeError({PARTITION: 7})).fetch({PARTITION}, 0.01)
    assert (fetched.records, fetched.positions, fetched.refused) == ({}, {}, {PARTITION: 7})
