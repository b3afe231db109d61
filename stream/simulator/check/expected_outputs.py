"""What must come out of a run: events, final states, alerts, derived from the calls themselves.

It knows what took place and what was delivered, and uses no decoder. A row that a provider holds in the end
counts as delivered, because a poller finds it. A row that a provider held for a while may have been read: its
outputs are possible.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Set
from typing import Any, NamedTuple

from stream.simulator.calls.call import SimulatedCall
from stream.simulator.calls.options import ERROR_SOURCES, EVENT_STREAM, SENT_SOURCES
from stream.simulator.calls.planted import BY_NUMBER
from stream.simulator.check.delivery_truth import DeliveryTruth, truth_of
from stream.simulator.check.event_ids import TELNYX_PROGRESS, bare_url, event_id_of, telnyx_family
from stream.simulator.check.fault_truth import telnyx_fault, texml_fault, twilio_fault
from stream.simulator.telnyx.call import TelnyxCall
from stream.simulator.telnyx.delivery_log import webhook_url
from stream.simulator.telnyx.texml_call import TexmlCall
from stream.simulator.twilio.call import SIDE_SOURCES, TwilioCall
from stream.simulator.twilio.callbacks import EVENT_OF_STATUS
from stream.simulator.twilio.conference import TwilioConference
from stream.simulator.twilio.error_log import ERROR
from stream.simulator.twilio.request_log import API_URL, LoggedRequest
from stream.simulator.twilio.side_callbacks import CONFERENCE
from stream.simulator.twilio.voice_insights import COMPLETE

OUTCOME_OF = {
    "completed": "answered",
    "busy": "busy",
    "no-answer": "no_answer",
    "canceled": "canceled",
    "failed": "failed",
}


class ExpectedEvent(NamedTuple):
    """An event that must come out exactly once. `status` and `number` are None if it has none."""

    id: str
    key: str
    family: str
    name: str
    status: str | None = None
    number: int | None = None


class ExpectedAlert(NamedTuple):
    """An alert that must have fired, and must not be retracted."""

    rule: str
    scope: str


class Answer(NamedTuple):
    """What an endpoint answered: its scope, the minute since 1970, whether it failed."""

    scope: str
    minute: int
    failed: bool


_ANSWERED = frozenset({"in-progress", "completed"})

WINDOW_MIN, LEAST, SHARE = 5, 10, 0.05
"""When an endpoint is failing: minutes, failures in them, and their share, as the rules are shipped."""


def failing_endpoints(answers: Iterable[Answer], margin: float) -> set[str]:
    """Endpoints that at some time failed `margin` times as much as makes an alert."""
    counts: dict[str, dict[int, list[int]]] = {}
    for answer in answers:
        of_minute = counts.setdefault(answer.scope, {}).setdefault(answer.minute, [0, 0])
        of_minute[answer.failed] += 1
    found = set()
    for scope, minutes in counts.items():
        for minute in minutes:
            window = [minutes[m] for m in range(minute - WINDOW_MIN + 1, minute + 1) if m in minutes]
            good, bad = (sum(one[n] for one in window) for n in (0, 1))
            if bad >= margin * LEAST and bad / (good + bad) >= min(1.0, margin * SHARE):
                found.add(scope)
    return found


class ExpectedCall(NamedTuple):
    """What must come out of one call. `status` and `outcome` are None if no report said that it ended.

    `direction` and `leg_id` are None if no report said them; `parent`: the key of the call that must know
    this one as its child, None without a report that names it. `delivery`: None where it is not told.
    `fault`: whose fault its end was, None if it succeeded; `won_over`: the keys of calls that were dialled
    with it, if reports said that it was answered.
    """

    key: str
    events: list[ExpectedEvent]
    status: str | None
    outcome: str | None
    alerts: list[ExpectedAlert]
    answers: list[Answer]
    direction: str | None = None
    leg_id: str | None = None
    parent: str | None = None
    delivery: DeliveryTruth | None = None
    fault: str | None = None
    won_over: tuple[str, ...] = ()


class PossibleEvent(NamedTuple):
    """A report that may have arrived (source, number), and the event that then comes out exactly once."""

    event_id: str
    call: SimulatedCall
    report: tuple[str, int]

    @property
    def pushed(self) -> bool:
        """The report is a callback that its provider gave up on, not a row."""
        return self.report[0] in SENT_SOURCES


class ExpectedOutputs:
    """The calls of a run; each knows which of its reports were delivered.

    `served`: the polled sources that are served over REST; none if their rows are delivered.
    """

    def __init__(self, served: frozenset[str] = frozenset()) -> None:
        self.calls: list[SimulatedCall] = []
        self.served = served

    def known_to_provider(self, call: SimulatedCall, *, ended: bool) -> None:
        """A provider has begun to hold a call's rows; at the call's end it holds all of them."""
        call.maybe_delivered |= call.transient()
        if ended:
            call.delivered |= call.readable()

    def expected(self) -> Iterator[ExpectedCall]:
        """The outputs of each call of which anything was delivered."""
        for call in self.calls:
            if call.delivered:
                yield expected_of(call, call.delivered)

    def possible(self) -> Iterator[PossibleEvent]:
        """Reports of which it is not known whether they arrived. `expected_of` says what follows if so."""
        for call in self.calls:
            for report in call.maybe_delivered - call.delivered:
                yield PossibleEvent(event_id_of(call, *report), call, report)


def expected_of(call: SimulatedCall, delivered: Set[tuple[str, int]]) -> ExpectedCall:
    """The outputs of a call if exactly these of its reports arrive. More reports never mean fewer outputs."""
    if isinstance(call, TwilioCall):
        return _twilio(call, delivered)
    if isinstance(call, TexmlCall):
        return _texml(call, delivered)
    if isinstance(call, TwilioConference):
        return _conference(call, delivered)
    assert isinstance(call, TelnyxCall)
    return _telnyx(call, delivered)


class _Outputs:
    """Collects the outputs of a call of which these reports arrived."""

    def __init__(self, call: SimulatedCall, delivered: Set[tuple[str, int]]) -> None:
        self.call = call
        self.events: list[ExpectedEvent] = []
        self.answers: list[Answer] = []
        self._errors = False
        self._delivered = delivered

    def numbers(self, source: str) -> list[int]:
        """The numbers of a source's reports that arrived, in order."""
        return sorted(number for name, number in self._delivered if name == source)

    def event(self, report: tuple[str, int], *said: Any, error: bool = False) -> str:
        """Expect an event (family, name, status, number); an `error` raises an alert. Returns its id."""
        id_ = event_id_of(self.call, *report)
        self.events.append(ExpectedEvent(id_, self.call.key, *said))
        self._errors |= error
        return id_

    def answer(self, url: str, at_us: int, *, failed: bool) -> None:
        """Expect an endpoint's answer to be counted. Its scope is the URL without user info and query.

        One that has the caller's number in its path has few answers, and is another scope in each call.
        """
        scope = f"{self.call.provider}:endpoint:{self.call.account}:{bare_url(url)}"
        if BY_NUMBER not in scope:
            self.answers.append(Answer(scope, at_us // 60_000_000, failed))

    def ended(
        self,
        status: str | None,
        outcome: str | None,
        *,
        directed: object,
        leg_id: str | None = None,
        parent: str | None = None,
        fault: str | None = None,
    ) -> ExpectedCall:
        """`directed`: whether a report told the call's direction, which names its parent, too."""
        call, alerts = self.call, []
        if status == "failed":
            alerts.append(ExpectedAlert("call.failed", call.key))
        elif self._errors:
            alerts.append(ExpectedAlert("call.error_event", call.key))
        return ExpectedCall(
            call.key,
            self.events,
            status,
            outcome,
            alerts,
            self.answers,
            call.leg.direction.partition("-")[0] if directed else None,
            leg_id,
            f"{call.provider}:{parent}" if directed and parent is not None else None,
            truth_of(call, self._delivered),
            fault,
        )


def _twilio(call: TwilioCall, delivered: Set[tuple[str, int]]) -> ExpectedCall:
    streamed = {call.streamed[number] for source, number in delivered if source == EVENT_STREAM}
    found = _Outputs(call, {*delivered, *((told.source, told.number) for told in streamed)})
    failed: set[LoggedRequest] = set()
    said = set(found.numbers("twilio_status_callback"))
    sides = {number for source in SIDE_SOURCES for number in found.numbers(source)}
    for index in found.numbers("twilio_call_event"):
        request = call.requests[index]
        if request.step is not None:
            said.add(request.step)
        if request.side is not None:
            sides.add(request.side)
        found.event(("twilio_call_event", index), "request_log", "")
        if not request.url.startswith(API_URL.partition("{")[0]):
            if request.failing:
                failed.add(request)
            else:
                found.answer(request.url, request.at_us, failed=False)
    statuses = set()
    for step in sorted(said):
        sent = call.callbacks[step]
        statuses.add(sent.status)
        report = ("twilio_status_callback", step)
        found.event(report, "progress", EVENT_OF_STATUS[sent.status], sent.status, sent.number)
    for number in sides:
        side = call.sides[number]
        found.event((side.source, number), side.family, side.name, None, side.number)
    rows = {call.versions[index].status: index for index in found.numbers("twilio_call")}
    for status, index in sorted(rows.items()):
        found.event(("twilio_call", index), "resource", "", status)
    for version in found.numbers("twilio_call_summary"):
        told = call.leg.ending.status if version == COMPLETE else None
        statuses.add(told or "")
        found.event(("twilio_call_summary", version), "resource", "call_summary", told)
    for index in found.numbers("twilio_insights_event"):
        insight = call.insights[index]
        report = ("twilio_insights_event", index)
        found.event(report, "insights", insight.name, error=insight.level == "ERROR")
    for index in sorted({number for source in ERROR_SOURCES for number in found.numbers(source)}):
        found.event(("twilio_debugger", index), "other", "error_logged")
        if (
            call.errors[index].level == ERROR
        ):  # a warning raises no alert, but its row of the request log does
            failed.add(call.errors[index].request)
    for request in failed:
        found.answer(request.url, request.at_us, failed=True)
    end = call.leg.ending.status if call.leg.ending.status in statuses | rows.keys() else None
    fault, directed = None, bool(said or rows)
    if end is not None:
        entries = {told.number for told in streamed if told.source == "twilio_debugger"}
        fault = twilio_fault(call, end, said, found.numbers, entries, told=directed)
    outcome = OUTCOME_OF[end] if end else None
    ended = found.ended(end, outcome, directed=directed, parent=call.parent, fault=fault)
    answered = directed and not _ANSWERED.isdisjoint(statuses | rows.keys())
    return ended._replace(won_over=call.rivals) if answered else ended


def _conference(call: TwilioConference, delivered: Set[tuple[str, int]]) -> ExpectedCall:
    """Its own events. They are of no call, so nothing follows from them."""
    found = _Outputs(call, delivered)
    for number in found.numbers(CONFERENCE):
        name, sequence_number, _ = call.steps[number]
        found.event((CONFERENCE, number), "conference", name, None, sequence_number)
    return ExpectedCall(call.key, found.events, None, None, [], [])


def _texml(call: TexmlCall, delivered: Set[tuple[str, int]]) -> ExpectedCall:
    found = _Outputs(call, delivered)
    statuses = set()
    for step in found.numbers("telnyx_texml_callback"):
        sent = call.callbacks[step]
        statuses.add(sent.status)
        report = ("telnyx_texml_callback", step)
        found.event(report, "progress", EVENT_OF_STATUS[sent.status], sent.status, sent.number)
    end = call.leg.ending.status if call.leg.ending.status in statuses else None
    leg_id = call.leg_id if end else None
    outcome = OUTCOME_OF[end] if end else None
    fault = texml_fault(call, end, found.numbers("telnyx_texml_callback")) if end else None
    return found.ended(end, outcome, directed=statuses, leg_id=leg_id, parent=call.parent, fault=fault)


_NORMAL = frozenset({"normal_clearing", "time_limit"})
"""Hangup causes that do not say whether the call was answered."""


def _telnyx(call: TelnyxCall, delivered: Set[tuple[str, int]]) -> ExpectedCall:
    found = _Outputs(call, delivered)
    said = set(found.numbers("telnyx_webhook"))
    deliveries: dict[int, bool] = {}
    for index in found.numbers("telnyx_call_event"):
        row = call.log[index]
        if row.event is None:
            found.event(("telnyx_call_event", index), "request_log", row.name)
        else:
            found.event(("telnyx_call_event", index), "delivery", row.name)
            deliveries[row.event] = row.failed
    for index in found.numbers("telnyx_webhook_delivery"):
        delivery = call.deliveries[index]
        if delivery.event not in deliveries:
            found.event(("telnyx_webhook_delivery", index), "delivery", call.events[delivery.event].name)
            deliveries[delivery.event] = delivery.failed
    said |= deliveries.keys()
    for event, failed in deliveries.items():
        found.answer(webhook_url(call), call.events[event].at_us, failed=failed)
    names = set()
    for index in sorted(said):
        name = call.events[index].name
        names.add(name)
        told: tuple[str | None, ...] = (name,)
        if name == "call.hangup":
            told = ("completed", "completed" if call.leg.ending.cause in _NORMAL else call.leg.ending.status)
        told = TELNYX_PROGRESS.get(name, told)
        found.event(("telnyx_webhook", index), telnyx_family(name), *told, error=name.endswith(".error"))
    ending = call.leg.ending
    status: str | None = ending.status
    outcome: str | None = "rejected" if ending.cause == "call_rejected" else OUTCOME_OF[ending.status]
    if "call.hangup" not in names:
        status = outcome = None
    elif status == "completed" and "call.answered" not in names:
        # A normal hangup without an answer ends it unanswered.
        status, outcome = "no-answer", "no_answer"
    fault = telnyx_fault(call, names, found.numbers) if outcome not in (None, "answered") else None
    return found.ended(status, outcome, directed="call.initiated" in names, leg_id=call.id, fault=fault)
