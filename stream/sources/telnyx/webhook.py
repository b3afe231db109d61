"""Telnyx' webhook: a JSON event with its own id, sent at least once, unordered, without sequence numbers.

Version 2 wraps it in `data`; version 1 and `conference.floor.changed` do not; a GET carries its fields as
query parameters. `meta` (attempt, delivered_to) describes the delivery, not the event. An event of version 1
has the name that it has in version 2, and its own in `event_type`.
A hangup's cause does not show whether the call was answered, so its final status is derived from the call.
"""

from __future__ import annotations

from decimal import Decimal
from typing import Any

from stream.core.events import DecodeError, Envelope, Event, Reading, Recording
from stream.core.identity import content_hash
from stream.core.sources import TELNYX_WEBHOOK
from stream.core.statuses import HANGUPS
from stream.sources import fields, redaction

_STEPS = {
    "call.initiated": ("initiated", "initiated"),
    "call.ringing": ("ringing", "ringing"),
    "call.answered": ("answered", "in-progress"),
    "call.hangup": ("completed", "completed"),
}
"""(name, status) of call progress events. A hangup's status depends on its cause."""

_FAMILIES = (
    ("call.recording.transcription", "transcription"),
    ("call.recording", "recording"),
    ("call.machine", "amd"),
    ("call.transcription", "transcription"),
    ("conference.", "conference"),
    ("streaming.", "media"),
    ("siprec.", "media"),
    ("call.fork", "media"),
    ("call.playback", "media"),
    ("call.speak", "media"),
)
"""Families by prefix of the event's name: the first match, else `other`."""

_FIRST_WORDS = {"call", "conference", "streaming", "siprec", "unknown"}
"""Of the names in version 2. Version 1 leaves out `call` where it may."""

_UNDERSCORED = {
    name.replace("_", "."): name
    for name in (
        *("call.ai_gather.ended", "call.ai_gather.partial_results", "call.ai_gather.message_history_updated"),
        *("call.conversation.start_failed", "call.conversation_insights.generated"),
        *("call.deepfake_detection.result", "call.deepfake_detection.error"),
        "call.machine.premium.call_screening.detected",
    )
}
"""Names in version 2 that have underscores."""

_DETECTED = {"call.machine.detection.ended", "call.machine.premium.detection.ended"}
"""The events whose `result` is who answered. A greeting's result is how the greeting ended."""

_ALARMING = (".error", ".failed", "_failed")
_OF_THE_RECORD = frozenset(
    {"record_type", "event_type", "id", "webhook_id", "occurred_at", "created_at", "meta", "payload"}
)
_OF_A_PAYMENT = frozenset(
    {"call_leg_id", "call_session_id", "connection_id", "from", "to", "occurred_at", "status"}
)
"""The only fields of `call.payment.*` that are kept: the rest is card and bank data."""


def decode(envelope: Envelope) -> list[Reading]:
    fields.check_depth(envelope.body)
    record = envelope.body.get("data")
    if record is None:
        record = envelope.body
    return [reading_of(_parsed(record, "data"), envelope.account, TELNYX_WEBHOOK)]


def reading_of(
    record: dict[str, Any],
    account: str | None,
    source: str,
    leg_id: str | None = None,
    session_id: str | None = None,
) -> Reading:
    """The reading of one event, whatever its source. `leg_id`, `session_id`: used if the event has none."""
    event_type = _event_type(record)
    dotted = event_type if "." in event_type else _dotted(event_type)
    payload = _payload(record, dotted)

    leg_id = fields.identifier(payload.pop("call_leg_id", None), "call_leg_id") or leg_id
    if session := fields.lenient_identifier(payload.get("call_session_id")):
        session_id = session
        del payload["call_session_id"]
    key = fields.telnyx_key(leg_id, payload)
    event_id = fields.identifier(record.get("id"), "id") or fields.identifier(
        record.get("webhook_id"), "webhook_id"
    )
    occurred_us, occurred_at, quality = _stamp(record, payload)

    step = _STEPS.get(dotted)
    name, status = step if step is not None else (dotted[: fields.WORD_LIMIT], None)
    if name != event_type:
        payload["event_type"] = event_type
    outcome = cause = None
    if dotted == "call.hangup":
        said = payload.get("hangup_cause")
        # Empty if there is none. The call has ended in any case.
        cause = said[: fields.WORD_LIMIT].lower() if type(said) is str else ""
        status, outcome = HANGUPS.get(cause, ("completed", None))
    sip_response_code = fields.sip_response_code(payload.get("sip_hangup_cause"))
    if sip_response_code is not None:
        del payload["sip_hangup_cause"]

    family = "progress"
    if step is None:
        family = next((family for prefix, family in _FAMILIES if dotted.startswith(prefix)), "other")
    event = Event(
        key=key,
        provider="telnyx",
        account=account,
        call_id=leg_id,
        session_id=session_id,
        leg_id=leg_id,
        source=source,
        family=family,
        name=name,
        status=status,
        outcome=outcome,
        occurred_at=occurred_at,
        occurred_at_quality=quality,
        sip_response_code=sip_response_code,
        attributes=payload,
    )
    recording = _recording(payload, event_id, dotted) if family == "recording" else None
    if recording is not None:
        event.duration_s = recording.duration_s
    by = payload.get("hangup_source") if cause is not None else None
    identity_rule, parts = _identity(event_id, event, occurred_us, record)
    return Reading(
        event,
        identity_rule,
        parts,
        occurred_us,
        _facts(payload, leg_id, session_id, dotted),
        hangup=cause,
        recording=recording,
        alarming=dotted.endswith(_ALARMING) or payload.get("status") == "error",
        evidence=(("disconnected_by", by),) if by in ("caller", "callee") else (),
    )


def observed_in(
    record: Any, account: str | None, source: str, leg_id: str | None = None, session_id: str | None = None
) -> Reading | None:
    """The event inside a row of a log; None if it cannot be read, so that the row itself is kept."""
    if not is_event(record):
        return None
    try:
        return reading_of(record, account, source, leg_id, session_id)
    except DecodeError:
        return None


def lost(name: Any) -> tuple[tuple[str, str], ...]:
    """Without the webhook of an incoming call, the application never knew of it."""
    return (("delivery", "call.initiated"),) if name in ("call.initiated", "call_initiated") else ()


def is_event(value: Any) -> bool:
    return type(value) is dict and "event_type" in value


def _parsed(value: Any, name: str) -> dict[str, Any]:
    """An object, or the JSON text of one (in a GET)."""
    value = fields.parsed_json(value, name)
    if type(value) is not dict:
        raise DecodeError("invalid_field", f"{name} is not an object")
    return value


def _dotted(event_type: str) -> str:
    """The name in version 2 of one in version 1 (`call_answered`, `recording_saved`, `dtmf`)."""
    dotted = event_type.replace("_", ".")
    dotted = dotted if dotted.partition(".")[0] in _FIRST_WORDS else f"call.{dotted}"
    return _UNDERSCORED.get(dotted, dotted)


def _event_type(record: dict[str, Any]) -> str:
    event_type = record.get("event_type")
    if event_type is None or event_type == "":
        return "unknown"
    if type(event_type) is not str:
        raise DecodeError("invalid_field", "event_type is not a text")
    return event_type


def _payload(record: dict[str, Any], dotted: str) -> dict[str, Any]:
    payload = record.get("payload")
    if payload is None:
        payload = {name: value for name, value in record.items() if name not in _OF_THE_RECORD}
    payload = _parsed(payload, "payload")
    if dotted.startswith("call.payment"):
        payload = {name: value for name, value in payload.items() if name in _OF_A_PAYMENT}
    kept: dict[str, Any] = redaction.without_secrets(payload)
    return kept


def _stamp(record: dict[str, Any], payload: dict[str, Any]) -> fields.Stamp:
    """`occurred_at` of the event, else of its payload (conferences), else `created_at` (version 1)."""
    for raw in (record.get("occurred_at"), payload.get("occurred_at"), record.get("created_at")):
        stamp = fields.iso8601_stamp(raw)
        if stamp[0] is not None:
            if raw == payload.get("occurred_at"):
                del payload["occurred_at"]
            return stamp
    raw = record.get("occurred_at") or record.get("created_at")
    if raw is not None:
        payload.setdefault("occurred_at", redaction.without_secrets(raw))
    return fields.NO_STAMP


def _identity(
    event_id: str | None, event: Event, occurred_us: int | None, record: dict[str, Any]
) -> tuple[str, tuple[Any, ...]]:
    if event_id is not None:
        return "2", (event_id,)
    if event.family == "progress":
        return "1b", (event.status, occurred_us)
    return "4", (content_hash({name: value for name, value in record.items() if name != "meta"}), 0)


def _facts(
    payload: dict[str, Any], leg_id: str | None, session_id: str | None, dotted: str
) -> dict[str, str]:
    cost_parts = payload.get("cost_parts")
    first_part = cost_parts[0] if type(cost_parts) is list and cost_parts else None
    said = {
        "from": fields.text(payload.get("from")),
        "to": fields.text(payload.get("to")),
        "direction_detail": fields.text(payload.get("direction")),
        "session_id": session_id,
        "leg_id": leg_id,
        "stir_attestation": fields.ATTESTATIONS.get(fields.text(payload.get("shaken_stir_attestation"))),
    }
    if dotted in _DETECTED:
        said["answered_by"] = fields.text(payload.get("result"))
    if dotted == "call.cost":
        cost = payload.get("total_cost")
        # A number is written out: `str` makes 1e-05 of a small one.
        said["price"] = fields.text(f"{Decimal(str(cost)):f}" if type(cost) in (int, float) else cost)
        said["price_unit"] = fields.text(first_part.get("currency")) if type(first_part) is dict else None
    return {name: value for name, value in said.items() if value}


def _recording(payload: dict[str, Any], event_id: str | None, dotted: str) -> Recording | None:
    """`call.recording.saved` has no status: the last word of its name is used."""
    recording_id = fields.lenient_identifier(payload.get("recording_id")) or event_id
    if recording_id is None:
        return None
    started_us = fields.iso8601_stamp(payload.get("recording_started_at"))[0]
    ended_us = fields.iso8601_stamp(payload.get("recording_ended_at"))[0]
    duration_s = None
    if started_us is not None and ended_us is not None and ended_us >= started_us:
        duration_s = (ended_us - started_us) / 1_000_000
    return Recording(recording_id, dotted.rpartition(".")[2][: fields.WORD_LIMIT], duration_s)
