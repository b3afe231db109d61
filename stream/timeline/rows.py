"""The rows of a call's timeline: from the record's items and events, its gaps, its audit and its alerts."""

from __future__ import annotations

import re
from typing import Any

import msgspec

from stream.core.delivery.audit import AuditedCallback
from stream.core.sources import SOURCE_BY_NAME
from stream.core.statuses import NAMES
from stream.core.timestamps import SECOND_US, iso8601
from stream.timeline.call_timeline import (
    APPLICATION,
    CALLSTREAM,
    PROVIDER,
    AlertNote,
    Arrival,
    TimelineRow,
)
from stream.timeline.http_exchange import exchange_of
from stream.timeline.pairing import Said, pairs
from stream.timeline.wording import sentence_of

_LEVEL_OF = {"critical": "error", "warning": "warning", "info": "info"}
_LAST = 1 << 62
_PROGRESS = frozenset(NAMES.values())
_SENT_OR_TOLD = frozenset({"alert", "delivery", "request_log"})

_TELLING = {
    "hangup_cause": "",
    "hangup_source": "hung up by ",
    "HangupSource": "hung up by ",
    "AnsweredBy": "",
    "result": "",
}
"""Attributes that say why or who, and the words before them."""
_WORD = re.compile(r"[a-zA-Z][a-zA-Z_-]{1,39}")


def moment_us(text: Any) -> int | None:
    """A time of a record in microseconds since 1970, None without one."""
    return iso8601(text) if type(text) is str else None


def rows_of(
    record: Said | None, events: list[Said], alerts: list[Said], start_us: int | None
) -> list[TimelineRow]:
    """All rows in the order of their time. `start_us`: the call's start, None if no time is known at all."""
    rows = [_event_row(item, event) for item, event in pairs((record or {}).get("timeline") or [], events)]
    rows.sort(key=_sort_key)
    _tell_gaps(rows, _gaps(record, alerts))
    _tell_audit(rows, (record or {}).get("delivery_audit") or [])
    rows += [_alert_row(alert) for alert in alerts]
    _place(rows, start_us)
    for row in rows:
        row.text = sentence_of(row)
    return rows


def _event_row(item: Said | None, event: Said | None) -> TimelineRow:
    """`item`: the record's, which knows what all sources say; `event`: the delivery that was applied."""
    said, told = item or event or {}, event or {}
    seen_by = sorted(said.get("sources") or filter(None, [told.get("source")]))
    sender, receiver = _ends(said, told)
    return TimelineRow(
        kind="event",
        position_s=0.0,
        occurred_at=said.get("occurred_at"),
        occurred_at_quality=said.get("occurred_at_quality") or "unknown",
        received_at=told.get("received_at"),
        sender=sender,
        receiver=receiver,
        family=said.get("family") or "other",
        name=said.get("name") or "unknown",
        status=said.get("status"),
        level=said.get("level"),
        edge=said.get("edge"),
        group=told.get("group"),
        sequence_number=said.get("sequence_number"),
        source=told.get("source"),
        seen_by=seen_by,
        arrival=_arrival(seen_by, told),
        sip_response_code=told.get("sip_response_code"),
        error_code=told.get("error_code"),
        duration_s=told.get("duration_s"),
        exchange=exchange_of(told),
        event_id=told.get("id"),
        details=_details(told.get("attributes") or {}),
    )


def _details(attributes: Said) -> list[str]:
    """Words only: a provider may send anything under these names."""
    found = [(before, attributes.get(name)) for name, before in _TELLING.items()]
    return [f"{before}{word}" for before, word in found if type(word) is str and _WORD.fullmatch(word)]


def _ends(said: Said, told: Said) -> tuple[str, str]:
    """Who told whom."""
    family, name = said.get("family"), said.get("name")
    if family == "insights":
        return said.get("edge") or PROVIDER, PROVIDER
    if family == "request_log" and name != "webhook":
        return APPLICATION, PROVIDER
    if family in ("request_log", "delivery") or (name == "error_logged" and exchange_of(told) is not None):
        return PROVIDER, APPLICATION
    return PROVIDER, CALLSTREAM


def _arrival(seen_by: list[str], told: Said) -> Arrival:
    pushed = any(name in SOURCE_BY_NAME and not SOURCE_BY_NAME[name].polled for name in seen_by)
    if not pushed:
        return "read"
    return "late" if told.get("late") else "received"


def _alert_row(alert: Said) -> TimelineRow:
    reason, rule = alert.get("reason") or {}, (alert.get("rule") or {}).get("id") or "unknown"
    severity = alert.get("severity") or "info"
    webhook = alert.get("webhook") or {}
    return TimelineRow(
        kind="alert",
        position_s=0.0,
        occurred_at=alert.get("starts_at"),
        occurred_at_quality="derived",  # of the opening event, or of its receipt
        received_at=alert.get("detected_at"),
        sender=CALLSTREAM,
        receiver=CALLSTREAM,
        family="alert",
        name=rule,
        status=alert.get("state"),
        level=_LEVEL_OF.get(severity),
        sip_response_code=reason.get("sip_response_code"),
        error_code=reason.get("provider_error_code"),
        duration_s=webhook.get("duration_s"),
        alert=AlertNote(
            id=alert.get("id"),
            episode_id=alert.get("episode_id"),
            rule=rule,
            state=alert.get("state") or "unknown",
            severity=severity,
            text=reason.get("text") or reason.get("code") or "",
            help=reason.get("help"),
            ends_at=alert.get("ends_at"),
            links=alert.get("links") or {},
        ),
    )


# -- what did not come


def _gaps(record: Said | None, alerts: list[Said]) -> list[Said]:
    """Those of the record. Before a call has ended only its alert tells them: which numbers the provider does
    not send is known to the worker alone.
    """
    if record is not None:
        return record.get("gaps") or []
    return [
        {"sequence_number": number, "name": None, "state": "open", "closed_by": None}
        for alert in alerts
        if (alert.get("rule") or {}).get("id") == "delivery.gap" and alert.get("state") == "firing"
        for number in (alert.get("call") or {}).get("missing_sequence_numbers") or []
    ]


def _tell_gaps(rows: list[TimelineRow], gaps: list[Said]) -> None:
    for gap in gaps:
        number, name = gap.get("sequence_number"), gap.get("name")
        why = gap.get("closed_by") or gap.get("state") or "open"
        row = _callback_row(rows, number, name, None)
        if row is None:
            rows.insert(_place_of_missing(rows, number), _missing_row(number, name, None, why))
        elif why == "late_arrival":
            row.arrival = "late"
        else:
            row.arrival, row.missing_because = "never_came", why


def _tell_audit(rows: list[TimelineRow], audited: list[Said]) -> None:
    for one in audited:
        told = msgspec.convert(one, AuditedCallback)
        row = _callback_row(rows, told.sequence_number, told.name, told.status)
        if row is None:
            row = _missing_row(told.sequence_number, told.name, told.status, told.result)
            rows.insert(_place_of_missing(rows, told.sequence_number), row)
        row.audit = [*row.audit, told]
        if told.result == "missing" or (told.result == "refused_by_us" and row.arrival == "read"):
            row.arrival, row.missing_because = "never_came", told.result
        elif told.result == "late" and row.arrival == "received":
            row.arrival = "late"


def _callback_row(
    rows: list[TimelineRow], number: int | None, name: str | None, status: str | None
) -> TimelineRow | None:
    """The row of a callback: by its number, and its status where two callbacks have one number; without a
    number by its name, and of several the one that did not come. A conference numbers its callbacks, too.
    """
    of_call = name is None or name in _PROGRESS

    def is_it(row: TimelineRow) -> bool:
        if number is not None and row.sequence_number != number:
            return False
        if of_call:
            return row.family == "progress" and (number is not None or row.name == name)
        return row.name == name and row.family not in _SENT_OR_TOLD

    found = [row for row in rows if is_it(row)]
    exact = [row for row in found if status is not None and row.status == status]
    return min(exact or found, key=lambda row: row.arrival != "read", default=None)


def _missing_row(number: int | None, name: str | None, status: str | None, why: str) -> TimelineRow:
    return TimelineRow(
        kind="missing",
        position_s=0.0,
        sender=PROVIDER,
        receiver=CALLSTREAM,
        family="progress",
        name=name or "callback",
        status=status,
        sequence_number=number,
        arrival="never_came",
        missing_because=why,
    )


def _place_of_missing(rows: list[TimelineRow], number: int | None) -> int:
    """Behind the last callback with a lower number, else at the beginning."""
    if number is None:
        return 0
    lower = [
        place
        for place, row in enumerate(rows)
        if row.sequence_number is not None and row.family == "progress" and row.sequence_number < number
    ]
    return lower[-1] + 1 if lower else 0


# -- where each stands


def _sort_key(row: TimelineRow) -> tuple[int, int, int, str]:
    at_us = _own_us(row)
    number = row.sequence_number if row.sequence_number is not None else _LAST
    return (_LAST if at_us is None else at_us, number, moment_us(row.received_at) or _LAST, row.name)


def _own_us(row: TimelineRow) -> int | None:
    occurred_us = moment_us(row.occurred_at)
    return occurred_us if occurred_us is not None else moment_us(row.received_at)


def _place(rows: list[TimelineRow], start_us: int | None) -> None:
    """Set positions, offsets and delays, and sort. What has no time of its own keeps its place."""
    before_us: int | None = start_us
    positions: dict[int, int] = {}
    for row in rows:
        at_us = _own_us(row)
        # Alerts have been added behind the others and sort by their own time.
        before_us = at_us if at_us is not None else before_us
        positions[id(row)] = before_us if before_us is not None else 0
        occurred_us, received_us = moment_us(row.occurred_at), moment_us(row.received_at)
        if occurred_us is not None and start_us is not None:
            row.offset_s = (occurred_us - start_us) / SECOND_US
        if occurred_us is not None and received_us is not None and row.kind == "event":
            row.delay_s = (received_us - occurred_us) / SECOND_US
    rows.sort(key=lambda row: positions[id(row)])
    for row in rows:
        row.position_s = (positions[id(row)] - start_us) / SECOND_US if start_us is not None else 0.0
