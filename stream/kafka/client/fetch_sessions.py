"""A consumer's fetches as sessions (KIP-227), so that partitions where nothing happens cost nothing.

aiokafka names each partition in each request, and the broker answers for each. In a session a request names
only the partitions whose offset has changed, and the answer has only those with something new. A broker from
before Kafka 1.1 gets aiokafka's request.
`faust_bridge/upstream_internals.py` lists which of aiokafka's internals this depends on.
"""

from __future__ import annotations

import asyncio
import time
from collections import defaultdict
from collections.abc import Iterable, Iterator, Set
from typing import Any, NamedTuple

from aiokafka.client import ConnectionGroup
from aiokafka.protocol.fetch import FetchRequest

from stream.kafka.partitions import TopicPartition

PACE_S = 0.04
"""Shortest time between fetches from a broker that has little: what comes meanwhile shares one."""
LITTLE_BYTES = 65_536
LACKING_WAIT_MS = 50
"""How long a fetch may wait at the broker that lacks a partition which is waited for: the next one has it."""
LAST_EPOCH = 2**31 - 1

Fetched = dict[TopicPartition, tuple[int, int]]
"""The offset from which a partition is fetched, and how many bytes at most."""


class Session(NamedTuple):
    """What a broker knows of a consumer's fetches. `epoch`: of the next request; `assignment`: aiokafka's."""

    id: int
    epoch: int
    fetched: Fetched
    assignment: Any


class SessionFetch(FetchRequest):
    """`whole`, aiokafka's request for `fetched`, as the next one of `session`."""

    def __init__(self, whole: FetchRequest, fetched: Fetched, session: Session, wait_ms: int) -> None:
        super().__init__(
            wait_ms,
            whole._min_bytes,
            whole._max_bytes,
            whole._isolation_level,
            whole.topics,
            whole._rack_id,
        )
        self._fetched = fetched
        self._session = session

    def build(self, request_struct_class: Any) -> Any:
        session, fetched = self._session, self._fetched
        if request_struct_class.API_VERSION >= 7:
            changed = (tp for tp, at in fetched.items() if session.fetched.get(tp) != at)
            self._topics = [
                (topic, [(number, *fetched[TopicPartition(topic, number)]) for number in numbers])
                for topic, numbers in _by_topic(changed)
            ]
        built = super().build(request_struct_class)
        if request_struct_class.API_VERSION >= 7:
            built.session_id, built.session_epoch = session.id, session.epoch
            built.forgotten_topics_data = list(_by_topic(session.fetched.keys() - fetched.keys()))
        return built


class FetchSessions:
    """The sessions of an AIOKafkaConsumer, one with each broker.

    - `longest_wait_ms`: how long a fetch may wait at the broker, beside the consumer's `fetch_max_wait_ms`.
    - `awaited`: the partitions that somebody waits for. aiokafka has one fetch in flight for a broker, and a
      partition that was not yet handed out when it began is not in it.
    - `responded_s`: when a broker answered a fetch last, in Unix time; 0 for never.
    """

    def __init__(self, consumer: Any) -> None:
        self.longest_wait_ms = LAST_EPOCH
        self.awaited: Set[TopicPartition] = frozenset()
        self.responded_s = 0.0
        self._consumer = consumer
        self._send = consumer._client.send
        self._sessions: dict[Any, Session] = {}
        self._paced_until: dict[Any, float] = {}
        consumer._client.send = self.send

    async def send(self, node: Any, request: Any, *, group: Any = ConnectionGroup.DEFAULT) -> Any:
        """Extends AIOKafkaClient.send."""
        if not isinstance(request, FetchRequest):
            return await self._send(node, request, group=group)
        await asyncio.sleep(self._paced_until.get(node, 0.0) - time.monotonic())
        fetched: Fetched = {
            TopicPartition(topic, number): (offset, most_bytes)
            for topic, parts in request.topics
            for number, offset, most_bytes in parts
        }
        subscription = self._consumer._subscription.subscription
        assignment = subscription.assignment if subscription is not None else None
        # Whatever becomes of this request, only its answer carries the session on.
        session = self._sessions.pop(node, None)
        if session is None or session.assignment is not assignment:
            session = Session(0, 0, {}, assignment)
        wait_ms = min(request._max_wait_ms, self.longest_wait_ms)
        if self._lacks_awaited(node, fetched):
            wait_ms = min(wait_ms, LACKING_WAIT_MS)
        self._paced_until[node] = time.monotonic() + PACE_S
        answer = await self._send(node, SessionFetch(request, fetched, session, wait_ms), group=group)
        self.responded_s = time.time()
        if sum(len(part[-1] or b"") for _, parts in answer.topics for part in parts) > LITTLE_BYTES:
            self._paced_until.pop(node, None)
        if answer.API_VERSION >= 7 and not answer.error_code and answer.session_id:
            epoch = session.epoch % LAST_EPOCH + 1
            self._sessions[node] = Session(answer.session_id, epoch, fetched, assignment)
        return answer

    def _lacks_awaited(self, node: Any, fetched: Fetched) -> bool:
        source = self._consumer._fetcher._select_read_replica
        return any(source(tp) == node for tp in self.awaited - fetched.keys())


def _by_topic(tps: Iterable[TopicPartition]) -> Iterator[tuple[str, list[int]]]:
    numbers: defaultdict[str, list[int]] = defaultdict(list)
    for tp in tps:
        numbers[tp.topic].append(tp.partition)
    yield from numbers.items()
