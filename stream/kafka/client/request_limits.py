"""How long a request to a broker may take, so that one broker that hangs does not hold up a client.

A frozen broker accepts connections and answers nothing. Its successor leads after about 9 s, but aiokafka
waits 40 s for an answer, then asks any broker who leads, and may wait again. Here a request is abandoned
after 5 s, and the broker that did not answer is avoided for a moment, so that the others are asked.
`faust_bridge/upstream_internals.py` lists which of aiokafka's internals this depends on.
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
from aiokafka.conn import CloseReason
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
"""Limit of a request: well below a session timeout (10 s) and an election (9 s)."""

NAMED_S = 2.0
"""Limit for the brokers to name a coordinator."""

JOINED_S = 5.0
"""A group's coordinator answers a join within the rebalance timeout and this much more."""

CONNECTED_S = 3.0
"""Limit of a connection attempt. The broker may have recovered meanwhile, so it is tried again later."""

AVOID_S = 1.0
LONGEST_AVOID_S = 2.0
"""A broker that keeps hanging is avoided twice as long each time."""
SLOW_FAILURE_S = 1.0
"""A connection that failed after longer than this was not refused: the broker hangs."""

METADATA_EVERY_S = 0.1
"""Shortest interval of metadata requests: without a leader, aiokafka's producers ask without a pause."""

PRODUCER: Mapping[str, int] = {"request_timeout_ms": int(REQUEST_S * 1000)}
"""Settings of every producer."""

CONSUMER: Mapping[str, int] = {**PRODUCER, "metadata_max_age_ms": 10_000}
"""Settings of every consumer. It asks every 10 s who leads, even without a failure: a former leader that was
cut off answers fetches with nothing new, and never says that it no longer leads."""

log = logging.getLogger("aiokafka")

PRODUCE = 0
UNDER_REPLICATED = frozenset({NotEnoughReplicasError.errno, NotEnoughReplicasAfterAppendError.errno})

_WAITS_FOR_MEMBERS = (JoinGroupRequest, SyncGroupRequest)


def steer(client: Any, *, join_s: float | None = None, clock: Callable[[], float] = time.monotonic) -> Any:
    """Have an AIOKafkaClient avoid brokers that hang, and trust a coordinator that most name. Returns it.

    `join_s`: limit of a join, which waits for the group's other members; None: as of other requests.
    """
    steering = _Steering(client, join_s, clock)
    client.send, client._get_conn = steering.send, steering.connection
    client._metadata_update = steering.metadata
    client.coordinator_lookup = steering.coordinator
    client.bootstrap = partial(network_client.bootstrap, client)  # leaves nothing behind when abandoned
    return client


def steer_member(consumer: Any, rebalance_timeout_s: float) -> Any:
    """Steer the client of an AIOKafkaConsumer in a group, and override its timeouts. Returns the consumer."""
    client = steer(consumer._client, join_s=rebalance_timeout_s + JOINED_S)
    client._request_timeout_ms = CONSUMER["request_timeout_ms"]
    client._metadata_max_age_ms = CONSUMER["metadata_max_age_ms"]
    return consumer


def agreed(named: Iterable[int], brokers: int) -> int | None:
    """The coordinator that more than half of `brokers` name, None where there is none.

    A former coordinator that was cut off keeps answering heartbeats, and offsets as it last knew them. It
    takes no transaction, and does not say so.
    """
    ((coordinator, votes),) = Counter(named).most_common(1) or [(-1, 0)]
    return coordinator if 2 * votes > brokers else None


def _names_coordinator(task: asyncio.Task[Any]) -> bool:
    """Raises an error that is not retriable."""
    if task.result() is None:
        return False
    code = task.result().error_code
    if code and not for_code(code).retriable:
        raise for_code(code)()
    return not code


def _is_under_replicated(answer: Any) -> bool:
    return any(part[1] in UNDER_REPLICATED for _, parts in answer.topics for part in parts)


class _Steering:
    """Replaces some methods of one client."""

    def __init__(self, client: Any, join_s: float | None, clock: Callable[[], float]) -> None:
        self._client = client
        self._join_s = join_s
        self._clock = clock
        self._send = client.send
        self._connection = client._get_conn
        self._asked_at = -METADATA_EVERY_S
        self._asked_for: set[str] = set()
        self._connecting: dict[Any, asyncio.Lock] = {}
        self._avoid_s: dict[Any, float] = {}
        self._avoided_until: dict[Any, float] = {}

    async def send(self, node: Any, request: Any, *, group: Any = ConnectionGroup.DEFAULT) -> Any:
        """Extends AIOKafkaClient.send: a broker that does not answer in time is avoided.

        Where a leader reports too few replicas, the metadata are refreshed: a leader that is cut off from the
        others keeps claiming to lead, and aiokafka would keep sending to it.
        """
        try:
            if self._join_s is not None and isinstance(request, _WAITS_FOR_MEMBERS):
                answer = await self._join(node, request, group)
            else:
                answer = await self._send(node, request, group=group)
            self._avoid_s.pop(node, None)
            if isinstance(answer, Response) and answer.API_KEY == PRODUCE and _is_under_replicated(answer):
                self._client.force_metadata_update()
            return answer
        except RequestTimedOutError:
            self._avoid(node)
            raise

    async def _join(self, node: Any, request: Any, group: Any) -> Any:
        connection = await self.connection(node, group=group)
        if connection is None:
            return await self._send(node, request, group=group)  # it raises that it is not ready
        usual, connection._request_timeout = connection._request_timeout, self._join_s
        try:
            return await self._send(node, request, group=group)
        finally:
            connection._request_timeout = usual

    async def connection(
        self, node: Any, *, group: Any = ConnectionGroup.DEFAULT, no_hint: bool = False
    ) -> Any:
        """Extends AIOKafkaClient._get_conn: no connection to a broker that is avoided."""
        there = self._client._conns.get((node, group))
        if there is not None and there.connected():
            return there
        if there is not None:
            # aiokafka forgets it, and nobody closes it if its reader has not seen its end by then.
            network_client.cut_off(there, CloseReason.CONNECTION_BROKEN)
        if self._clock() < self._avoided_until.get(node, 0.0):
            self._client.force_metadata_update()
            return None
        began = self._clock()
        # aiokafka has one lock for all brokers; here a slow connection holds up no other broker's.
        self._client._get_conn_lock_value = self._connecting.setdefault((node, group), asyncio.Lock())
        try:
            async with asyncio.timeout(CONNECTED_S):
                found = await self._connection(node, group=group, no_hint=no_hint)
        except TimeoutError:
            log.error("Unable connect to node with id %s within %g s", node, CONNECTED_S)
            self._client.force_metadata_update()
            self._avoid(node)
            return None
        if found is None and self._clock() - began > SLOW_FAILURE_S:
            self._avoid(node)
        return found

    async def metadata(self, cluster: Any, topics: Collection[str]) -> bool:
        """Replaces AIOKafkaClient._metadata_update, which waits for each broker that hangs.

        Returns whether a broker answered.
        """
        if topics == self._asked_for:
            await asyncio.sleep(max(0.0, self._asked_at + METADATA_EVERY_S - self._clock()))
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
        """Replaces AIOKafkaClient.coordinator_lookup, which trusts any broker. Raises KafkaError."""
        nodes = [broker.nodeId for broker in self._client.cluster.brokers()]
        asked = {
            asyncio.ensure_future(self._coordinator_by(node, FindCoordinatorRequest(key, kind)))
            for node in nodes
        }
        named: list[int] = []
        end = self._clock() + NAMED_S
        try:
            while asked and (left := end - self._clock()) > 0:
                done, asked = await asyncio.wait(asked, timeout=left, return_when=asyncio.FIRST_COMPLETED)
                network_client.ignore_failures(done)
                named += [task.result().coordinator_id for task in done if _names_coordinator(task)]
                coordinator = agreed(named, len(nodes))
                if coordinator is not None:
                    return coordinator
        finally:
            await network_client.cancel_all(asked)
        raise CoordinatorNotAvailableError

    async def _coordinator_by(self, node: Any, request: Any) -> Any:
        """A broker's answer; None where it does not answer."""
        try:
            return await self._client.send(node, request)
        except (KafkaError, OSError, TimeoutError):
            return None

    def _avoid(self, node: Any) -> None:
        if len(self._client.cluster.brokers()) < 2:
            return  # no other broker to ask
        avoid_s = self._avoid_s[node] = min(LONGEST_AVOID_S, 2 * self._avoid_s.get(node, AVOID_S / 2))
        self._avoided_until[node] = self._clock() + avoid_s
