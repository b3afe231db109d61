"""A row of Twilio's Call Events: one request that Twilio sent or received, and its response.

The row has no id, number or time of its own: it is identified by its content, and its time is the response's
`date_created`. The row does not name its call; the resource's path does, else its logged parameters.
A logged callback of progress, a recording, a conference, … is also a sighting of that event, under its own
identity.
"""

from __future__ import annotations

import re
from typing import Any

from msgspec.structs import replace

from stream.core.delivery.audit import sent_of
from stream.core.events import DecodeError, Envelope, Event, Reading, WebhookAnswer
from stream.core.identity import content_hash
from stream.core.statuses import status_of
from stream.sources import fields, redaction
from stream.sources.twilio import forms
from stream.sources.twilio.parameters import (
    KNOWN,
    asks_for_instructions,
    child_of,
    kind_of_form,
    pascal_case,
    progress_within,
)

_PATH = re.compile(r"(?:/Accounts/([^/]+))?/Calls/([^/]+)/Events(?:\.json)?")

_REJECT = re.compile(r"<Response[^>]*>\s*<Reject\b")
"""TwiML whose first verb rejects the call."""

_LONGEST_TIMEOUT_S = 15.0
"""Twilio's longest timeout of a call-related request."""

_CUSTOMERS_ON_TWILIO = ("demo.", "handler.", "webhooks.")
"""Hosts of twilio.com that serve a customer's call flow (TwiML Bins, Studio), not an API."""


def decode(envelope: Envelope) -> list[Reading]:
    fields.check_depth(envelope.body)
    identity = (content_hash(envelope.body), envelope.ordinal)
    row = redaction.without_secrets(envelope.body)
    request = _object(row, "request")
    response = _object(row, "response")
    parameters = request.get("parameters")

    path = _PATH.search(envelope.endpoint or "")
    named = pascal_case(parameters) if type(parameters) is dict else {}
    call_id = path[2] if path else fields.required_identifier(named.get("CallSid"), "call_sid")
    account = (
        (path[1] if path else None) or fields.lenient_identifier(named.get("AccountSid")) or envelope.account
    )

    body = response.pop("response_body", None)
    rejects = type(body) is str and _REJECT.search(body) is not None
    if body:
        # A body contains what the caller hears and enters. Its hash shows whether two answers are equal.
        response["response_body_hash"] = content_hash(body)
    occurred_us, occurred_at, quality = fields.rfc2822_stamp(response.get("date_created"))
    if occurred_us is not None:
        del response["date_created"]
    raw_url = request.get("url")
    endpoint = redaction.bare_web_url(raw_url) if type(raw_url) is str else None
    name, answer = "unknown", None
    if endpoint is not None and is_twilio_api(endpoint):
        name = "api_request"
    elif endpoint is not None:
        name, answer = "webhook", _answer(endpoint, request, response)
    event = Event(
        key=f"twilio:{call_id}",
        provider="twilio",
        account=account,
        call_id=call_id,
        source="twilio_call_event",
        family="request_log",
        name=name,
        occurred_at=occurred_at,
        occurred_at_quality=quality,
        attributes=row,
    )
    own = Reading(event, "4", identity, occurred_us, answer=answer)
    code = fields.whole_number(response.get("response_code"))
    taken = code is None or code < 400
    own.evidence = _evidence(endpoint, call_id, named, answer, rejects=rejects, taken=taken)
    if named.get("CallSid", call_id) == call_id:
        own.child_call_id = child_of(named)
    observed = progress_within(named, call_id, account, "twilio_call_event")
    observed = observed or _callback(named, call_id, account, envelope)
    own.sent = sent_of(observed[0], answer) if observed else None
    return [own, *observed]


def _evidence(
    endpoint: str | None,
    call_id: str,
    named: dict[str, Any],
    answer: WebhookAnswer | None,
    *,
    rejects: bool,
    taken: bool,
) -> tuple[tuple[str, str], ...]:
    """What a request says of why the call ended: a command of the customer, or how instructions were fetched.

    A callback that fails is not the cause. `taken`: the request was not refused.
    """
    if endpoint is None or named.get("CallSid", call_id) != call_id:
        return ()
    if answer is None:
        # A command that was refused did nothing.
        return of_command(named) if f"/Calls/{call_id}" in endpoint and taken else ()
    if not asks_for_instructions(named):
        return ()
    slow = answer.duration_s is not None and answer.duration_s >= _LONGEST_TIMEOUT_S
    fetched = ("request", "timeout" if slow else answer.code_class)
    return (("twiml", "reject"), fetched) if rejects else (fetched,)


def of_command(parameters: dict[str, Any]) -> tuple[tuple[str, str], ...]:
    """What a request to change a call says of why it ended."""
    word = parameters.get("Status") or parameters.get("status")
    ends = type(word) is str and status_of(word) in ("canceled", "completed")
    return (("command", "hangup"),) if ends else ()


def _callback(named: dict[str, Any], call_id: str, account: str | None, envelope: Envelope) -> list[Reading]:
    """The event of another callback that a row tells of, if it is known by its ids in every spelling."""
    kind = kind_of_form(named)
    if named.get("CallSid") != call_id or kind == "progress":
        return []
    form = {name: value for name, value in named.items() if name in KNOWN}
    try:
        found = forms.DECODERS[kind](replace(envelope, body=form, account=account), "twilio")
    except DecodeError:
        return []
    return [reading for reading in found if reading.identity_rule == "3"]


def _object(row: dict[str, Any], name: str) -> dict[str, Any]:
    value = row.get(name)
    if value is None:
        return {}
    if type(value) is not dict:
        raise DecodeError("invalid_field", f"{name} is not an object")
    return value


def is_twilio_api(bare_url: str) -> bool:
    """Whether a logged request went to Twilio (an API request of the customer), not to the customer."""
    host = bare_url.split("/")[2].partition(":")[0].lower()
    return host.endswith(".twilio.com") and not host.startswith(_CUSTOMERS_ON_TWILIO)


def _answer(endpoint: str, request: dict[str, Any], response: dict[str, Any]) -> WebhookAnswer:
    """What the customer's application answered."""
    duration_ms = fields.whole_number(response.get("request_duration"))
    duration_s = None if duration_ms is None else duration_ms / 1000
    code = fields.whole_number(response.get("response_code"))
    if code is not None and 200 <= code <= 599:
        code_class = f"{code // 100}xx"
    else:
        code = None
        code_class = "timeout" if duration_s is not None and duration_s >= _LONGEST_TIMEOUT_S else "none"
    method = request.get("method")
    return WebhookAnswer(
        endpoint=endpoint,
        method=method[:16] if type(method) is str else None,
        response_code=code,
        duration_s=duration_s,
        code_class=code_class,
    )
