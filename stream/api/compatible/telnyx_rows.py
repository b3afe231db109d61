"""Rows of Telnyx' `call_events`, from what the archive keeps of a leg. Pure.

A row of the log is an event of its own, and the webhook that it tells of another one. A webhook that has come
and is not in the log yet is a row too: who delivered it, and when, is null then.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from typing import Any

from stream.core.sources import TELNYX_CALL_EVENT, TELNYX_WEBHOOK
from stream.provider_api.http_types import Row

ArchivedEvent = Mapping[str, Any]

_DELIVERY = "telnyx_webhook_delivery"
_OF_WEBHOOKS = (TELNYX_WEBHOOK, TELNYX_CALL_EVENT, _DELIVERY)
_OF_THE_LOG = ("delivery", "request_log")
_NOT_DELIVERED: Row = {"attempt": None, "delivered_to": None, "status": None}


def log_rows(events: Sequence[ArchivedEvent]) -> list[Row]:
    """The rows of one leg's log, unordered."""
    logged = [one for one in events if _is_logged(one)]
    deliveries = [one for one in events if one["source"] == _DELIVERY and one["family"] == "delivery"]
    webhooks = [
        one
        for one in events
        if one["source"] in _OF_WEBHOOKS and one["family"] != "delivery" and not _is_logged(one)
    ]
    of_time = _unique((_type(one), one["occurred_at"]) for one in webhooks)
    of_name = _unique(_type(one) for one in webhooks)
    by_time = {place: one for one in webhooks if (place := (_type(one), one["occurred_at"])) in of_time}
    found = [_logged_row(one, by_time.get((_type(one), one["occurred_at"]))) for one in logged]
    told = {(_type(one), one["occurred_at"]) for one in logged}
    delivered = {_type(one): one for one in deliveries if _type(one) in of_name}
    new = [one for one in webhooks if (_type(one), one["occurred_at"]) not in told]
    return found + [_webhook_row(one, delivered.get(_type(one))) for one in new]


def _is_logged(event: ArchivedEvent) -> bool:
    """Whether an event is a row of the log, not the webhook in it."""
    if event["source"] != TELNYX_CALL_EVENT:
        return False
    return event["family"] in _OF_THE_LOG or event["attributes"].get("record_type") == "call_event"


def _unique(values: Any) -> set[Any]:
    return {value for value, count in Counter(values).items() if count == 1}


def _type(event: ArchivedEvent) -> str:
    """The name of an event as Telnyx has it."""
    said: str = event["attributes"].get("event_type") or event["name"]
    return said


def _logged_row(event: ArchivedEvent, webhook: ArchivedEvent | None) -> Row:
    said = event["attributes"]
    metadata = {**(said.get("metadata") or {})}
    if webhook is not None:
        metadata["event"] = _event_in(webhook)
    return {
        **said,
        "record_type": said.get("record_type", "call_event"),
        "call_leg_id": event["leg_id"],
        "call_session_id": event["session_id"],
        "event_timestamp": said.get("event_timestamp") or event["occurred_at"],
        "name": said.get("name", event["name"]),
        "type": said.get("type"),
        "metadata": metadata,
    }


def _webhook_row(webhook: ArchivedEvent, delivery: ArchivedEvent | None) -> Row:
    """`delivery`: what Telnyx' log of deliveries says of it."""
    metadata = {**_NOT_DELIVERED}
    if delivery is not None:
        attempts = delivery["attributes"].get("attempts")
        metadata["status"] = delivery["attributes"].get("status")
        metadata["attempt"] = len(attempts) if isinstance(attempts, list) else None
    return {
        "record_type": "call_event",
        "call_leg_id": webhook["leg_id"],
        "call_session_id": webhook["session_id"],
        "event_timestamp": webhook["occurred_at"],
        "name": _type(webhook),
        "type": "webhook",
        "metadata": {**metadata, "event": _event_in(webhook)},
    }


def _event_in(webhook: ArchivedEvent) -> Row:
    """The event within a row. Its id is not kept: it is null."""
    payload = {name: said for name, said in webhook["attributes"].items() if name != "event_type"}
    code = webhook["sip_response_code"]
    return {
        "record_type": "event",
        "event_type": _type(webhook),
        "id": None,
        "occurred_at": webhook["occurred_at"],
        "payload": {
            **payload,
            "call_leg_id": webhook["leg_id"],
            "call_session_id": webhook["session_id"],
            **({} if code is None else {"sip_hangup_cause": str(code)}),
        },
    }
