"""Bodies that have not arrived yet: which one is dropped for a new one."""

from __future__ import annotations

import asyncio
import ipaddress
import time
from dataclasses import replace

import pytest

from stream.gateway.failed_verifications import network
from stream.gateway.handlers import LIMITS
from stream.gateway.receive.credentials import GatewayCredentials
from stream.gateway.waiting_bodies import DisplacedError, WaitingBodies
from tests.gateway.running_gateway import CREDENTIALS, RunningGateway


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


async def test_a_newcomer_finds_the_place_of_one_whose_time_ran_out_this_very_moment() -> None:
    bodies = WaitingBodies(at_most_of_an_address=1, limit_s=0.05)
    (late,) = await waiting(bodies, "a")
    came: list[Body] = []
    asyncio.get_running_loop().call_later(0.04, lambda: came.append(Body(bodies, "a")))
    time.sleep(0.1)  # both are due in one turn of the event loop, the newcomer first
    with pytest.raises(TimeoutError):
        await late.task
    assert await came[0].comes() == b"body"


async def test_a_body_whose_sender_goes_away_gives_its_place_back() -> None:
    bodies = WaitingBodies()
    (one,) = await waiting(bodies, "a")
    one.task.cancel()
    await asyncio.gather(one.task, return_exceptions=True)
    assert len(bodies) == 0


async def test_an_address_is_full_while_it_has_all_of_its_places() -> None:
    bodies = WaitingBodies(at_most=10, at_most_of_an_address=2)
    first, _ = await waiting(bodies, "a", "b")
    assert not bodies.is_full("a")
    (second,) = await waiting(bodies, "a")
    assert (bodies.is_full("a"), bodies.is_full("b"), bodies.is_full("c")) == (True, False, False)
    await first.comes()
    assert not bodies.is_full("a")
    await second.comes()


PROXIED = replace(CREDENTIALS, trusted_proxies=(ipaddress.ip_network("10.0.0.0/8"),))


@pytest.mark.parametrize(
    ("credentials", "holds_back", "comes", "verified", "turned_away"),
    [
        pytest.param(CREDENTIALS, "8.8.8.8", "8.8.8.8", None, True, id="who-holds-back"),
        pytest.param(CREDENTIALS, "8.8.8.8", "8.8.4.4", None, False, id="somebody-else"),
        pytest.param(CREDENTIALS, "2600::1:1", "2600::1:2", None, True, id="the-same-network-of-IPv6"),
        pytest.param(CREDENTIALS, "2600::1:1", "2600:0:0:1::1", None, False, id="another-network-of-IPv6"),
        pytest.param(CREDENTIALS, "8.8.8.8", "::ffff:8.8.8.8", None, True, id="the-same-spelt-otherwise"),
        pytest.param(CREDENTIALS, "8.8.8.8", "8.8.8.8", "8.8.8.8", False, id="who-has-verified"),
        pytest.param(CREDENTIALS, "", "10.0.0.1", None, False, id="what-may-be-a-proxy"),
        pytest.param(PROXIED, "", "10.0.0.1", None, False, id="a-proxy"),
        pytest.param(PROXIED, "192.168.0.1", "192.168.0.1", None, True, id="beside-the-proxies"),
    ],
)
async def test_who_holds_back_all_the_bodies_that_it_may_is_not_taken_any_more(
    credentials: GatewayCredentials, holds_back: str, comes: str, verified: str | None, turned_away: bool
) -> None:
    one = RunningGateway(credentials, LIMITS, WaitingBodies(at_most=10, at_most_of_an_address=2))
    if verified is not None:
        one.failures.record_success(verified, time.monotonic())
    held = await waiting(one.bodies, *[network(holds_back)] * 2)
    assert one.handlers.turns_away(comes) is turned_away
    for body in held:
        await body.comes()
    assert not one.handlers.turns_away(comes)
