"""How a gateway is put together, and what its health says."""

from __future__ import annotations

import asyncio
from pathlib import Path
from typing import Any

import pytest
from aiohttp import ClientSession

from stream.gateway import service
from stream.gateway.receive.credentials import GatewayCredentials
from stream.gateway.service import serving, waiting_bodies
from stream.gateway.waiting_bodies import AT_MOST, DisplacedError
from stream.service.settings import GatewaySettings
from tests.gateway import signing
from tests.gateway.running_gateway import running_gateway


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


@pytest.mark.parametrize("path", ["/metrics", "/livez", "/readyz"])
async def test_the_public_port_says_nothing_of_the_gateways_health(path: str) -> None:
    async with running_gateway() as gateway:
        answer = await gateway.ask("GET", path)
        assert (answer.status, await answer.read()) == (404, b"")
        assert (await gateway.own(path)).status == 200


async def test_ready_means_that_the_broker_takes_writes() -> None:
    async with running_gateway() as gateway:
        answer = await gateway.own("/readyz")
        assert (answer.status, await answer.json()) == (200, {"status": "ok", "reasons": []})
        gateway.trouble = "the broker does not answer"
        answer = await gateway.own("/readyz")
        assert answer.status == 503
        assert (await answer.json())["reasons"] == ["the broker does not answer"]
        assert (await gateway.own("/livez")).status == 200


async def test_a_gateway_is_not_live_when_a_background_task_has_died() -> None:
    async def dies() -> None:
        raise ZeroDivisionError

    async with running_gateway() as gateway:
        assert (await gateway.own("/livez")).status == 200
        gateway.background_tasks.append(asyncio.create_task(dies(), name="the watch"))
        await asyncio.wait(gateway.background_tasks)
        answer = await gateway.own("/livez")
        assert (answer.status, (await answer.json())["reasons"]) == (503, ["the watch has ended"])
        gateway.background_tasks.pop().exception()


async def test_a_gateway_that_believes_nobody_says_so() -> None:
    async with running_gateway(GatewayCredentials()) as gateway:
        said = await (await gateway.own("/readyz")).json()
        assert "every webhook is refused" in said["reasons"][0]
        assert (await gateway.send(signing.twilio_form())).status == 403


class SlowProducer:
    """Takes a while to acknowledge."""

    def __init__(self, *_: Any, **__: Any) -> None:
        self.asked = asyncio.Event()
        self.closed = False
        made.append(self)

    async def send_all(self, *_: Any, **__: Any) -> None:
        self.asked.set()
        await asyncio.sleep(0.6)

    async def start(self) -> None:
        return

    async def watch(self) -> None:
        await asyncio.Event().wait()

    async def close(self, _: float) -> None:
        self.closed = True

    def trouble(self) -> str | None:
        return None


made: list[SlowProducer] = []


async def test_a_stop_waits_for_kafka_as_long_as_an_accepted_request_may(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setattr(service, "STOP_S", 0.1)
    monkeypatch.setattr(service, "LAST_ANSWERS_S", 0.1)
    monkeypatch.setattr(service, "AckedProducer", SlowProducer)
    chosen = GatewaySettings(
        kafka="127.0.0.1:1",
        data_dir=tmp_path,
        gateway_listen="127.0.0.1:0",
        gateway_health_listen="127.0.0.1:0",
        unsigned_callbacks="accept",
        twilio_answer_s=3.0,
    )
    async with ClientSession() as client:
        async with serving(chosen) as at:
            body = dict(signing.STATUS)
            asking = asyncio.create_task(client.post(f"{at.webhooks}/callbacks/twilio", data=body))
            await asyncio.wait_for(made[-1].asked.wait(), 5)
        assert (await asking).status == 204
    assert made[-1].closed


async def test_a_background_task_that_had_ended_is_named_at_the_stop(
    monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture, tmp_path: Path
) -> None:
    class Unwatched(SlowProducer):
        async def watch(self) -> None:
            raise OSError(5, "gone")

    monkeypatch.setattr(service, "AckedProducer", Unwatched)
    anywhere = "127.0.0.1:0"
    chosen = GatewaySettings(
        kafka="127.0.0.1:1", data_dir=tmp_path, gateway_listen=anywhere, gateway_health_listen=anywhere
    )
    async with serving(chosen):
        pass
    assert [one for one in caplog.messages if one.startswith("the watch over the broker had ended: ")]
