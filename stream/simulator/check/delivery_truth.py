"""Which callbacks of a call were lost, and what its record must say of them: gaps that a log healed, and the
audit of what the log says was sent. Derived from what took place and what arrived.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Set
from typing import Any, NamedTuple

from stream.simulator.calls.call import SimulatedCall
from stream.simulator.calls.options import EVENT_STREAM, SENT_SOURCES
from stream.simulator.telnyx.call import TelnyxCall
from stream.simulator.telnyx.delivery_log import webhook_url
from stream.simulator.twilio.call import TwilioCall
from stream.simulator.twilio.callbacks import EVENT_OF_STATUS

STATUS_CALLBACK, WEBHOOK = "twilio_status_callback", "telnyx_webhook"
TELNYX_STEPS = {"call.initiated": "initiated", "call.answered": "answered", "call.hangup": "completed"}
_AUDITED_SIDES = frozenset({"recording", "amd"})
"""Families of callbacks beside those of progress that are known by their ids in the log, too."""


class SimulatedDelivery(NamedTuple):
    """A callback in the provider's log. `name`, `number`: of its event; `step`: of progress.

    `refused`: it was answered with an error; `came`: it arrived here.
    """

    name: str
    number: int | None
    step: bool
    url: str
    refused: bool
    came: bool


class DeliveryTruth(NamedTuple):
    """What a record must say: (number, name) of the healed gaps; (name, number, result) of the audit."""

    healed: frozenset[tuple[int | None, str]]
    audited: frozenset[tuple[str, int | None, str]]

    def __str__(self) -> str:
        gaps = sorted(_words(name, number) for number, name in self.healed)
        audit = sorted(f"{_words(name, number)} {result}" for name, number, result in self.audited)
        return f"[gaps: {', '.join(gaps) or 'none'}; audit: {', '.join(audit) or 'none'}]"


def _words(name: str, number: int | None) -> str:
    return name if number is None else f"{name} {number}"


def truth_of(call: SimulatedCall, delivered: Set[tuple[str, int]]) -> DeliveryTruth | None:
    """None where it cannot be told: the log was not read as a whole, or a callback may have arrived, or an
    Event Stream tells of callbacks that did not.
    """
    told = call.delivered | call.maybe_delivered | delivered
    doubtful = {source for source, _ in call.maybe_delivered - delivered} & {*SENT_SOURCES}
    if doubtful or any(source == EVENT_STREAM for source, _ in told):
        return None
    if isinstance(call, TwilioCall):
        rows, source = len(call.requests), "twilio_call_event"
        sent, pushed = _twilio(call, delivered), STATUS_CALLBACK
    elif isinstance(call, TelnyxCall):
        rows, source = len(call.log), "telnyx_call_event"
        sent, pushed = _telnyx(call, delivered), WEBHOOK
    else:
        return None
    if not rows or any((source, n) not in delivered for n in range(rows)):
        return None
    deliveries = list(sent)
    healed: frozenset[tuple[int | None, str]] = frozenset()
    if any(name == pushed for name, _ in delivered):
        healed = frozenset((one.number, one.name) for one in deliveries if one.step and not one.came)
    return DeliveryTruth(healed, frozenset(_audited(deliveries)))


def _twilio(call: TwilioCall, delivered: Set[tuple[str, int]]) -> Iterator[SimulatedDelivery]:
    for request in call.requests:
        refused, url = request.answer >= 400, request.url.partition("?")[0]
        if request.step is not None:
            sent = call.callbacks[request.step]
            came = (STATUS_CALLBACK, request.step) in delivered
            name = EVENT_OF_STATUS[sent.status]
            yield SimulatedDelivery(name, sent.number, sent.number is not None, url, refused, came)
        elif request.side is not None:
            side = call.sides[request.side]
            if side.family in _AUDITED_SIDES:
                came = (side.source, request.side) in delivered
                yield SimulatedDelivery(side.name, None, False, url, refused, came)


def _telnyx(call: TelnyxCall, delivered: Set[tuple[str, int]]) -> Iterator[SimulatedDelivery]:
    for row in call.log:
        if row.event is not None:
            name = call.events[row.event].name
            came, url = (WEBHOOK, row.event) in delivered, webhook_url(call)
            step = name in TELNYX_STEPS
            yield SimulatedDelivery(TELNYX_STEPS.get(name, name), None, step, url, False, came)


def _audited(sent: list[SimulatedDelivery]) -> Iterator[tuple[str, int | None, str]]:
    leads_here = {one.url for one in sent if one.came}
    for one in sent:
        if not one.came and (one.refused or one.url in leads_here):
            yield one.name, one.number, "refused_by_application" if one.refused else "missing"


def said_of(record: dict[str, Any]) -> DeliveryTruth:
    """What a record says. Gaps that are still open are in it too: none is where the log was read. What came
    late depends on time.
    """
    gaps: Iterable[dict[str, Any]] = record["gaps"]
    return DeliveryTruth(
        frozenset(
            (gap["sequence_number"], gap["name"] if gap["state"] == "closed" else "open")
            for gap in gaps
            if gap["closed_by"] != "late_arrival"
        ),
        frozenset(
            (one["name"], one["sequence_number"], one["result"])
            for one in record["delivery_audit"]
            if one["result"] != "late"
        ),
    )
