"""What the routes answer, as types: the OpenAPI document is made from them.

Records, events and alerts are sent as they are kept. Their schemas are the published ones of
`stream/contracts`, which `stream/api/document.py` puts in the place of those that Litestar makes.
"""

from __future__ import annotations

from typing import Annotated, Any, cast

import msgspec
from msgspec import Meta

from stream.api.access.caller import Caller
from stream.api.numbers import audit, shown
from stream.archive.questions import CallHistory, MinuteCount, RecordPage, StoredCall
from stream.core.alerting.alert import Alert
from stream.core.call.record import CallRecord
from stream.core.events import Event
from stream.timeline.call_timeline import CallTimeline
from stream.timeline.timeline_of import timeline_of

Following = Annotated[str | None, Meta(description="The `after` of the next page; null on the last one.")]


class CallList(msgspec.Struct):
    """Calls, newest first."""

    items: list[StoredCall]
    next: Following


class FoundCalls(msgspec.Struct):
    """Calls whose id contains what was asked for, newest first."""

    keys: list[str]


class CallsByMinute(msgspec.Struct):
    """How many calls began in each minute, by outcome; minutes without calls are left out."""

    items: list[MinuteCount]


class CallAnswer(msgspec.Struct):
    """All that is kept of one call."""

    call: StoredCall
    record: Annotated[CallRecord | None, Meta(description="Null while the call has not ended.")]
    events: list[Event]
    alerts: list[Alert]
    more_events: Annotated[bool, Meta(description="There are more events than these, under `/events`.")]
    timeline: CallTimeline


class EventList(msgspec.Struct):
    """Events of a call, in the order of its timeline."""

    items: list[Event]
    next: Following


class AlertList(msgspec.Struct):
    """Alerts, newest first: of each episode the latest revision."""

    items: list[Alert]
    next: Following


def call_answer(history: CallHistory, caller: Caller) -> CallAnswer:
    """A call as this caller may see it. Its timeline is made of what is shown."""
    record = None if history.record is None else shown(history.record, caller)
    events = [shown(one, caller) for one in history.events]
    alerts = [shown(one, caller) for one in history.alerts]
    return CallAnswer(
        call=history.call,
        record=cast("CallRecord | None", record),
        events=cast("list[Event]", events),
        alerts=cast("list[Alert]", alerts),
        more_events=history.more_events,
        timeline=timeline_of(record, events, alerts),
    )


def event_list(page: RecordPage, caller: Caller) -> EventList:
    """Events as this caller may see them; who reads numbers is logged."""
    audit(caller, ((str(one["key"]), one) for one in page.items))
    return EventList(cast("list[Event]", _shown(page, caller)), page.next)


def alert_list(page: RecordPage, caller: Caller) -> AlertList:
    """The same of alerts."""
    audit(caller, ((str(one["scope"]["id"]), one) for one in page.items))
    return AlertList(cast("list[Alert]", _shown(page, caller)), page.next)


def _shown(page: RecordPage, caller: Caller) -> list[dict[str, Any]]:
    return [shown(one, caller) for one in page.items]
