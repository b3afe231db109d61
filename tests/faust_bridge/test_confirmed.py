"""Whether a worker is still in its group is asked of whom most brokers take for its coordinator."""

from __future__ import annotations

import asyncio
from types import SimpleNamespace
from typing import Any

import pytest
from aiokafka.errors import CoordinatorNotAvailableError

from stream.faust_bridge import consumer_thread
from stream.faust_bridge.consumer_thread import LaneConsumerThread


class Coordinator:
    """aiokafka's, as far as it is asked. `finds` is whom a look-up finds."""

    group_id = "calls-worker"

    def __init__(self, knows: int, finds: int, counts_in: bool = True) -> None:
        self.coordinator_id: int | None = knows
        self._finds, self._counts_in = finds, counts_in
        self.heartbeats: list[int | None] = []

    def coordinator_dead(self) -> None:
        self.coordinator_id = None

    async def ensure_coordinator_known(self) -> None:
        self.coordinator_id = self.coordinator_id or self._finds

    async def _do_heartbeat(self) -> bool:
        self.heartbeats.append(self.coordinator_id)
        return self._counts_in


class Client:
    """Most brokers name `named`; None: they do not agree."""

    def __init__(self, named: int | None) -> None:
        self._named = named

    async def coordinator_lookup(self, _: Any, key: str) -> int:
        assert key == "calls-worker"
        if self._named is None:
            raise CoordinatorNotAvailableError
        return self._named


async def confirmed(client: Client, coordinator: Coordinator) -> bool:
    thread: Any = object.__new__(LaneConsumerThread)
    thread.thread_loop = asyncio.get_running_loop()
    thread._ensure_consumer = lambda: SimpleNamespace(_client=client, _coordinator=coordinator)
    return bool(await thread.confirmed())


@pytest.fixture(autouse=True)
def _fast(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(consumer_thread, "CONFIRM_S", 0.05)


async def test_the_known_coordinator_is_asked_where_most_brokers_name_it() -> None:
    coordinator = Coordinator(knows=2, finds=1)
    assert await confirmed(Client(2), coordinator)
    assert coordinator.heartbeats == [2]


async def test_a_coordinator_that_was_cut_off_is_not_asked() -> None:
    coordinator = Coordinator(knows=1, finds=2)
    assert await confirmed(Client(2), coordinator)
    assert coordinator.heartbeats == [2]


async def test_a_look_up_that_finds_the_one_that_was_cut_off_confirms_nothing() -> None:
    coordinator = Coordinator(knows=1, finds=1)
    assert not await confirmed(Client(2), coordinator)
    assert coordinator.heartbeats == []


async def test_where_brokers_do_not_agree_nothing_is_confirmed() -> None:
    coordinator = Coordinator(knows=2, finds=2)
    with pytest.raises(CoordinatorNotAvailableError):
        await confirmed(Client(None), coordinator)
    assert coordinator.heartbeats == []


async def test_who_is_not_counted_in_is_not_confirmed() -> None:
    assert not await confirmed(Client(2), Coordinator(knows=2, finds=2, counts_in=False))
