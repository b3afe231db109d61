"""How a gateway is put together: what bounds what."""

from __future__ import annotations

import asyncio

import pytest

from stream.gateway.service import waiting_bodies
from stream.gateway.waiting_bodies import AT_MOST, DisplacedError


@pytest.mark.parametrize("connections", [16, 104, 4096])
async def test_bodies_that_do_not_come_never_take_all_connections(connections: int) -> None:
    async def never() -> bytes:
        await asyncio.Event().wait()
        return b""

    bodies = waiting_bodies(connections)
    stalled = [
        asyncio.create_task(bodies.read(never(), f"203.0.113.{number % 250}"))
        for number in range(connections)
    ]
    await asyncio.sleep(0)
    assert len(bodies) == min(AT_MOST, connections // 2)
    with pytest.raises(DisplacedError):
        await stalled[0]
    for one in stalled[1:]:
        one.cancel()
    await asyncio.gather(*stalled[1:], return_exceptions=True)
