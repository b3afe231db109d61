"""What must come out of a simulation: events, final states, alerts, from the calls themselves.

The rule of this file: it knows what took place and what was delivered, and does not ask a decoder. It shares
with the program only the function that makes ids. A row that a provider holds in the end counts as delivered:
whoever reads finds it. What it held meanwhile may have been read, and is in doubt.
"""

from __future__ import annotations

from collections.abc import Iterator, Set
from typing import NamedTuple

from stream.core.identity import content_hash, event_id
from stream.simulator.calls.call import ProviderReport, SimulatedCall
from stream.simulator.calls.options import CALLBACK_SOURCES
from stream.simulator.calls.planted import endpoint_scope
from stream.simulator.check.completeness import Completeness, completeness_of
from stream.simulator.telnyx.reports import TelnyxCall
from stream.simulator.twilio.names import NAME_OF
from stream.simulator.twilio.reports import API_URL, TwilioCall

OUTCOME_OF = {
    "completed": "answered",
    "busy": "busy",
    "no-answer": "no_answer",
    "canceled": "canceled",
    "failed": "failed",
}


class ExpectedEvent(NamedTuple):
    """An event that must come out exactly once. `status` and `number` are None where it has none."""

    id: str
    key: str
    family: str
    name: str
    status: str | None = None
    number: int | None = None


class ExpectedAlert(NamedTuple):
    """An alert that must fire exactly once. `event_id` opens it; None where any event of the call may."""

    rule: str
    scope: str
    event_id: str | None


class ExpectedCall(NamedTuple):
    """What must come out of one call. `status` and `outcome` are None where nobody said that it ended."""

    key: str
    events: list[ExpectedEvent]
    status: str | None
    outcome: str | None
    alerts: list[ExpectedAlert]


class PossibleEvent(NamedTuple):
    """A report that may have arrived: the event that comes out exactly once if it has, and its place."""

    event_id: str
    call: SimulatedCall
    place: tuple[str, int]

    @property
    def pushed(self) -> bool:
        """It is a callback that its provider gave up."""
        return self.place[0] in CALLBACK_SOURCES


class ExpectedOutputs:
    """The calls of a run; each knows which of its reports were delivered.

    `served`: the polled sources that a world holds, none where their rows are delivered.
    """

    def __init__(self, served: frozenset[str] = frozenset()) -> None:
        self.calls: list[SimulatedCall] = []
        self.served = served

    def add(self, call: SimulatedCall) -> None:
        """A call has begun."""
        self.calls.append(call)

    def marked(self, call: SimulatedCall, *, ended: bool) -> None:
        """A provider has begun to hold a call; at its end it holds all that will be."""
        call.doubtful |= call.passing()
        if ended:
            call.seen |= call.held()

    def completeness(self) -> dict[str, Completeness]:
        """By key, what the last record of each call must say of its sources; of none where none is served."""
        if not self.served:
            return {}
        return {call.key: completeness_of(call, self.served) for call in self.calls}

    def accounts(self) -> set[str]:
        """The accounts that the calls belong to."""
        return {call.account for call in self.calls}

    def expected(self) -> Iterator[ExpectedCall]:
        """What must come out of each call of which anything was delivered."""
        for call in self.calls:
            if call.seen:
                yield expected_of(call, call.seen)

    def doubts(self) -> Iterator[PossibleEvent]:
        """What nobody knows to have arrived or not; see `expected_of` for what follows if it has."""
        for call in self.calls:
            for place in call.doubtful - call.seen:
                yield PossibleEvent(_event_id(call, place), call, place)


def expected_of(call: SimulatedCall, seen: Set[tuple[str, int]]) -> ExpectedCall:
    """What must come out of a call if just these of its reports arrive. More reports never make it less."""
    if isinstance(call, TwilioCall):
        return _twilio(call, seen)
    assert isinstance(call, TelnyxCall)
    return _telnyx(call, seen)


def _event_id(call: SimulatedCall, place: tuple[str, int]) -> str:
    """The id of the event that a report is, whichever others it tells of."""
    source, number = place
    if isinstance(call, TwilioCall):
        return _twilio_id(call, source, number)
    assert isinstance(call, TelnyxCall)
    return _telnyx_id(call, source, number)


def _twilio_id(call: TwilioCall, source: str, number: int) -> str:
    if source == "twilio_status_callback":
        return _progress_id(call, number)
    if source == "twilio_call":
        return event_id(call.key, "resource", "3", (call.id, call.rows[number].status))
    row = call.body(ProviderReport(source, number, 0), 1)
    if source == "twilio_call_event":
        return _log_id(call.key, "request_log", row, 0)
    if source == "twilio_call_summary":
        told = {name: said for name, said in row.items() if name not in ("call_sid", "account_sid")}
        return _log_id(call.key, "resource", told, 0)
    told = {name: said for name, said in row.items() if said is not None}
    return _log_id(call.key, "insights", told, call.insights[number].ordinal)


def _telnyx_id(call: TelnyxCall, source: str, number: int) -> str:
    if source == "telnyx_webhook":
        return _hook_id(call, number)
    if source == "telnyx_webhook_delivery":
        return event_id(call.key, "delivery", "2", (call.deliveries[number].id,))
    row = call.body(ProviderReport(source, number, 0), 1)
    for volatile in ("attempt", "status"):
        row["metadata"].pop(volatile, None)
    return _log_id(call.key, "request_log" if call.log[number].hook is None else "delivery", row, 0)


def _progress_id(call: TwilioCall, step: int) -> str:
    """By its number; that of a sender without one by its status and time."""
    sent = call.callbacks[step]
    if sent.number is not None:
        return event_id(call.key, "progress", "1", (sent.number, sent.status))
    return event_id(call.key, "progress", "1b", (sent.status, sent.at_us // 1_000_000 * 1_000_000))


def _hook_id(call: TelnyxCall, number: int) -> str:
    hook = call.hooks[number]
    return event_id(call.key, _telnyx_family(hook.name), "2", (hook.id,))


def _twilio(call: TwilioCall, seen: Set[tuple[str, int]]) -> ExpectedCall:
    key = call.key
    events: list[ExpectedEvent] = []
    alerts: list[ExpectedAlert] = []
    said = {step for source, step in seen if source == "twilio_status_callback"}
    for index, request in enumerate(call.requests):
        if ("twilio_call_event", index) not in seen:
            continue
        if request.step is not None:
            said.add(request.step)
        event = ExpectedEvent(_twilio_id(call, "twilio_call_event", index), key, "request_log", "")
        events.append(event)
        if request.failing and not request.url.startswith(API_URL.partition("{")[0]):
            alerts.append(_failing(call, request.url, event.id))
    statuses = set()
    for step in sorted(said):
        sent = call.callbacks[step]
        statuses.add(sent.status)
        id_ = _progress_id(call, step)
        events.append(ExpectedEvent(id_, key, "progress", NAME_OF[sent.status], sent.status, sent.number))
    rows = {row.status: n for n, row in enumerate(call.rows) if ("twilio_call", n) in seen}
    for status, index in sorted(rows.items()):
        id_ = _twilio_id(call, "twilio_call", index)
        events.append(ExpectedEvent(id_, key, "resource", "", status))
    for version in sorted(number for source, number in seen if source == "twilio_call_summary"):
        id_ = _twilio_id(call, "twilio_call_summary", version)
        events.append(ExpectedEvent(id_, key, "resource", "call_summary"))
    for index, insight in enumerate(call.insights):
        if ("twilio_insights_event", index) not in seen:
            continue
        id_ = _twilio_id(call, "twilio_insights_event", index)
        event = ExpectedEvent(id_, key, "insights", insight.name)
        events.append(event)
        if insight.level == "ERROR":
            alerts.append(ExpectedAlert("call.error_event", key, event.id))
    end = call.leg.ending.status if call.leg.ending.status in statuses | rows.keys() else None
    if end == "failed":
        alerts.append(ExpectedAlert("call.failed", key, None))
    return ExpectedCall(key, events, end, OUTCOME_OF[end] if end else None, alerts)


def _failing(call: SimulatedCall, url: str, event_id: str) -> ExpectedAlert:
    """An endpoint's alert: of its URL without user info and query."""
    scheme, _, rest = url.partition("?")[0].partition("://")
    provider, host = call.key.partition(":")[0], rest.rpartition("@")[2]
    scope = endpoint_scope(f"{provider}:endpoint:{call.account}:{scheme}://{host}")
    return ExpectedAlert("webhook.failing", scope, event_id)


def _log_id(key: str, family: str, row: object, ordinal: int) -> str:
    """The id of a row that has none of its own: its content and its place among twins."""
    return event_id(key, family, "4", (content_hash(row), ordinal))


_TELNYX_PROGRESS = {
    "call.initiated": ("initiated", "initiated"),
    "call.answered": ("answered", "in-progress"),
}

_NORMAL = frozenset({"normal_clearing", "time_limit"})
"""Hangup causes that do not say whether anybody answered."""


def _telnyx(call: TelnyxCall, seen: Set[tuple[str, int]]) -> ExpectedCall:
    key = call.key
    events: list[ExpectedEvent] = []
    alerts: list[ExpectedAlert] = []
    said = {index for source, index in seen if source == "telnyx_webhook"}
    for index, row in enumerate(call.log):
        if ("telnyx_call_event", index) not in seen:
            continue
        family = "request_log" if row.hook is None else "delivery"
        event = ExpectedEvent(_telnyx_id(call, "telnyx_call_event", index), key, family, row.name)
        events.append(event)
        if row.hook is not None:
            said.add(row.hook)
        if row.failed:
            alerts.append(_failing(call, call.webhook_url, event.id))
    for index, sent in enumerate(call.deliveries):
        if ("telnyx_webhook_delivery", index) in seen:
            id_ = _telnyx_id(call, "telnyx_webhook_delivery", index)
            events.append(ExpectedEvent(id_, key, "delivery", call.hooks[sent.hook].name))
    names = {call.hooks[index].name for index in said}
    status, outcome = _telnyx_end(call, names)
    for index in sorted(said):
        hook = call.hooks[index]
        id_ = _hook_id(call, index)
        if hook.name in _TELNYX_PROGRESS:
            events.append(ExpectedEvent(id_, key, "progress", *_TELNYX_PROGRESS[hook.name]))
        elif hook.name == "call.hangup":
            said_status = "completed" if call.leg.ending.cause in _NORMAL else call.leg.ending.status
            events.append(ExpectedEvent(id_, key, "progress", "completed", said_status))
        else:
            events.append(ExpectedEvent(id_, key, _telnyx_family(hook.name), hook.name))
        if hook.name.endswith(".error"):
            alerts.append(ExpectedAlert("call.error_event", key, id_))
    if status == "failed":
        alerts.append(ExpectedAlert("call.failed", key, None))
    return ExpectedCall(key, events, status, outcome, alerts)


def _telnyx_family(name: str) -> str:
    if name in _TELNYX_PROGRESS or name == "call.hangup":
        return "progress"
    return "recording" if name.startswith("call.recording.") else "other"


def _telnyx_end(call: TelnyxCall, names: set[str]) -> tuple[str | None, str | None]:
    """Status and outcome. Where nobody saw an answer, a normal hangup ends an unanswered call."""
    if "call.hangup" not in names:
        return None, None
    ending = call.leg.ending
    if ending.status == "completed":
        return ("completed", "answered") if "call.answered" in names else ("no-answer", "no_answer")
    outcome = "rejected" if ending.cause == "call_rejected" else OUTCOME_OF[ending.status]
    return ending.status, outcome
