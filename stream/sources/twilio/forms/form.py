"""What the forms of all callbacks have in common: their parameters, and whom they are about."""

from __future__ import annotations

from typing import Any

from stream.core.events import DecodeError, Envelope, Event
from stream.sources import fields, redaction
from stream.sources.twilio.parameters import KNOWN


def form_of(envelope: Envelope) -> dict[str, Any]:
    """The form's parameters without secrets. Unknown parameters keep their repeated values."""
    single, repeated = fields.flatten_form(envelope.body)
    unknown = {name: values for name, values in repeated.items() if name not in KNOWN}
    body: dict[str, Any] = redaction.without_secrets(single | unknown)
    return body


def event_of_form(
    envelope: Envelope, body: dict[str, Any], provider: str, family: str, name: str | None
) -> Event:
    """The event of a form; its ids are moved out of the body, which is its attributes."""
    key, call_id = key_of(body, provider)
    body.pop("CallSid", None)
    account = fields.lenient_identifier(body.get("AccountSid"))
    if account is not None:
        del body["AccountSid"]
    return Event(
        key=key,
        provider=provider,
        account=account or envelope.account,
        call_id=call_id,
        source=envelope.source,
        family=family,
        name=(name or "unknown")[: fields.WORD_LIMIT],
        attributes=body,
    )


def key_of(named: dict[str, Any], provider: str) -> tuple[str, str | None]:
    """(the key, the call's id) that PascalCase parameters name."""
    call_id = fields.identifier(named.get("CallSid"), "CallSid")
    if call_id is not None:
        return f"{provider}:{call_id}", call_id
    conference_id = fields.identifier(named.get("ConferenceSid"), "ConferenceSid")
    if conference_id is None:
        raise DecodeError("missing_id", "neither CallSid nor ConferenceSid")
    return f"{provider}:conference:{conference_id}", None
