"""Bodies that have not come yet: whose place goes to whom."""

from __future__ import annotations

import asyncio

import pytest

from stream.gateway.waiting_bodies import DisplacedError, WaitingBodies


class Body:
    """A body that comes when it is told to."""

    def __init__(self, bodies: WaitingBodies, address: str) -> None:
        self._come = asyncio.Event()
        self.task = asyncio.create_task(bodies.read(self._read(), address))

    async def _read(self) -> bytes:
        await self._come.wait()
        return b"body"

    async def comes(self) -> bytes:
        self._come.set()
        return await self.task


async def waiting(bodies: WaitingBodies, *addresses: str) -> list[Body]:
    found = []
    for address in addresses:
        found.append(Body(bodies, address))
        await asyncio.sleep(0)
    return found


async def test_a_body_that_comes_in_time_is_handed_on_and_holds_no_place_any_more() -> None:
    bodies = WaitingBodies()
    (one,) = await waiting(bodies, "a")
    assert len(bodies) == 1
    assert await one.comes() == b"body"
    assert len(bodies) == 0


async def test_a_body_has_so_much_time_and_no_more() -> None:
    bodies = WaitingBodies(limit_s=0.05)
    (one,) = await waiting(bodies, "a")
    with pytest.raises(TimeoutError):
        await one.task
    assert len(bodies) == 0


async def test_the_longest_waiting_of_an_address_makes_room_for_its_newest() -> None:
    bodies = WaitingBodies(at_most=10, at_most_of_an_address=2)
    other, first, second, third = await waiting(bodies, "b", "a", "a", "a")
    with pytest.raises(DisplacedError):
        await first.task
    assert [await one.comes() for one in (other, second, third)] == [b"body"] * 3


async def test_the_longest_waiting_of_all_makes_room_where_all_places_are_taken() -> None:
    bodies = WaitingBodies(at_most=3, at_most_of_an_address=2)
    first, *others = await waiting(bodies, "a", "b", "c", "d")
    with pytest.raises(DisplacedError):
        await first.task
    assert len(bodies) == 3
    assert [await one.comes() for one in others] == [b"body"] * 3


async def test_a_body_whose_sender_goes_away_gives_its_place_back() -> None:
    bodies = WaitingBodies()
    (one,) = await waiting(bodies, "a")
    one.task.cancel()
    await asyncio.gather(one.task, return_exceptions=True)
    assert len(bodies) == 0
