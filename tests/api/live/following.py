"""A client of `/v1/live` on a real socket, and records as a worker writes them."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Iterable, Mapping
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from typing import Any, NamedTuple

import aiohttp
import orjson
from confluent_kafka import Producer

from tests.api.clients import ACCOUNT_A, bearer
from tests.real_broker import RealBroker


class Message(NamedTuple):
    """One server-sent event; without `event` it only says where the stream is."""

    event: str | None
    data: Any
    id: str | None


@dataclass
class Follower:
    """What a client has received."""

    status: int = 0
    messages: list[Message] = field(default_factory=list)
    problem: Any = None

    @property
    def ids(self) -> list[str]:
        """Ids of the records, in the order in which they came."""
        return [one.data["id"] for one in self.messages if one.event in ("event", "call", "alert")]

    @property
    def last_event_id(self) -> str:
        return next(one.id for one in reversed(self.messages) if one.id is not None)

    @property
    def said(self) -> list[tuple[str, str]]:
        """What was said beside the records."""
        return [(one.event, one.data["reason"]) for one in self.messages if one.event in ("gap", "end")]


@asynccontextmanager
async def following(
    url: str, token: str, query: str = "", last_event_id: str | None = None
) -> AsyncIterator[Follower]:
    """Follow while the block runs. It begins when the stream has begun."""
    follower = Follower()
    begun = asyncio.Event()
    headers = bearer(token) | ({} if last_event_id is None else {"Last-Event-ID": last_event_id})
    reading = asyncio.create_task(_read(f"{url}/v1/live{query}", headers, follower, begun))
    try:
        await asyncio.wait_for(begun.wait(), 30)
        yield follower
    finally:
        reading.cancel()
        await asyncio.gather(reading, return_exceptions=True)


async def _read(url: str, headers: Mapping[str, str], follower: Follower, begun: asyncio.Event) -> None:
    async with aiohttp.ClientSession() as session, session.get(url, headers=headers) as answer:
        follower.status = answer.status
        if answer.status != 200:
            follower.problem = await answer.json(content_type=None)
            begun.set()
            return
        block: dict[str, str] = {}
        async for line in answer.content:
            name, _, value = line.decode().rstrip("\n").partition(": ")
            if name:
                block[name] = value
                continue
            data = orjson.loads(block["data"]) if "data" in block else None
            follower.messages.append(Message(block.get("event"), data, block.get("id")))
            block = {}
            begun.set()


async def text_of(url: str) -> str:
    async with aiohttp.ClientSession() as session, session.get(url) as answer:
        return await answer.text()


def event(number: int, account: str | None = ACCOUNT_A, **fields: Any) -> dict[str, Any]:
    """An event, as far as a subscriber asks for it."""
    return {
        "id": f"event-{number}",
        "key": f"twilio:CA{number % 7}",
        "account": account,
        "provider": "twilio",
        "family": "progress",
        "name": "initiated",
        "status": "initiated",
        "outcome": None,
        "attributes": {"From": "+14155550123"},
        **fields,
    }


def produce(broker: RealBroker, topic: str, records: Iterable[dict[str, Any] | bytes]) -> None:
    producer = Producer({"bootstrap.servers": broker.bootstrap, "log_level": 2})
    _write(producer, topic, records)
    assert producer.flush(30) == 0


def produce_aborted(broker: RealBroker, topic: str, records: Iterable[dict[str, Any] | bytes]) -> None:
    """Write records in a transaction that is aborted."""
    config = {"bootstrap.servers": broker.bootstrap, "log_level": 2, "transactional.id": f"{topic}-aborted"}
    producer = Producer(config)
    producer.init_transactions(30)
    producer.begin_transaction()
    _write(producer, topic, records)
    producer.flush(30)
    producer.abort_transaction(30)


def _write(producer: Any, topic: str, records: Iterable[dict[str, Any] | bytes]) -> None:
    for one in records:
        value = one if isinstance(one, bytes) else orjson.dumps(one)
        producer.produce(topic, value, key=one["key"].encode() if isinstance(one, dict) else b"x")
