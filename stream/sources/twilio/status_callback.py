"""Twilio's status callback: a form of PascalCase parameters, one for each step of a call.

Events are subscribed to by name (initiated, ringing, answered, completed); `CallStatus` says what happened: a
busy call's last event is `completed` with status `busy`. `CallDuration` is seconds; `Duration` is minutes and
stays an attribute. Only `CallSid` is required.

This is the hot path. Parameters are removed from the body, and the rest are the event's attributes. Usual
texts are looked up in tables; only unusual ones are parsed.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from stream.core.events import Envelope, Event, Reading
from stream.core.sources import TWILIO_STATUS_CALLBACK
from stream.core.statuses import NAMES, OUTCOMES, STATUSES, status_of
from stream.sources import fields
from stream.sources.fields import ATTESTATIONS, ID_LIMIT, TEXT_LIMIT

_STEPS: dict[str | None, tuple[str | None, str, str | None]] = {
    status: (status, NAMES[status], OUTCOMES.get(status)) for status in STATUSES
}
"""(status, name, outcome) of a `CallStatus` in its usual spelling."""

_NUMBERS: dict[Any, int] = {str(number): number for number in range(256)}
_SIP_RESPONSE_CODES: dict[Any, int] = {str(code): code for code in range(100, 700)}


def decode(envelope: Envelope) -> list[Reading]:
    body = envelope.body
    if envelope.is_form:
        reading = progress(body, envelope.account, TWILIO_STATUS_CALLBACK)
        reading.is_form = True
        return [reading]
    try:
        # The fastest check that all values are texts. Almost always they are.
        "".join(body.values())
    except TypeError:
        body, repeated = fields.flatten_form(body)
        reading = progress(body, envelope.account, TWILIO_STATUS_CALLBACK)
        reading.event.attributes.update(repeated)
        return [reading]
    return [progress(body, envelope.account, TWILIO_STATUS_CALLBACK)]


def progress(
    parameters: dict[str, Any],
    account: str | None,
    source: str,
    provider: str = "twilio",
    stamp: Callable[[Any], fields.Stamp] = fields.rfc2822_stamp,
) -> Reading:
    """The progress event that `parameters` describe. Modifies them.

    Values are texts, except those that `fields.flatten_form` allows. The same parameters give the same
    identity from every source.
    """
    take = parameters.pop
    get = parameters.get
    call_id = take("CallSid", None)
    if type(call_id) is not str or not call_id or len(call_id) > ID_LIMIT:
        call_id = fields.required_identifier(call_id, "CallSid")
    if sent := get("AccountSid"):
        if len(sent) <= ID_LIMIT:
            del parameters["AccountSid"]
        account = sent[:ID_LIMIT]

    word = take("CallStatus", None)
    step = _STEPS.get(word)
    if step is None:
        # An unusual spelling (`cancelled`, `BUSY`), or an unknown status.
        known = status_of(word)
        step = _STEPS[known] if known is not None else (None, "unknown", None)
        if word is not None:
            parameters["CallStatus"] = word
    status, name, outcome = step

    raw = take("SequenceNumber", None)
    number = _NUMBERS.get(raw) if type(raw) is str else None
    if number is None and raw is not None:
        number = fields.whole_number(raw)
        if number is None:
            parameters["SequenceNumber"] = raw

    raw = take("Timestamp", None)
    occurred_us, occurred_at, quality = stamp(raw)
    if occurred_us is None and raw is not None:
        parameters["Timestamp"] = raw

    # What most events lack is set below: each further keyword makes all of them slower.
    event = Event(
        key=f"{provider}:{call_id}",
        provider=provider,
        account=account,
        call_id=call_id,
        source=source,
        family="progress",
        name=name,
        status=status,
        sequence_number=number,
        occurred_at=occurred_at,
        occurred_at_quality=quality,
        attributes=parameters,
    )
    facts: dict[str, str] = {}
    if value := get("From"):
        facts["from"] = value[:TEXT_LIMIT]
    if value := get("To"):
        facts["to"] = value[:TEXT_LIMIT]
    if value := get("Direction"):
        facts["direction_detail"] = value[:TEXT_LIMIT]
    if value := get("AnsweredBy"):
        facts["answered_by"] = value[:TEXT_LIMIT]
    if (value := get("StirStatus") or get("StirVerstat")) and (attestation := ATTESTATIONS.get(value)):
        facts["stir_attestation"] = attestation
    if outcome is not None:
        event.outcome = outcome
    if "ParentCallSid" in parameters:
        parent_call_id = fields.lenient_identifier(get("ParentCallSid"))
        if parent_call_id is not None:
            event.parent_call_id = facts["parent_call_id"] = parent_call_id
            del parameters["ParentCallSid"]
    if "CallDuration" in parameters:
        event.duration_s = fields.whole_number(get("CallDuration"))
        if event.duration_s is not None:
            del parameters["CallDuration"]
    if "SipResponseCode" in parameters:
        raw = get("SipResponseCode")
        event.sip_response_code = _SIP_RESPONSE_CODES.get(raw) or fields.sip_response_code(raw)
        if event.sip_response_code is not None:
            del parameters["SipResponseCode"]
    if "ErrorCode" in parameters:
        code = event.error_code = fields.error_code(get("ErrorCode"))
        if code is not None and len(code) < fields.WORD_LIMIT:
            del parameters["ErrorCode"]
    take("StirPassportToken", None)
    take("CallToken", None)

    identity = word if status is None else status
    if number is None:
        return Reading(event, "1b", (identity, occurred_us), occurred_us, facts)
    return Reading(event, "1", (number, identity), occurred_us, facts)
