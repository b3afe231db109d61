"""A row of Telnyx' call_events: one command sent to Telnyx, or one webhook sent by Telnyx.

A webhook's row has two parts: the delivery and whether the application accepted it (the row itself, which has
no id), and the event (`metadata.event`, under the webhook's id). `metadata` has no schema and may be empty.
"""

from __future__ import annotations

import re
from typing import Any

from stream.core.delivery.audit import sent_of
from stream.core.events import DecodeError, Envelope, Event, Reading, WebhookAnswer
from stream.core.identity import content_hash
from stream.core.sources import TELNYX_CALL_EVENT
from stream.sources import fields, redaction
from stream.sources.telnyx import webhook
from stream.sources.telnyx.webhook_delivery import delivery_identity

_VOLATILE = frozenset({"attempt", "status"})
"""Fields that change while the webhook is being delivered. They are not part of the row's identity."""

_TOKEN = re.compile(r"\b(?:D\d{1,2}|P\d{2}|PE\d|TM1|TV1|RG1|B3)\b")
"""The codes that stand within Telnyx' error texts."""

_CODE_LIMIT = 16

_FAMILIES = {"webhook": "delivery", "command": "request_log"}


def decode(envelope: Envelope) -> list[Reading]:
    fields.check_depth(envelope.body)
    row = envelope.body
    metadata = row.get("metadata")
    if metadata is not None and type(metadata) is not dict:
        raise DecodeError("invalid_field", "metadata is not an object")
    metadata = metadata or {}
    inner = metadata.get("event") if webhook.is_event(metadata.get("event")) else metadata

    leg_id = fields.identifier(row.get("call_leg_id"), "call_leg_id")
    session_id = fields.lenient_identifier(row.get("call_session_id"))
    account = envelope.account or fields.lenient_identifier(metadata.get("organization_id"))
    observed = webhook.observed_in(inner, account, TELNYX_CALL_EVENT, leg_id, session_id)
    if leg_id is not None:
        key = f"telnyx:{leg_id}"
    elif observed is not None:
        key = observed.event.key
        leg_id = observed.event.leg_id
    else:
        raise DecodeError("missing_id", "call_leg_id is missing")

    attributes: dict[str, Any] = redaction.without_secrets(row)
    if observed is not None:
        attributes["metadata"] = {
            name: value
            for name, value in attributes["metadata"].items()
            if name not in ("event", "event_type", "id", "occurred_at", "payload")
        }
    attributes.pop("call_leg_id", None)
    if session_id is not None:
        del attributes["call_session_id"]
    field = "event_timestamp" if "event_timestamp" in row else "occurred_at"
    occurred_us, occurred_at, quality = fields.iso8601_stamp(row.get(field))
    if occurred_us is not None:
        del attributes[field]
    kind = row.get("type")
    event = Event(
        key=key,
        provider="telnyx",
        account=account,
        call_id=leg_id,
        session_id=session_id,
        leg_id=leg_id,
        source=TELNYX_CALL_EVENT,
        family=_FAMILIES.get(kind, "other") if type(kind) is str else "other",
        name=fields.word(attributes, "name") or "unknown",
        occurred_at=occurred_at,
        occurred_at_quality=quality,
        attributes=attributes,
    )
    delivered_to = metadata.get("delivered_to")
    endpoint = redaction.bare_web_url(delivered_to) if type(delivered_to) is str else None
    answer = _answer(metadata, endpoint) if kind == "webhook" else None
    if kind == "webhook" and (parts := delivery_identity(observed, endpoint)):
        own = Reading(event, "2", parts, occurred_us, answer=answer)
    else:
        stable = {name: value for name, value in metadata.items() if name not in _VOLATILE}
        identity = (content_hash({**row, "metadata": stable}), envelope.ordinal)
        own = Reading(event, "4", identity, occurred_us, answer=answer)
    own.evidence = _evidence(row, metadata)
    # An event of another leg is left out: the state of that call may be in another partition.
    if observed is None or observed.event.key != key:
        return [own]
    own.sent = sent_of(observed, answer)
    return [own, observed]


def _evidence(row: dict[str, Any], metadata: dict[str, Any]) -> tuple[tuple[str, str], ...]:
    """What a row says of why the call ended: a command, its errors, or a webhook that was not delivered."""
    kind, name = row.get("type"), row.get("name")
    if kind == "webhook":
        return webhook.lost(name) if metadata.get("status") == "failed" else ()
    if kind != "command":
        return ()
    errors = metadata.get("errors")
    found = [said for error in (errors if type(errors) is list else ()) for said in _of_error(error)]
    if not found and name != "dial":  # a command that was refused did nothing, and a dial ends no call
        found = [("command", name if name in ("hangup", "reject") else "other")]
    return tuple(found)


def _of_error(error: Any) -> list[tuple[str, str]]:
    """What an error says: the code within its text is more precise than its own."""
    error = fields.object_in(error)
    detail = error.get("detail")
    tokens = _TOKEN.findall(detail) if type(detail) is str else []
    if tokens:
        return [("error_text", token) for token in tokens]
    code = fields.error_code(error.get("code"))
    return [("error_code", code)] if code is not None and code.isdigit() and len(code) < _CODE_LIMIT else []


def _answer(metadata: dict[str, Any], endpoint: str | None) -> WebhookAnswer | None:
    """Telnyx reports whether the delivery succeeded, not the response."""
    code_class = {"delivered": "2xx", "failed": "none"}.get(str(metadata.get("status")))
    if endpoint is None or code_class is None:
        return None
    return WebhookAnswer(
        endpoint=endpoint,
        method=None,
        response_code=None,
        duration_s=None,
        code_class=code_class,
        attempts=fields.whole_number(metadata.get("attempt")),
    )
