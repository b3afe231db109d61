"""What must come out of a run: events, final states, alerts, derived from the calls themselves.

It knows what took place and what was delivered, and uses no decoder. It shares with the program only the
function that makes ids. A row that a provider holds in the end counts as delivered, because a poller finds
it. A row that a provider held for a while may have been read: its outputs are possible.
"""

from __future__ import annotations

from collections.abc import Iterator, Set
from typing import NamedTuple

from stream.core.identity import content_hash, event_id
from stream.simulator.calls.call import ProviderReport, SimulatedCall
from stream.simulator.calls.options import CALLBACK_SOURCES
from stream.simulator.calls.planted import endpoint_scope
from stream.simulator.telnyx.call import TelnyxCall
from stream.simulator.telnyx.delivery_log import webhook_url
from stream.simulator.twilio.call import TwilioCall
from stream.simulator.twilio.callbacks import EVENT_OF_STATUS
from stream.simulator.twilio.request_log import API_URL

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
    """An alert that must fire exactly once. `event_id`: the event that opens it; None if any event may."""

    rule: str
    scope: str
    event_id: str | None


class ExpectedCall(NamedTuple):
    """What must come out of one call. `status` and `outcome` are None if no report said that it ended."""

    key: str
    events: list[ExpectedEvent]
    status: str | None
    outcome: str | None
    alerts: list[ExpectedAlert]


class PossibleEvent(NamedTuple):
    """A report that may have arrived (source, number), and the event that then comes out exactly once."""

    event_id: str
    call: SimulatedCall
    report: tuple[str, int]

    @property
    def pushed(self) -> bool:
        """The report is a callback that its provider gave up on, not a row."""
        return self.report[0] in CALLBACK_SOURCES


class ExpectedOutputs:
    """The calls of a run; each knows which of its reports were delivered.

    `served`: the polled sources that are served over REST; none if their rows are delivered.
    """

    def __init__(self, served: frozenset[str] = frozenset()) -> None:
        self.calls: list[SimulatedCall] = []
        self.served = served

    def add(self, call: SimulatedCall) -> None:
        """A call has begun."""
        self.calls.append(call)

    def known_to_provider(self, call: SimulatedCall, *, ended: bool) -> None:
        """A provider has begun to hold a call's rows; at the call's end it holds all of them."""
        call.maybe_delivered |= call.transient()
        if ended:
            call.delivered |= call.readable()

    def accounts(self) -> set[str]:
        """The accounts that the calls belong to."""
        return {call.account for call in self.calls}

    def expected(self) -> Iterator[ExpectedCall]:
        """The outputs of each call of which anything was delivered."""
        for call in self.calls:
            if call.delivered:
                yield expected_of(call, call.delivered)

    def possible(self) -> Iterator[PossibleEvent]:
        """Reports of which it is not known whether they arrived. `expected_of` says what follows if so."""
        for call in self.calls:
            for report in call.maybe_delivered - call.delivered:
                yield PossibleEvent(_event_id(call, report), call, report)


def expected_of(call: SimulatedCall, delivered: Set[tuple[str, int]]) -> ExpectedCall:
    """The outputs of a call if exactly these of its reports arrive. More reports never mean fewer outputs."""
    if isinstance(call, TwilioCall):
        return _twilio(call, delivered)
    assert isinstance(call, TelnyxCall)
    return _telnyx(call, delivered)


def _event_id(call: SimulatedCall, report: tuple[str, int]) -> str:
    """The id of the event that a report itself is; it may also imply others."""
    source, number = report
    if isinstance(call, TwilioCall):
        return _twilio_id(call, source, number)
    assert isinstance(call, TelnyxCall)
    return _telnyx_id(call, source, number)


def _twilio_id(call: TwilioCall, source: str, number: int) -> str:
    if source == "twilio_status_callback":
        return _progress_id(call, number)
    if source == "twilio_call":
        return event_id(call.key, "resource", "3", (call.id, call.versions[number].status))
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
        return _webhook_id(call, number)
    if source == "telnyx_webhook_delivery":
        return event_id(call.key, "delivery", "2", (call.deliveries[number].id,))
    row = call.body(ProviderReport(source, number, 0), 1)
    for volatile in ("attempt", "status"):
        row["metadata"].pop(volatile, None)
    return _log_id(call.key, "request_log" if call.log[number].event is None else "delivery", row, 0)


def _progress_id(call: TwilioCall, step: int) -> str:
    """From the sequence number; from status and time if there is none."""
    sent = call.callbacks[step]
    if sent.number is not None:
        return event_id(call.key, "progress", "1", (sent.number, sent.status))
    return event_id(call.key, "progress", "1b", (sent.status, sent.at_us // 1_000_000 * 1_000_000))


def _webhook_id(call: TelnyxCall, number: int) -> str:
    event = call.events[number]
    return event_id(call.key, _telnyx_family(event.name), "2", (event.id,))


def _twilio(call: TwilioCall, delivered: Set[tuple[str, int]]) -> ExpectedCall:
    key = call.key
    events: list[ExpectedEvent] = []
    alerts: list[ExpectedAlert] = []
    said = {step for source, step in delivered if source == "twilio_status_callback"}
    for index, request in enumerate(call.requests):
        if ("twilio_call_event", index) not in delivered:
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
        name = EVENT_OF_STATUS[sent.status]
        events.append(ExpectedEvent(id_, key, "progress", name, sent.status, sent.number))
    rows = {row.status: n for n, row in enumerate(call.versions) if ("twilio_call", n) in delivered}
    for status, index in sorted(rows.items()):
        id_ = _twilio_id(call, "twilio_call", index)
        events.append(ExpectedEvent(id_, key, "resource", "", status))
    for version in sorted(number for source, number in delivered if source == "twilio_call_summary"):
        id_ = _twilio_id(call, "twilio_call_summary", version)
        events.append(ExpectedEvent(id_, key, "resource", "call_summary"))
    for index, insight in enumerate(call.insights):
        if ("twilio_insights_event", index) not in delivered:
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
    """The alert of an endpoint, whose scope is its URL without user info and query."""
    scheme, _, rest = url.partition("?")[0].partition("://")
    provider, host = call.key.partition(":")[0], rest.rpartition("@")[2]
    scope = endpoint_scope(f"{provider}:endpoint:{call.account}:{scheme}://{host}")
    return ExpectedAlert("webhook.failing", scope, event_id)


def _log_id(key: str, family: str, row: object, ordinal: int) -> str:
    """The id of a row without an id of its own: from its content and its position among identical rows."""
    return event_id(key, family, "4", (content_hash(row), ordinal))


_TELNYX_PROGRESS = {
    "call.initiated": ("initiated", "initiated"),
    "call.answered": ("answered", "in-progress"),
}

_NORMAL = frozenset({"normal_clearing", "time_limit"})
"""Hangup causes that do not say whether the call was answered."""


def _telnyx(call: TelnyxCall, delivered: Set[tuple[str, int]]) -> ExpectedCall:
    key = call.key
    events: list[ExpectedEvent] = []
    alerts: list[ExpectedAlert] = []
    said = {index for source, index in delivered if source == "telnyx_webhook"}
    for index, row in enumerate(call.log):
        if ("telnyx_call_event", index) not in delivered:
            continue
        family = "request_log" if row.event is None else "delivery"
        event = ExpectedEvent(_telnyx_id(call, "telnyx_call_event", index), key, family, row.name)
        events.append(event)
        if row.event is not None:
            said.add(row.event)
        if row.failed:
            alerts.append(_failing(call, webhook_url(call), event.id))
    for index, sent in enumerate(call.deliveries):
        if ("telnyx_webhook_delivery", index) in delivered:
            id_ = _telnyx_id(call, "telnyx_webhook_delivery", index)
            events.append(ExpectedEvent(id_, key, "delivery", call.events[sent.event].name))
    names = {call.events[index].name for index in said}
    status, outcome = _telnyx_end(call, names)
    for index in sorted(said):
        webhook, id_ = call.events[index], _webhook_id(call, index)
        if webhook.name in _TELNYX_PROGRESS:
            events.append(ExpectedEvent(id_, key, "progress", *_TELNYX_PROGRESS[webhook.name]))
        elif webhook.name == "call.hangup":
            said_status = "completed" if call.leg.ending.cause in _NORMAL else call.leg.ending.status
            events.append(ExpectedEvent(id_, key, "progress", "completed", said_status))
        else:
            events.append(ExpectedEvent(id_, key, _telnyx_family(webhook.name), webhook.name))
        if webhook.name.endswith(".error"):
            alerts.append(ExpectedAlert("call.error_event", key, id_))
    if status == "failed":
        alerts.append(ExpectedAlert("call.failed", key, None))
    return ExpectedCall(key, events, status, outcome, alerts)


def _telnyx_family(name: str) -> str:
    if name in _TELNYX_PROGRESS or name == "call.hangup":
        return "progress"
    return "recording" if name.startswith("call.recording.") else "other"


def _telnyx_end(call: TelnyxCall, names: set[str]) -> tuple[str | None, str | None]:
    """Status and outcome. Without an answer event, a normal hangup ends an unanswered call."""
    if "call.hangup" not in names:
        return None, None
    ending = call.leg.ending
    if ending.status == "completed":
        return ("completed", "answered") if "call.answered" in names else ("no-answer", "no_answer")
    outcome = "rejected" if ending.cause == "call_rejected" else OUTCOME_OF[ending.status]
    return ending.status, outcome
