"""How long a request to a broker may take: nobody waits for one that hangs while others answer.

The rule of this file: a broker that is frozen takes connections and answers nothing. Its successor leads
after some 9 s, but aiokafka waits 40 s for an answer, then asks any broker who leads, and may wait again.
Here a request is given up after 5 s, and the broker that let it wait is left alone for a moment, so that the
others are asked. What this leans on of aiokafka's inside is listed in `lanes/ground.py`.
"""

from __future__ import annotations

import asyncio
import logging
import random
import time
from collections import Counter
from collections.abc import Callable, Collection, Iterable, Mapping
from functools import partial
from typing import Any

from aiokafka.client import ConnectionGroup
from aiokafka.errors import (
    CoordinatorNotAvailableError,
    KafkaError,
    NotEnoughReplicasAfterAppendError,
    NotEnoughReplicasError,
    RequestTimedOutError,
    for_code,
)
from aiokafka.protocol.api import Response
from aiokafka.protocol.coordination import FindCoordinatorRequest
from aiokafka.protocol.group import JoinGroupRequest, SyncGroupRequest
from aiokafka.protocol.metadata import MetadataRequest

from stream.kafka.client import network_client

REQUEST_S = 5.0
"""An answer that takes longer does not come: well below a session (10 s) and an election (9 s)."""

NAMED_S = 2.0
"""Brokers that do not say by then who coordinates are not waited for."""

JOINED_S = 5.0
"""A group's coordinator answers a join by so long after the rebalance timeout."""

CONNECTED_S = 3.0
"""A connection that takes longer does not come. What was hanging may be well again, and is tried anew."""

LEFT_ALONE_S = 1.0
LONGEST_ALONE_S = 2.0
"""One that goes on hanging is left alone twice as long each time."""
LONG_S = 1.0
"""A connection that took longer and failed was not refused: the broker hangs."""

ASKED_EVERY_S = 0.1
"""So often a client asks who leads: where a partition has no leader, aiokafka's producers take no rest."""

PRODUCER: Mapping[str, int] = {"request_timeout_ms": int(REQUEST_S * 1000)}
"""Settings of every aiokafka producer that lives long."""

CONSUMER: Mapping[str, int] = {**PRODUCER, "metadata_max_age_ms": 10_000}
"""Settings of every aiokafka consumer that lives long. Who leads is asked every 10 s without a reason, too: a
former leader that was cut off answers fetches with nothing new, and never that it leads no more."""

log = logging.getLogger("aiokafka")

PRODUCE = 0
SHORT_OF_REPLICAS = frozenset({NotEnoughReplicasError.errno, NotEnoughReplicasAfterAppendError.errno})

_WAITS_FOR_OTHERS = (JoinGroupRequest, SyncGroupRequest)


def steer(client: Any, *, join_s: float | None = None, clock: Callable[[], float] = time.monotonic) -> Any:
    """Have an AIOKafkaClient leave brokers alone that hang, and believe most of them. Returns it.

    A consumer of a group waits `join_s` for the group's other members, which may take a rebalance timeout.
    """
    steering = _Steering(client, join_s, clock)
    client.send, client._get_conn = steering.send, steering.connection
    client._metadata_update = steering.metadata
    client.coordinator_lookup = steering.coordinator
    return network_client.tidy(client)


def steer_member(consumer: Any, rebalance_timeout_s: float) -> Any:
    """The same for an AIOKafkaConsumer of a group, whatever its settings say. Returns it."""
    client = steer(consumer._client, join_s=rebalance_timeout_s + JOINED_S)
    client._request_timeout_ms = CONSUMER["request_timeout_ms"]
    client._metadata_max_age_ms = CONSUMER["metadata_max_age_ms"]
    return consumer


def agreed(named: Iterable[int], brokers: int) -> int | None:
    """The coordinator that more than half of `brokers` name, None where there is none.

    A former coordinator that was cut off goes on to answer heartbeats, and offsets as it last knew them; it
    takes no transaction, and does not say so.
    """
    ((coordinator, votes),) = Counter(named).most_common(1) or [(-1, 0)]
    return coordinator if 2 * votes > brokers else None


def _names_one(task: asyncio.Task[Any]) -> bool:
    """Raises what no asking again will mend."""
    if task.result() is None:
        return False
    code = task.result().error_code
    if code and not for_code(code).retriable:
        raise for_code(code)()
    return not code


def _is_short_of_replicas(answer: Any) -> bool:
    return any(part[1] in SHORT_OF_REPLICAS for _, parts in answer.topics for part in parts)


class _Steering:
    """In place of some methods of one client."""

    def __init__(self, client: Any, join_s: float | None, clock: Callable[[], float]) -> None:
        self._client = client
        self._join_s = join_s
        self._clock = clock
        self._send = client.send
        self._connection = client._get_conn
        self._asked_at = -ASKED_EVERY_S
        self._asked_for: set[str] = set()
        self._connecting: dict[Any, asyncio.Lock] = {}
        self._alone_s: dict[Any, float] = {}
        self._alone_until: dict[Any, float] = {}

    async def send(self, node: Any, request: Any, *, group: Any = ConnectionGroup.DEFAULT) -> Any:
        """Extends AIOKafkaClient.send: who lets a request wait is left alone.

        And of a leader without its followers it is asked whether it still leads: cut off from the others it
        goes on saying so, and aiokafka goes on sending to it.
        """
        try:
            if self._join_s is not None and isinstance(request, _WAITS_FOR_OTHERS):
                answer = await self._join(node, request, group)
            else:
                answer = await self._send(node, request, group=group)
            self._alone_s.pop(node, None)
            if isinstance(answer, Response) and answer.API_KEY == PRODUCE and _is_short_of_replicas(answer):
                self._client.force_metadata_update()
            return answer
        except RequestTimedOutError:
            self._leave_alone(node)
            raise

    async def _join(self, node: Any, request: Any, group: Any) -> Any:
        connection = await self.connection(node, group=group)
        if connection is None:
            return await self._send(node, request, group=group)  # which says that it is not ready
        usual, connection._request_timeout = connection._request_timeout, self._join_s
        try:
            return await self._send(node, request, group=group)
        finally:
            connection._request_timeout = usual

    async def connection(
        self, node: Any, *, group: Any = ConnectionGroup.DEFAULT, no_hint: bool = False
    ) -> Any:
        """Extends AIOKafkaClient._get_conn: none to who is left alone."""
        there = self._client._conns.get((node, group))
        if (there is None or not there.connected()) and self._clock() < self._alone_until.get(node, 0.0):
            self._client.force_metadata_update()
            return None
        began = self._clock()
        # aiokafka's lock is one for all brokers: nobody waits for a connection to another one.
        self._client._get_conn_lock_value = self._connecting.setdefault((node, group), asyncio.Lock())
        try:
            async with asyncio.timeout(CONNECTED_S):
                found = await self._connection(node, group=group, no_hint=no_hint)
        except TimeoutError:
            log.error("Unable connect to node with id %s within %g s", node, CONNECTED_S)
            self._client.force_metadata_update()
            self._leave_alone(node)
            return None
        if found is None and self._clock() - began > LONG_S:
            self._leave_alone(node)
        return found

    async def metadata(self, cluster: Any, topics: Collection[str]) -> bool:
        """Replaces AIOKafkaClient._metadata_update: it waits for each broker that hangs.

        Whether one answers.
        """
        if topics == self._asked_for:
            await asyncio.sleep(max(0.0, self._asked_at + ASKED_EVERY_S - self._clock()))
        self._asked_at, self._asked_for = self._clock(), set(topics)
        nodes = [broker.nodeId for broker in self._client.cluster.brokers()]
        random.shuffle(nodes)
        request = MetadataRequest(list(topics) if topics else None)
        answer = await network_client.first(partial(self._answer, node, request) for node in nodes)
        if answer is None:
            log.error("Unable to update metadata from %s", nodes)
            cluster.failed_update(None)
            return False
        cluster.update_metadata(answer)
        return True

    async def _answer(self, node: Any, request: Any) -> Any:
        try:
            answer = await self._client.send(node, request)
        except (KafkaError, OSError, TimeoutError) as error:
            log.warning("Unable to request metadata from node with id %s: %s", node, type(error).__name__)
            return None
        return answer if answer.brokers else None

    async def coordinator(self, kind: Any, key: str) -> int:
        """Replaces AIOKafkaClient.coordinator_lookup: it believes any broker. Raises KafkaError."""
        nodes = [broker.nodeId for broker in self._client.cluster.brokers()]
        asked = {
            asyncio.ensure_future(self._named_by(node, FindCoordinatorRequest(key, kind))) for node in nodes
        }
        named: list[int] = []
        end = self._clock() + NAMED_S
        try:
            while asked and (left := end - self._clock()) > 0:
                done, asked = await asyncio.wait(asked, timeout=left, return_when=asyncio.FIRST_COMPLETED)
                network_client.ignore_failures(done)
                named += [task.result().coordinator_id for task in done if _names_one(task)]
                coordinator = agreed(named, len(nodes))
                if coordinator is not None:
                    return coordinator
        finally:
            await network_client.cancel_all(asked)
        raise CoordinatorNotAvailableError

    async def _named_by(self, node: Any, request: Any) -> Any:
        """What a broker answers, None where it does not."""
        try:
            return await self._client.send(node, request)
        except (KafkaError, OSError, TimeoutError):
            return None

    def _leave_alone(self, node: Any) -> None:
        if len(self._client.cluster.brokers()) < 2:
            return  # there is no other
        alone_s = self._alone_s[node] = min(LONGEST_ALONE_S, 2 * self._alone_s.get(node, LEFT_ALONE_S / 2))
        self._alone_until[node] = self._clock() + alone_s
