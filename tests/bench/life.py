"""The whole life of a call, as deployed: callbacks, end, reads, revisions, settling, eviction.

Everything takes place in virtual time and in this process: the simulator's calls, the providers' REST
resources as they fill up, a poller that answers each fetch request and reads the windows, and ticks where
something is due. Only the worker's own processor is timed.
"""

from __future__ import annotations

import math
from collections import deque
from collections.abc import Callable, Iterator, Sequence
from heapq import heappop, heappush
from typing import Any
from urllib.parse import urlsplit

import orjson

from stream.core.fetches import FETCH_RESULT
from stream.core.timestamps import utc
from stream.kafka.envelope_codec import write_envelope
from stream.kafka.partitions import partition_of
from stream.poller.pages.records import RecordBuilder
from stream.poller.resources import RESOURCES
from stream.poller.resources.account import Account
from stream.provider_api.http_types import Row
from stream.simulator.calls.call import SourceRecord
from stream.simulator.calls.options import Options
from stream.simulator.rest.provider_state import ProviderState
from stream.simulator.traffic import Traffic
from tests.bench.job import Job, record

SECOND_US = 1_000_000
START_S = 1_800_000_000
PARTITIONS = 4
RATE = 200
"""Callbacks a second, so that batches are neither empty nor full."""
ANSWER_S = 2
"""From a request to its result."""
WINDOW_S = 60
"""Between two reads of a window, as the settings have it."""
LONGEST_CALL_S = 900
LIMIT_S = 100_000
"""Of virtual time: calls that are still there then are never evicted."""

TakeTurns = Callable[[], None]
Due = tuple[int, int, str, bytes, bytes]


class BeginCalls:
    """In place of an incident: calls stop beginning after `count`, and those that have begun go on."""

    def __init__(self, count: int) -> None:
        self._count = count
        self.traffic: Traffic | None = None

    def calls(self, usual: Options, elapsed_s: float) -> Options | None:
        assert self.traffic is not None
        return usual if self.traffic.calls < self._count else None


class Poller:
    """What the providers have, as a poller writes it. `now_us`: the virtual time."""

    def __init__(self, providers: ProviderState) -> None:
        self._providers = providers
        self._known: dict[int, Row] = {}
        self._accounts = {
            "twilio": Account(
                provider="twilio",
                id=providers.twilio_account,
                alias="default",
                api_url="https://api.twilio.com",
                insights_url="https://insights.twilio.com",
                monitor_url="https://monitor.twilio.com",
                secret="secret",
            ),
            "telnyx": Account(
                provider="telnyx",
                id=providers.telnyx_account,
                alias="default",
                api_url="https://api.telnyx.com/v2",
                secret="secret",
            ),
        }

    def answer(self, request: bytes, now_us: int) -> Iterator[tuple[bytes, bytes]]:
        """(key, value) of the rows that a request asks for, and of the result behind them.

        A request that names one read itself is one of a former version, and so is its result.
        """
        asked = orjson.loads(request)
        said = {"fetch_id": asked["id"], **{name: asked[name] for name in ("key", "reason", "attempt")}}
        outcomes = []
        for read in asked.get("reads") or [asked]:
            rows, outcome = self._read(read["source"], asked["key"], read["edge"], now_us)
            if outcome["content"] is None or outcome["content"] != read.get("content"):
                yield from rows
            outcomes.append(outcome)
        body = said | ({"reads": outcomes} if "reads" in asked else outcomes[0])
        about = {"received_us": now_us, "account": asked["account"], "endpoint": None, "delivery": {}}
        yield asked["key"].encode(), write_envelope(FETCH_RESULT, body, **about)

    def _read(
        self, source: str, key: str, edge: str | None, now_us: int
    ) -> tuple[list[tuple[bytes, bytes]], dict[str, Any]]:
        """The records of one read, and what it came to."""
        resource, account = RESOURCES[source], self._accounts[source.partition("_")[0]]
        call_id = key.partition(":")[2]
        rows = self._rows(source, call_id, edge, now_us)
        builder = RecordBuilder(source, account, urlsplit(resource.url_of_call(account, call_id, edge)).path)
        wire = [orjson.dumps(row) for row in rows or ()]
        page = builder.page(wire, total=None, received_us=now_us)
        return [(row.key, row.value) for row in page.rows], {
            "source": source,
            "edge": edge,
            "outcome": "not_ready" if rows is None else "success" if rows else "empty",
            "rows": len(wire),
            "complete": bool(wire) and all(map(resource.is_final, wire)),
            "content": None if rows is None else builder.content,
        }

    def windows(self, now_us: int) -> Iterator[tuple[bytes, bytes]]:
        """(key, value) of the listed rows that are new since the last time."""
        providers = self._providers
        lists: dict[str, Sequence[Row]] = {
            "twilio_call": providers.calls(now_us),
            "twilio_alert": providers.alerts(now_us),
            "telnyx_call_event": providers.telnyx_events(now_us),
            "telnyx_webhook_delivery": providers.webhook_deliveries(now_us),
        }
        for source, rows in lists.items():
            resource, account = RESOURCES[source], self._accounts[source.partition("_")[0]]
            assert resource.window_urls is not None
            path = urlsplit(resource.window_urls(account, now_us, None)[0]).path
            builder = RecordBuilder(source, account, path)
            fresh = [row for row in rows if id(row) not in self._known]
            self._known.update((id(row), row) for row in fresh)
            if source == "twilio_alert":  # the list leaves out what the single form says
                fresh = [providers.alert(row["sid"], now_us) or row for row in fresh]
            wire = [orjson.dumps(row) for row in fresh]
            for row in builder.page(wire, total=None, received_us=now_us).rows:
                yield row.key, row.value

    def _rows(self, source: str, call_id: str, edge: str | None, now_us: int) -> list[Row] | None:
        """What the resource has of a call; None for not found."""
        providers = self._providers
        row: Row | None
        if source == "twilio_call":
            row = providers.call(call_id, now_us)
            return None if row is None else [row]
        if source == "twilio_call_summary":
            row = providers.summary(call_id, now_us)
            return None if row is None or row["processing_state"] != "complete" else [row]
        if source == "twilio_insights_event":
            rows = providers.insights(call_id, now_us)
            if rows is None:
                return None
            return [row for row in rows if (row.get("edge") or "carrier_edge") == (edge or "carrier_edge")]
        if source == "twilio_call_event":
            return providers.call_events(call_id, now_us)
        if source == "twilio_notification":
            return providers.notifications(call_id, now_us)
        return providers.telnyx_leg(call_id, now_us)


class World:
    """Calls, providers, poller and the worker's job, in one virtual time."""

    def __init__(self, calls: int, seed: int, take_turns: TakeTurns = lambda: None) -> None:
        self.job = Job(take_turns)
        self.now_us = START_S * SECOND_US
        self.deliveries = 0
        begin = BeginCalls(calls)
        options = Options(
            calls=None,
            seconds=calls * 5 / RATE + LONGEST_CALL_S,
            rate=RATE,
            duplicates=0.05,
            reorder=0.02,
            drop=0.01,
            planted=False,
            served=True,
            seed=seed,
            start_us=self.now_us,
        )
        names = (self.job.names.callbacks, self.job.names.polled)
        self.traffic = begin.traffic = Traffic(
            options, names, with_expected=False, now_us=lambda: self.now_us, rehearsal=begin
        )
        assert self.traffic.providers is not None
        self._poller = Poller(self.traffic.providers)
        self._records = iter(self.traffic)
        self._next: SourceRecord | None = next(self._records)
        self._asked: deque[tuple[int, bytes]] = deque()
        self._due: list[Due] = []
        self._pushed = 0
        self._offsets: dict[tuple[str, int], int] = {}
        self._window_s = START_S + WINDOW_S

    def run(self, until_s: float = math.inf) -> None:
        """Until every call has been evicted, or up to this second."""
        while (at_s := self._next_s()) is not None and at_s < until_s:
            if at_s > START_S + LIMIT_S:
                raise RuntimeError(f"calls are left: {sum(map(len, self.job.tables.values()))}")
            self.now_us = at_s * SECOND_US
            self._step(at_s)

    def _next_s(self) -> int | None:
        """The next second in which something happens; None if nothing will."""
        found = [due for due in self.job.due_s.values() if due is not None]
        if self._asked:
            found.append(self._asked[0][0])
        if self._due:
            found.append(math.ceil(self._due[0][0] / SECOND_US))
        if self._next is not None:
            found.append(math.ceil(self._next.at_us / SECOND_US))
        if not found:
            return None
        return max(self.now_us // SECOND_US + 1, min(*found, self._window_s))

    def _step(self, now_s: int) -> None:
        if now_s >= self._window_s:
            self._window_s = now_s + WINDOW_S
            for key, value in self._poller.windows(self.now_us):
                self._push(self.now_us, self.job.names.polled, key, value)
        while self._asked and self._asked[0][0] <= now_s:
            for key, value in self._poller.answer(self._asked.popleft()[1], self.now_us):
                self._push(self.now_us, self.job.names.polled, key, value)
        while self._next is not None and self._next.at_us <= self.now_us:
            topic, key, value, at_us = self._next
            self._push(at_us, topic, key, value)
            self._next = next(self._records, None)
        batches: dict[int, list[Any]] = {}
        while self._due and self._due[0][0] <= self.now_us:
            at_us, _, topic, key, value = heappop(self._due)
            self._take(batches, partition_of(key, PARTITIONS), topic, at_us, key, value)
        tick = orjson.dumps({"v": 1, "now": utc(self.now_us)})
        for partition, due_s in self.job.due_s.items():
            if due_s is not None and due_s <= now_s:
                self._take(batches, partition, self.job.names.ticks, self.now_us, None, tick)
        for partition, records in sorted(batches.items()):
            for request in self.job.process(partition, records):
                self._asked.append((now_s + ANSWER_S, request))

    def _push(self, at_us: int, topic: str, key: bytes, value: bytes) -> None:
        self._pushed += 1
        heappush(self._due, (at_us, self._pushed, topic, key, value))

    def _take(
        self,
        batches: dict[int, list[Any]],
        partition: int,
        topic: str,
        at_us: int,
        key: bytes | None,
        value: bytes,
    ) -> None:
        offset = self._offsets.get((topic, partition), 0)
        self._offsets[topic, partition] = offset + 1
        self.deliveries += topic != self.job.names.ticks
        batches.setdefault(partition, []).append(record(topic, partition, offset, at_us, key, value))


def measure(calls: int, seed: int = 1, take_turns: TakeTurns = lambda: None) -> dict[str, Any]:
    """CPU µs and bytes of a call's whole life."""
    world = World(calls, seed, take_turns)
    world.run()
    calls = world.traffic.calls
    return {**world.job.result(calls), "deliveries": world.deliveries / calls}
