"""The traffic of many calls as the gateway and the poller land it: raw envelopes in order of delivery.

Two clocks. Calls take place on their own one; deliveries are received one after the other, `rate` a second.
A run without end is live: there the two are one, and what is not due yet leaves its slot empty. In a finite
run the calls took place before (`lookback_s`), and nobody waits for them: the n-th delivery is received
n / rate after the start, or 20 µs after the one before where there is no rate.

In a served run only callbacks are delivered. A world is told of each call's begin and end, at their places
among the deliveries, whether or not any callback of it is delivered; that takes no delivery's place.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from enum import Enum
from heapq import heappop, heappush
from typing import Any, NamedTuple

import orjson

from stream.simulator.calls.accounts import accounts, seeded
from stream.simulator.calls.call import ProviderReport, SimulatedCall
from stream.simulator.calls.network import deliveries
from stream.simulator.calls.options import CALLBACK_SOURCES, Options
from stream.simulator.calls.scenario import SECOND_US, legs
from stream.simulator.calls.seeded_random import uuid_text
from stream.simulator.calls.time_formats import iso_us
from stream.simulator.check.expected_outputs import ExpectedOutputs
from stream.simulator.rest.provider_state import ProviderState, wall_us
from stream.simulator.telnyx.reports import TelnyxCall
from stream.simulator.twilio.reports import TwilioCall

FULL_SPEED_STEP_US = 20
REPLAYED_SPAN_S = 300
DELIVERIES_A_CALL, CALLBACKS_A_CALL = 16, 4
"""About; it paces how fast calls begin and promises nothing."""


class CallMark(Enum):
    """What the world is told of a call."""

    BEGUN = "begun"
    ENDED = "ended"


class SourceRecord(NamedTuple):
    """A Kafka record to be written; `at_us` is the envelope's `received_at`."""

    topic: str
    key: bytes
    value: bytes
    at_us: int


class ReportDelivery(NamedTuple):
    """A report that leaves its provider, the `attempt`-th time (from 1); `at_us` is when it should arrive."""

    call: SimulatedCall
    report: ProviderReport
    attempt: int
    at_us: int

    @property
    def pushed(self) -> bool:
        """It is a callback, and not a row that a poller reads."""
        return self.report.source in CALLBACK_SOURCES


class Traffic:
    """Iterate over it, once: over the records themselves, or over `sendings` to deliver them otherwise.

    - `truth` (if asked for) knows what must come out of what has arrived so far.
    - `world` (of a served run) is what the calls' providers hold so far; `now_us` is its clock.
    - `topics` are the names of the callbacks topic and of the polled topic.
    """

    def __init__(
        self,
        options: Options,
        topics: tuple[str, str] = ("calls.callbacks.v1", "calls.polled.v1"),
        *,
        with_truth: bool = True,
        now_us: Callable[[], int] = wall_us,
    ) -> None:
        self.options = options
        served = options.polled if options.served else frozenset[str]()
        self.truth: ExpectedOutputs | None = ExpectedOutputs(served) if with_truth else None
        self.world: ProviderState | None = ProviderState(options, now_us) if options.served else None
        self.calls = 0
        self.deliveries = 0
        self._topics = topics
        self._rng = seeded(options)
        self._accounts = accounts(options, self._rng)
        self._a_call = CALLBACKS_A_CALL if options.served else DELIVERIES_A_CALL
        self._heap: list[tuple[int, int, SimulatedCall, ProviderReport | CallMark, int]] = []
        self._pushes = 0
        self._waiting: list[SimulatedCall] = []

    def __iter__(self) -> Iterator[SourceRecord]:
        return map(self.record, self.sendings())

    def sendings(self) -> Iterator[ReportDelivery]:
        """What is sent, in this order. None of it has arrived until `record` or `arrived` is told so."""
        return self._live() if self.options.live else self._replayed()

    def arrived(self, sending: ReportDelivery) -> None:
        """Someone took it: all that it tells of must come out."""
        if self.truth is not None:
            sending.call.seen.add((sending.report.source, sending.report.number))

    def doubtful(self, sending: ReportDelivery) -> None:
        """Its provider gave it up without knowing whether it arrived: it may come out."""
        if self.truth is not None:
            sending.call.doubtful.add((sending.report.source, sending.report.number))

    def _replayed(self) -> Iterator[ReportDelivery]:
        options = self.options
        assert options.calls is not None
        step_us = SECOND_US / options.rate if options.rate else FULL_SPEED_STEP_US
        now_us = options.start_us - options.lookback_s * SECOND_US
        pace_us = REPLAYED_SPAN_S * SECOND_US // (options.calls * self._a_call) or 1
        if options.served:
            # Whoever reads by time looks back so far and no farther, however slowly calls are told of.
            pace_us = max(pace_us, int(step_us))
        heap = self._heap
        while True:
            while self.calls < options.calls and (not heap or heap[0][0] > now_us):
                self._begin(now_us)
            if self._told():
                continue
            if not heap:
                return
            now_us = max(now_us + pace_us, heap[0][0] if self.calls >= options.calls else 0)
            yield self._next(options.start_us + int(self.deliveries * step_us))

    def _live(self) -> Iterator[ReportDelivery]:
        """Calls begin at up to twice the steady pace: the rate is reached soon and without a flood."""
        options, heap = self.options, self._heap
        slot = 0
        while options.seconds is None or slot < options.rate * options.seconds:
            now_us = options.start_us + int(slot * SECOND_US / options.rate)
            slot += 1
            allowed = 4 + 2 * slot // self._a_call
            while True:
                while self.calls < allowed and (not heap or heap[0][0] > now_us):
                    self._begin(now_us)
                if not heap or heap[0][0] > now_us or not self._told():
                    break
            if heap and heap[0][0] <= now_us:
                yield self._next(now_us)

    def _begin(self, now_us: int) -> None:
        """Begin a call, or what is left of one: its first callback is due now."""
        if not self._waiting:
            self._waiting = self._calls(now_us - 150_000)
        call = self._waiting.pop()
        self.calls += 1
        if self.truth is not None:
            self.truth.add(call)
        if self.world is not None:
            self._push(call.leg.began_us, call, CallMark.BEGUN)
            self._push(call.leg.ended_us, call, CallMark.ENDED)
        for due_us, report, attempt in deliveries(self._rng, call, self.options):
            self._push(due_us, call, report, attempt)

    def _push(
        self, due_us: int, call: SimulatedCall, what: ProviderReport | CallMark, attempt: int = 0
    ) -> None:
        self._pushes += 1
        heappush(self._heap, (due_us, self._pushes, call, what, attempt))

    def _told(self) -> bool:
        """Whether a mark was next: the world knows of it now, and so does the truth."""
        if self.world is None or not self._heap or not isinstance(self._heap[0][3], CallMark):
            return False
        _, _, call, mark, _ = heappop(self._heap)
        if mark is CallMark.BEGUN:
            self.world.begun(call)
        else:
            self.world.ended(call)
        if self.truth is not None:
            self.truth.marked(call, ended=mark is CallMark.ENDED)
        return True

    def _calls(self, began_us: int) -> list[SimulatedCall]:
        """The legs of a new call, the first one last."""
        rng, options = self._rng, self.options
        found: list[SimulatedCall] = []
        if rng.random() < options.telnyx:
            session = uuid_text(rng)
            told = legs(rng, began_us, options.failed, options.longest_talk_s)
            found += [TelnyxCall(rng, self._accounts.telnyx, leg, session, options) for leg in told]
        else:
            parent: str | None = None
            for leg in legs(rng, began_us, options.failed, options.longest_talk_s):
                call = TwilioCall(rng, self._accounts.twilio, leg, parent, options)
                parent = call.id
                found.append(call)
        found.reverse()
        return found

    def _next(self, received_us: int) -> ReportDelivery:
        _, _, call, report, attempt = heappop(self._heap)
        assert isinstance(report, ProviderReport)
        self.deliveries += 1
        return ReportDelivery(call, report, attempt, received_us)

    def record(self, sending: ReportDelivery) -> SourceRecord:
        """It as the gateway or the poller lands it, which is how it arrives."""
        call, report, attempt, received_us = sending
        self.arrived(sending)
        envelope: dict[str, Any] = {
            "v": 1,
            "source": report.source,
            "received_at": iso_us(received_us),
            "account": call.account,
            "endpoint": call.endpoint(report.source),
            "delivery": {
                "token": call.token(report, attempt),
                "attempt": None,
                "query": None,
                "verified": True,
            },
            "body": call.body(report, attempt),
        }
        if report.ordinal is not None:
            envelope["ordinal"] = report.ordinal
        topic = self._topics[0 if sending.pushed else 1]
        return SourceRecord(topic, call.key.encode(), orjson.dumps(envelope), received_us)


def generate(
    options: Options,
    topics: tuple[str, str] = ("calls.callbacks.v1", "calls.polled.v1"),
    *,
    with_truth: bool = True,
    now_us: Callable[[], int] = wall_us,
) -> Traffic:
    """The traffic of a run; equal options give equal bytes."""
    return Traffic(options, topics, with_truth=with_truth, now_us=now_us)
