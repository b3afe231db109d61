"""A broker that hangs is given up after a while and left alone, and others are asked meanwhile."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import Awaitable, Callable
from types import SimpleNamespace
from typing import Any

import pytest
from aiokafka.client import ConnectionGroup, CoordinationType
from aiokafka.errors import (
    CoordinatorNotAvailableError,
    GroupAuthorizationFailedError,
    KafkaConnectionError,
    NodeNotReadyError,
    RequestTimedOutError,
)
from aiokafka.protocol.api import Response
from aiokafka.protocol.coordination import FindCoordinatorRequest
from aiokafka.protocol.group import JoinGroupRequest, SyncGroupRequest
from aiokafka.protocol.produce import ProduceResponse_v5

from stream.kafka.client.request_limits import (
    AVOID_S,
    JOINED_S,
    LONGEST_AVOID_S,
    SLOW_FAILURE_S,
    steer,
    steer_member,
)

DEFAULT = ConnectionGroup.DEFAULT


class Connection:
    def __init__(self) -> None:
        self._request_timeout = 5.0
        self.up = True

    def connected(self) -> bool:
        return self.up


class Client:
    """aiokafka's, as far as it is steered. `hangs` are brokers that take connections and answer nothing."""

    def __init__(self) -> None:
        self.now = 0.0
        self.hangs: set[int] = set()
        self.refuses: set[int] = set()
        self.tried: list[int] = []
        self.timeouts: list[float] = []
        self.updates = 0
        self.named: dict[int, Callable[[], Awaitable[Any]]] = {1: names(1), 2: names(2)}
        self.cluster = SimpleNamespace(brokers=lambda: [SimpleNamespace(nodeId=node) for node in self.named])
        self._conns: dict[tuple[int, ConnectionGroup], Connection] = {}
        steer(self, join_s=25.0, clock=lambda: self.now)

    def force_metadata_update(self) -> None:
        self.updates += 1

    async def _get_conn(
        self, node: int, *, group: ConnectionGroup = DEFAULT, no_hint: bool = False
    ) -> Connection | None:
        there = self._conns.get((node, group))
        if there is not None and there.connected():
            return there
        self.tried.append(node)
        if node in self.refuses:
            return None
        if node in self.hangs:
            self.now += 5.0
            return None
        return self._conns.setdefault((node, group), Connection())

    async def send(self, node: int, request: Any, *, group: ConnectionGroup = DEFAULT) -> Any:
        if isinstance(request, FindCoordinatorRequest):
            return await self.named[node]()
        connection = await self._get_conn(node, group=group)
        if connection is None:
            raise NodeNotReadyError
        self.timeouts.append(connection._request_timeout)
        if isinstance(request, Response):
            return request
        if node in self.hangs:
            self.now += connection._request_timeout
            del self._conns[node, group]
            raise RequestTimedOutError
        return "answer"


async def test_a_member_of_a_group_gives_up_requests_too_that_do_not_wait_for_others() -> None:
    client: Any = Client()
    consumer = SimpleNamespace(_client=client)
    assert steer_member(consumer, 20.0) is consumer
    assert (client._request_timeout_ms, client._metadata_max_age_ms) == (5000, 10_000)
    await client.send(1, object.__new__(JoinGroupRequest))
    assert client.timeouts == [20.0 + JOINED_S]


def names(coordinator: int, code: int = 0) -> Callable[[], Awaitable[Any]]:
    async def answer() -> Any:
        return SimpleNamespace(error_code=code, coordinator_id=coordinator)

    return answer


def fails(error: BaseException) -> Callable[[], Awaitable[Any]]:
    async def answer() -> Any:
        raise error

    return answer


def never() -> Callable[[], Awaitable[Any]]:
    return asyncio.Event().wait


async def test_the_coordinator_is_the_broker_that_most_brokers_name() -> None:
    client: Any = Client()
    client.named = {1: names(1), 2: names(2), 3: names(2)}
    assert await client.coordinator_lookup(CoordinationType.GROUP, "calls-worker") == 2


async def test_a_broker_that_hangs_or_is_gone_is_not_waited_for_where_the_others_agree() -> None:
    client: Any = Client()
    client.named = {1: never(), 2: names(2), 3: names(2)}
    async with asyncio.timeout(5):
        assert await client.coordinator_lookup(CoordinationType.TRANSACTION, "lane") == 2
    client.named[1] = fails(KafkaConnectionError("refused"))
    assert await client.coordinator_lookup(CoordinationType.TRANSACTION, "lane") == 2


@pytest.mark.parametrize(
    "others",
    [names(3), names(-1, 15), fails(KafkaConnectionError("refused"))],
    ids=["another name", "none is there", "unreachable"],
)
async def test_where_no_coordinator_has_most_brokers_there_is_none_yet(others: Any) -> None:
    client: Any = Client()
    client.named = {1: names(1), 2: others}
    with pytest.raises(CoordinatorNotAvailableError):
        await client.coordinator_lookup(CoordinationType.GROUP, "calls-worker")


async def test_who_may_not_ask_is_told_so() -> None:
    client: Any = Client()
    client.named = {1: names(-1, GroupAuthorizationFailedError.errno)}
    with pytest.raises(GroupAuthorizationFailedError):
        await client.coordinator_lookup(CoordinationType.GROUP, "calls-worker")


def request() -> Any:
    return SimpleNamespace()


async def test_a_broker_that_let_a_request_wait_is_left_alone_for_a_moment_and_who_leads_is_asked() -> None:
    client = Client()
    await client.send(1, request())
    client.hangs.add(1)
    with pytest.raises(RequestTimedOutError):
        await client.send(1, request())
    client.tried.clear()
    with pytest.raises(NodeNotReadyError):
        await client.send(1, request())
    assert (client.tried, client.updates) == ([], 1)
    assert await client.send(2, request()) == "answer"
    client.hangs.clear()
    client.now += AVOID_S
    assert await client.send(1, request()) == "answer"


async def test_a_broker_that_goes_on_hanging_is_left_alone_longer_and_longer_until_it_answers() -> None:
    client = Client()
    client.hangs.add(1)

    async def alone_s() -> float:
        with pytest.raises(NodeNotReadyError):
            await client.send(1, request())
        began, client.tried = client.now, []
        while not client.tried:
            client.now += 0.5
            with contextlib.suppress(NodeNotReadyError):
                await client.send(1, request())
        client.now += LONGEST_AVOID_S
        return client.now - LONGEST_AVOID_S - (5.0 if client.hangs else 0.0) - began

    assert [await alone_s(), await alone_s()] == [AVOID_S, LONGEST_AVOID_S]
    client.hangs.clear()
    assert await client.send(1, request()) == "answer"
    client.hangs.add(1)
    with pytest.raises(RequestTimedOutError):
        await client.send(1, request())
    client.hangs.clear()
    client.now += AVOID_S
    assert await client.send(1, request()) == "answer"


async def test_the_only_broker_there_is_is_never_left_alone() -> None:
    client = Client()
    del client.named[2]
    client.hangs.add(1)
    with pytest.raises(NodeNotReadyError):
        await client.send(1, request())
    client.hangs.clear()
    assert await client.send(1, request()) == "answer"


async def test_a_broker_that_hangs_while_it_is_connected_to_is_left_alone_too() -> None:
    client = Client()
    client.hangs.add(1)
    for _ in range(2):
        with pytest.raises(NodeNotReadyError):
            await client.send(1, request())
    assert client.tried == [1]


async def test_a_broker_that_refuses_at_once_is_tried_again_at_once() -> None:
    assert SLOW_FAILURE_S > 0
    client = Client()
    client.refuses.add(1)
    for _ in range(2):
        with pytest.raises(NodeNotReadyError):
            await client.send(1, request())
    assert client.tried == [1, 1]


async def test_a_connection_that_is_there_is_used_although_another_one_hung() -> None:
    client = Client()
    await client.send(1, request(), group=ConnectionGroup.COORDINATION)
    client.hangs.add(1)
    with pytest.raises(RequestTimedOutError):
        await client.send(1, request(), group=ConnectionGroup.COORDINATION)
    client.hangs.clear()
    client._conns[1, DEFAULT] = Connection()
    assert await client.send(1, request()) == "answer"


@pytest.mark.parametrize("kind", [JoinGroupRequest, SyncGroupRequest])
async def test_only_who_waits_for_the_group_s_other_members_waits_longer(kind: Any) -> None:
    client = Client()
    joins = object.__new__(kind)
    await client.send(1, joins)
    await client.send(1, request())
    assert client.timeouts == [25.0, 5.0]


@pytest.mark.parametrize(("code", "updates"), [(0, 0), (19, 1), (20, 1), (7, 0)])
async def test_of_a_leader_without_its_followers_it_is_asked_who_leads(code: int, updates: int) -> None:
    """Cut off from the others it goes on saying that it leads."""
    client = Client()
    answer = ProduceResponse_v5(
        topics=[("calls", [(0, 0, 5, -1, 0), (1, code, -1, -1, 0)])], throttle_time_ms=0
    )
    assert await client.send(1, answer) is answer
    assert client.updates == updates
