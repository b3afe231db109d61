"""The traffic of many calls as the gateway and the poller write it: raw envelopes in order of delivery.

There are two clocks: calls take place by one, and deliveries are received by the other, `rate` a second.

In an endless run the two are one. In a finite run the calls took place before (`lookback_s`), and a delivery
is received 1 / rate after the one before, or 20 µs. In a served run only callbacks are delivered, and the
provider state learns of each call's begin and end among them.
"""

from __future__ import annotations

import random
from collections.abc import Callable, Iterator
from heapq import heappop, heappush
from typing import Any, NamedTuple

import orjson

from stream.provider_api.time_formats import iso_us
from stream.simulator.calls.call import ProviderReport, ReportDelivery, SimulatedCall, SourceRecord
from stream.simulator.calls.options import SENT_SOURCES, Options
from stream.simulator.calls.scenario import SECOND_US, legs
from stream.simulator.calls.seeded_random import between_us, run_accounts, seeded, uuid_text
from stream.simulator.calls.wall_clock import wall_us
from stream.simulator.check.expected_outputs import ExpectedOutputs
from stream.simulator.incidents import Rehearsal
from stream.simulator.rest.provider_state import ProviderState
from stream.simulator.telnyx.call import TelnyxCall
from stream.simulator.telnyx.texml_call import SOURCE as TEXML
from stream.simulator.telnyx.texml_call import TexmlCall
from stream.simulator.twilio.call import TwilioCall
from stream.simulator.twilio.conference import TwilioConference, conferences_of

FULL_SPEED_STEP_US = 20
REPLAYED_SPAN_S = 300
DELIVERIES_A_CALL, CALLBACKS_A_CALL, STREAMED_A_CALL = 16, 4, 7
"""Rough averages, used only to pace how fast calls begin. Event Streams come on top."""

TEXML_BELOW = "1a"
"""In a run with TeXML, one in ten of Telnyx' calls is its: those whose session's id is below this."""

TOPICS = ("calls.callbacks.v1", "calls.polled.v1")

_PUSHED = frozenset(SENT_SOURCES)


class Traffic:
    """Iterate over it once: over the records, or over `outgoing` to deliver the reports in another way.

    - `expected` (if asked for) knows what must come out of what was delivered so far.
    - `providers` (of a served run) is what the providers know of the calls so far; `now_us` is its clock.
    - `rehearsal`: the incident of a live run.
    - `topics` are the names of the callbacks topic and of the polled topic.
    """

    def __init__(
        self,
        options: Options,
        topics: tuple[str, str] = TOPICS,
        *,
        with_expected: bool = True,
        now_us: Callable[[], int] = wall_us,
        rehearsal: Rehearsal | None = None,
    ) -> None:
        self.options = options
        self.rehearsal = rehearsal
        self._begun = options
        served = options.polled if options.served else frozenset[str]()
        self.expected: ExpectedOutputs | None = ExpectedOutputs(served) if with_expected else None
        self.providers: ProviderState | None = ProviderState(options, now_us) if options.served else None
        self.calls = 0
        self.deliveries = 0
        self._topics = topics
        self._rng = seeded(options)
        self._accounts = run_accounts(options, self._rng)
        self._a_call = CALLBACKS_A_CALL if options.served else DELIVERIES_A_CALL
        if "twilio_event_stream" in options.sources:
            self._a_call += STREAMED_A_CALL
        self._heap: list[tuple[int, int, SimulatedCall, ProviderReport | None, int]] = []
        self._pushes = 0
        self._waiting: list[SimulatedCall] = []

    def __iter__(self) -> Iterator[SourceRecord]:
        return map(self.record, self.outgoing())

    def outgoing(self) -> Iterator[ReportDelivery]:
        """The reports in order. None counts as delivered until `record` or its `arrived` is called."""
        return self._live() if self.options.live else self._replayed()

    def record(self, delivery: ReportDelivery) -> SourceRecord:
        """The report as the gateway or the poller writes it, which delivers it."""
        call, report, attempt, received_us = delivery
        delivery.arrived()
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
        topic = self._topics[0 if delivery.pushed else 1]
        return SourceRecord(topic, call.key.encode(), orjson.dumps(envelope), received_us)

    def _replayed(self) -> Iterator[ReportDelivery]:
        options = self.options
        assert options.calls is not None
        step_us = SECOND_US / options.rate if options.rate else FULL_SPEED_STEP_US
        now_us = options.start_us - options.lookback_s * SECOND_US
        pace_us = REPLAYED_SPAN_S * SECOND_US // (options.calls * self._a_call) or 1
        if options.served:
            # A poller looks back a fixed time, so a slow run must not leave its calls behind that.
            pace_us = max(pace_us, int(step_us))
        heap = self._heap
        while True:
            while self.calls < options.calls and (not heap or heap[0][0] > now_us):
                self._begin(now_us)
            if self._mark_next():
                continue
            if not heap:
                return
            now_us = max(now_us + pace_us, heap[0][0] if self.calls >= options.calls else 0)
            yield self._next(options.start_us + int(self.deliveries * step_us))

    def _live(self) -> Iterator[ReportDelivery]:
        """Calls begin at up to twice the steady pace: the rate is reached soon and without a flood."""
        options, heap = self.options, self._heap
        slot = calling = 0
        while options.seconds is None or slot < options.rate * options.seconds:
            now_us = options.start_us + int(slot * SECOND_US / options.rate)
            slot += 1
            begun = self.rehearsal.calls(options, slot / options.rate) if self.rehearsal else options
            if begun is not None:
                self._begun = begun
                calling += 1
            allowed = 4 + 2 * calling // self._a_call
            while True:
                while begun is not None and self.calls < allowed and (not heap or heap[0][0] > now_us):
                    self._begin(now_us)
                if not heap or heap[0][0] > now_us or not self._mark_next():
                    break
            if heap and heap[0][0] <= now_us:
                yield self._next(now_us)

    def _begin(self, now_us: int) -> None:
        """Begin a leg of a call, whose first callback is due now, or a conference."""
        if not self._waiting:
            self._waiting = self._new_call(now_us - 150_000)
        call = self._waiting.pop()
        is_conference = isinstance(call, TwilioConference)
        self.calls += not is_conference
        if self.expected is not None:
            self.expected.calls.append(call)
        if self.providers is not None and not is_conference:
            self._push(call.leg.began_us, call, None)
            self._push(call.leg.ended_us, call, None, 1)
        for due_us, report, attempt in network_schedule(self._rng, call, self._begun):
            self._push(due_us, call, report, attempt)

    def _new_call(self, began_us: int) -> list[SimulatedCall]:
        """The legs of a new call, the first one last, and before them the conferences that they join."""
        rng, options = self._rng, self._begun
        found: list[SimulatedCall] = []
        session = uuid_text(rng) if rng.random() < options.telnyx else None
        texml_below = TEXML_BELOW if TEXML in options.sources else ""
        several = session is None and options.everything
        dialled = legs(rng, began_us, options.failed, options.longest_talk_s, several=several)
        for leg in dialled:
            parent = found[0].id if found else None
            if session is not None and session < texml_below:
                found.append(TexmlCall(rng, self._accounts.telnyx, leg, session, parent, options))
            elif session is not None:
                found.append(TelnyxCall(rng, self._accounts.telnyx, leg, session, options))
            else:
                found.append(TwilioCall(rng, self._accounts.twilio, leg, parent, options))
        if len(found) > 2:
            together = (one for one in found[2:] if one.leg.began_us == found[1].leg.began_us)
            found[1].rivals = tuple(one.key for one in together)
        if options.everything:
            joining = [one for one in found if isinstance(one, TwilioCall)]
            found += [conference for one in joining for conference in conferences_of(one, options)]
        return found[::-1]

    def _push(
        self, due_us: int, call: SimulatedCall, report: ProviderReport | None, attempt: int = 0
    ) -> None:
        """Schedule a report; or None, the call's begin (attempt 0) or end (1), for the provider state."""
        self._pushes += 1
        heappush(self._heap, (due_us, self._pushes, call, report, attempt))

    def _mark_next(self) -> bool:
        """Tell the provider state if the next entry is a call's begin or end. Returns whether it was."""
        if self.providers is None or not self._heap or self._heap[0][3] is not None:
            return False
        _, _, call, _, ended = heappop(self._heap)
        if ended:
            self.providers.ended(call)
        else:
            self.providers.begun(call)
        if self.expected is not None:
            self.expected.known_to_provider(call, ended=bool(ended))
        return True

    def _next(self, received_us: int) -> ReportDelivery:
        _, _, call, report, attempt = heappop(self._heap)
        assert report is not None
        self.deliveries += 1
        return ReportDelivery(call, report, attempt, received_us)


# ---------------------------------------------------------------- what the network does to reports


class ScheduledReport(NamedTuple):
    """When a report is received, and for which time (from 1)."""

    due_us: int
    report: ProviderReport
    attempt: int


def network_schedule(rng: random.Random, call: SimulatedCall, options: Options) -> list[ScheduledReport]:
    """All receptions of a call's reports, unordered; a lost callback is lost with all its repetitions."""
    reports = call.reports()
    pushed = [report for report in reports if report.source in _PUSHED]
    found = _first_receptions(rng, pushed, call.leg.ended_us, options)
    if not options.served:
        read = (report for report in reports if report.source not in _PUSHED)
        found += [ScheduledReport(report.at_us, report, 1) for report in read]
    if options.duplicates:
        found += _repetitions(rng, found, options.duplicates)
    return found


def _first_receptions(
    rng: random.Random, callbacks: list[ProviderReport], ended_us: int, options: Options
) -> list[ScheduledReport]:
    """Walks backwards, because an overtaken callback is received after its successor."""
    chance = rng.random
    found: list[ScheduledReport] = []
    successor_us = 0
    for report in reversed(callbacks):
        due_us = report.at_us + 20_000 + int(chance() * 130_000)
        if options.late and chance() < options.late:
            due_us = max(due_us, ended_us) + between_us(rng, 5, 60)
        if options.reorder and successor_us and chance() < options.reorder:
            due_us = max(due_us, successor_us + 1000 + int(chance() * 200_000))
        successor_us = due_us
        if not options.drop or chance() >= options.drop:
            found.append(ScheduledReport(due_us, report, 1))
    return found


def _repetitions(rng: random.Random, first: list[ScheduledReport], share: float) -> list[ScheduledReport]:
    """Repetitions of some receptions; one in ten of them comes a third time."""
    found = []
    for due_us, report, attempt in first:
        if rng.random() < share:
            again_us = due_us + between_us(rng, 0.01, 8)
            found.append(ScheduledReport(again_us, report, attempt + 1))
            if rng.random() < 0.1:
                found.append(ScheduledReport(again_us + between_us(rng, 0.01, 8), report, attempt + 2))
    return found
