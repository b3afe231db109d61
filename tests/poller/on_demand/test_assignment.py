"""What a member counts while it is assigned its partitions, without a broker."""

from __future__ import annotations

from typing import Any

from stream.poller.on_demand.fetch_consumer import FetchRequestConsumer
from stream.poller.on_demand.offsets import Offsets
from stream.service.settings import Settings
from tests.poller.on_demand.dispatcher_fakes import DispatcherFixture


async def test_records_that_are_taken_while_offsets_are_restored_keep_their_count() -> None:
    """Otherwise their offsets would be committed before they are answered."""
    one, writer = DispatcherFixture(), None

    async def on_assignment(owned: frozenset[int], partitions: int) -> None:
        pass

    consumer = FetchRequestConsumer(
        Settings(kafka="127.0.0.1:1"),
        one.dispatcher,
        writer,  # type: ignore[arg-type]
        on_assignment=on_assignment,
        confirmed=lambda until_s: None,
        metrics=one.metrics,
    )
    taken = Offsets()

    async def restored(owned: frozenset[int]) -> dict[int, Offsets]:
        consumer._offsets[0] = taken  # a fetch returned meanwhile
        return {0: Offsets(), 1: Offsets()}

    class Metadata:
        def partitions_for_topic(self, topic: str) -> Any:
            return {0, 1}

    consumer._restored = restored  # type: ignore[method-assign]
    consumer._consumer = Metadata()
    await consumer._assigned(frozenset({0, 1}))
    assert consumer._offsets[0] is taken
    assert sorted(consumer._offsets) == [0, 1]
