"""What must come out of a run: events, final states, alerts, derived from the calls themselves.

It knows what took place and what was delivered, and uses no decoder. A row that a provider holds in the end
counts as delivered, because a poller finds it. A row that a provider held for a while may have been read: its
outputs are possible.
"""

from __future__ import annotations

from collections.abc import Iterator, Set
from typing import Any, NamedTuple

from stream.provider_api.time_formats import iso_us
from stream.simulator.calls.call import SimulatedCall
from stream.simulator.calls.options import ERROR_SOURCES, EVENT_STREAM, SENT_SOURCES
from stream.simulator.calls.scenario import SECOND_US
from stream.simulator.check.event_ids import TELNYX_PROGRESS, event_id_of, telnyx_family
from stream.simulator.check.expected_call import CallOutputs, ExpectedCall, to_second
from stream.simulator.check.fault_truth import telnyx_fault, texml_fault, twilio_fault
from stream.simulator.telnyx.call import TelnyxCall
from stream.simulator.telnyx.delivery_log import webhook_url
from stream.simulator.telnyx.texml_call import TexmlCall
from stream.simulator.twilio.call import SIDE_SOURCES, TwilioCall
from stream.simulator.twilio.callbacks import EVENT_OF_STATUS, StatusCallback
from stream.simulator.twilio.conference import TwilioConference
from stream.simulator.twilio.error_log import ERROR
from stream.simulator.twilio.request_log import API_URL, LoggedRequest
from stream.simulator.twilio.side_callbacks import CONFERENCE, RECORDING
from stream.simulator.twilio.voice_insights import COMPLETE

OUTCOME_OF = {
    "completed": "answered",
    "busy": "busy",
    "no-answer": "no_answer",
    "canceled": "canceled",
    "failed": "failed",
}

_ANSWERED = frozenset({"in-progress", "completed"})


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


def _twilio(call: TwilioCall, delivered: Set[tuple[str, int]]) -> ExpectedCall:
    streamed = {call.streamed[number] for source, number in delivered if source == EVENT_STREAM}
    found = CallOutputs(call, {*delivered, *((told.source, told.number) for told in streamed)})
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
        _progress(found, ("twilio_status_callback", step), sent, call.parent)
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
        found.event(
            report,
            "insights",
            insight.name,
            error=insight.level == "ERROR",
            level=insight.level and insight.level.lower(),
            edge=insight.edge,
            occurred_at=to_second(iso_us(insight.at_us)),
        )
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
    coded = len(call.callbacks) - 1 in said or COMPLETE in found.numbers("twilio_call_summary")
    ended = found.ended(
        end,
        outcome,
        directed=directed,
        parent=call.parent,
        fault=fault,
        recordings={call.sides[n].identity[0] for n in sides if call.sides[n].source == RECORDING},
        sip_response_code=call.leg.ending.sip if coded else None,
        **_measured(call, outcome),
    )
    answered = directed and not _ANSWERED.isdisjoint(statuses | rows.keys())
    return ended._replace(won_over=call.rivals) if answered else ended


def _conference(call: TwilioConference, delivered: Set[tuple[str, int]]) -> ExpectedCall:
    """Its own events. They are of no call, so nothing follows from them."""
    found = CallOutputs(call, delivered)
    for number in found.numbers(CONFERENCE):
        name, sequence_number, _ = call.steps[number]
        found.event((CONFERENCE, number), "conference", name, None, sequence_number, call_id=None)
    return ExpectedCall(call.key, found.events, None, None, [], [])


def _texml(call: TexmlCall, delivered: Set[tuple[str, int]]) -> ExpectedCall:
    found = CallOutputs(call, delivered)
    statuses = set()
    for step in found.numbers("telnyx_texml_callback"):
        sent = call.callbacks[step]
        statuses.add(sent.status)
        _progress(found, ("telnyx_texml_callback", step), sent, call.parent)
    end = call.leg.ending.status if call.leg.ending.status in statuses else None
    leg_id = call.leg_id if end else None
    outcome = OUTCOME_OF[end] if end else None
    fault = texml_fault(call, end, found.numbers("telnyx_texml_callback")) if end else None
    return found.ended(
        end,
        outcome,
        directed=statuses,
        leg_id=leg_id,
        parent=call.parent,
        fault=fault,
        sip_response_code=call.leg.ending.sip,
        **_measured(call, outcome),
    )


def _progress(found: CallOutputs, report: tuple[str, int], sent: StatusCallback, parent: str | None) -> None:
    """Expect the event of a status callback."""
    name, at_us = EVENT_OF_STATUS[sent.status], sent.at_us
    occurred_at = to_second(iso_us(at_us))
    found.event(
        report, "progress", name, sent.status, sent.number, parent_call_id=parent, occurred_at=occurred_at
    )


def _measured(call: SimulatedCall, outcome: str | None) -> dict[str, Any]:
    """What a record says of time, where the provider tells of it in whole seconds."""
    leg = call.leg
    duration_s = leg.talk_s if outcome == "answered" else None
    return {"duration_s": duration_s, "ended_at": to_second(iso_us(leg.ended_us))}


_NORMAL = frozenset({"normal_clearing", "time_limit"})
"""Hangup causes that do not say whether the call was answered."""


def _telnyx(call: TelnyxCall, delivered: Set[tuple[str, int]]) -> ExpectedCall:
    found = CallOutputs(call, delivered)
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
    at_us: dict[str, int] = {}
    status: str | None
    for index in sorted(said):
        name = call.events[index].name
        at_us[name] = call.events[index].at_us
        known, status = TELNYX_PROGRESS.get(name, (name, None))
        if name == "call.hangup":
            known = "completed"
            status = known if call.leg.ending.cause in _NORMAL else call.leg.ending.status
        found.event(
            ("telnyx_webhook", index),
            telnyx_family(name),
            known,
            status,
            error=name.endswith(".error"),
            occurred_at=to_second(iso_us(at_us[name])),
            session_id=call.session,
        )
    ending = call.leg.ending
    status = ending.status
    outcome: str | None = "rejected" if ending.cause == "call_rejected" else OUTCOME_OF[ending.status]
    if "call.hangup" not in at_us:
        status = outcome = None
    elif status == "completed" and "call.answered" not in at_us:
        # A normal hangup without an answer ends it unanswered.
        status, outcome = "no-answer", "no_answer"
    fault = telnyx_fault(call, set(at_us), found.numbers) if outcome not in (None, "answered") else None
    ended_us = at_us.get("call.hangup", 0)
    talk_s = (ended_us - at_us["call.answered"]) / SECOND_US if outcome == "answered" else None
    return found.ended(
        status,
        outcome,
        directed="call.initiated" in at_us,
        leg_id=call.id,
        fault=fault,
        recordings=_recordings(call, said),
        sip_response_code=ending.sip,
        duration_s=talk_s,
        ended_at=to_second(iso_us(ended_us)),
    )


def _recordings(call: TelnyxCall, told: Set[int]) -> Iterator[str]:
    """The ids of recordings. One that failed has none of its own: it has that of the event that says so."""
    for event in map(call.events.__getitem__, told):
        if telnyx_family(event.name) == "recording":
            yield event.extra.get("recording_id", event.id)
