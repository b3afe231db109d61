"""Twilio's log of errors and warnings: one entry is told by the Debugger's webhook, by Monitor Alerts, by a
call's Notifications and by Event Streams.

From all of them, an entry is one event by its `NO…` sid. It belongs to the call that it names; another one
has its account as its key. It is a remark about a request or an instruction: it never has a status, so it
opens, ends and reopens no call. A broken payload costs only what is in it.
(Twilio: "Debugging event webhooks", "Monitor Alerts", "Notifications"; Event Streams "Error logs".)
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from typing import Any, NamedTuple
from urllib.parse import parse_qsl

from stream.core.delivery.audit import sent_of
from stream.core.events import DecodeError, Envelope, Event, Reading, WebhookAnswer
from stream.core.identity import content_hash
from stream.core.privacy.free_text import without_queries
from stream.core.privacy.sensitive_names import normalised
from stream.sources import fields, redaction
from stream.sources.twilio.call_event import is_twilio_api
from stream.sources.twilio.parameters import asks_for_instructions, kind_of_form, pascal_case, progress_within

NAME = "error_logged"
"""The name of an entry's event. Twilio gives it none, and all tellings must have the same."""

STREAM_TYPE = "com.twilio.error-logs."
"""How the type of an entry begins in Event Streams."""

_LEVELS = {"0": "error", "1": "warning", "warn": "warning", "notice": "info"}
"""Levels that are spelled differently from those of other sources."""

_CALLBACK_CODES = frozenset({"15002", "15003", "93101", *map(str, range(91300, 91309))})
"""A call progress callback was answered too late or with an error, or Event Streams delivered no event."""

_HEADERS_KEPT = frozenset(
    {"contenttype", "contentlength", "useragent", "server", "date", "retryafter", "xtwilioerror"}
)
_CALL_SID = re.compile(r"CA[0-9a-fA-F]{32}\Z")
_FORMS = frozenset({"alerttext", "messagetext", "requestvariables", "requestheaders", "responseheaders"})
"""Texts that are forms."""

_BODIES = frozenset({"body", "responsebody"})
_MAX_PARAMETERS = 1000
_BEFORE_US, _AHEAD_US = 20 * 365 * 86_400_000_000, 86_400_000_000
"""A time twenty years before its receipt, or a day after it, is absurd."""


class _Request(NamedTuple):
    """The request that an entry is about: to the customer's application or to Twilio's API."""

    url: Any
    method: Any
    parameters: dict[str, Any]
    status_code: Any


class _Telling(NamedTuple):
    """What one source says of an entry.

    - `calls`, `times`: what may name its call and its time, the best first.
    - `readable`: whether its details could be read; `attributes`: all of it, redacted.
    """

    sid: Any
    account: Any
    level: Any
    code: Any
    calls: tuple[Any, ...]
    times: tuple[Any, ...]
    request: _Request
    readable: bool
    attributes: dict[str, Any]


def debugger(envelope: Envelope) -> list[Reading]:
    """The Debugger's webhook: a form, with the entry's details as the JSON text `Payload`."""
    row = _row(envelope)
    details = _parsed(row.pop("Payload", None))
    form, _ = fields.flatten_form(row)
    telling = _Telling(
        form.pop("Sid", None),
        form.pop("AccountSid", None),
        form.get("Level"),
        details.get("error_code"),
        (details.get("resource_sid"),),
        (form.pop("Timestamp", None), form.pop("TimeStamp", None)),
        _logged_request(details),
        bool(details),
        _attributes(form | details),
    )
    return _read(envelope, telling)


def alert(envelope: Envelope) -> list[Reading]:
    """A row of Monitor Alerts. Fetched by itself, it has the request and the response too."""
    return _listed(envelope, "alert_text", "log_level", "resource_sid", "date_generated")


def notification(envelope: Envelope) -> list[Reading]:
    """A row of a call's Notifications. Fetched by itself, it has the request and the response too."""
    return _listed(envelope, "message_text", "log", "call_sid", "message_date")


def _listed(envelope: Envelope, text: str, level: str, call: str, time: str) -> list[Reading]:
    """A row of a list, which has these fields by other names than the other list."""
    row = _row(envelope)
    told = _form(row.get(text))
    telling = _Telling(
        row.pop("sid", None),
        row.pop("account_sid", None),
        row.get(level),
        row.get("error_code"),
        (row.get(call),),
        (row.get(time), row.get("date_created")),
        _row_request(row, told),
        True,
        _attributes(row),
    )
    return _read(envelope, telling)


def streamed(envelope: Envelope) -> list[Reading]:
    """An entry as a CloudEvent of Event Streams, with the details as the JSON text `data.payload`."""
    row = _row(envelope)
    data = _parsed(row.pop("data", None))
    details = _parsed(data.pop("payload", None))
    sid, event_id = data.pop("sid", None), row.pop("id", None)
    code = data.get("error_code")
    telling = _Telling(
        sid or event_id,
        data.pop("account_sid", None),
        data.get("level"),
        details.get("error_code") if code in (None, "") else code,
        (details.get("resource_sid"), data.get("correlation_sid")),
        (data.get("date_created"), row.get("time")),
        _logged_request(details),
        bool(details),
        _attributes(row | details | data),
    )
    return _read(envelope, telling)


# -- from a telling to its reading


def _read(envelope: Envelope, telling: _Telling) -> list[Reading]:
    account = fields.lenient_identifier(telling.account) or envelope.account
    call_id = _call_of(telling)
    if call_id is None and account is None:
        raise DecodeError("missing_id", "neither a call nor an account")
    occurred_us, occurred_at, quality = _time(telling.times, envelope)
    event = Event(
        key=f"twilio:{call_id}" if call_id else f"twilio:account:{account}",
        provider="twilio",
        account=account,
        call_id=call_id,
        source=envelope.source,
        family="other",
        name=NAME,
        level=_level(telling.level),
        occurred_at=occurred_at,
        occurred_at_quality=quality,
        error_code=_code(telling.code),
        attributes=telling.attributes,
    )
    sid = fields.lenient_identifier(telling.sid)
    rule, parts = ("2", (sid,)) if sid else ("4", (content_hash(envelope.body), envelope.ordinal))
    reading = Reading(event, rule, parts, occurred_us)
    reading.remark = _remark(telling, event)
    if event.call_id is not None and event.level == "error" and event.error_code not in _CALLBACK_CODES:
        if reading.remark in ("application", "callback"):
            reading.answer = _answer(telling.request)
        reading.alarming = reading.answer is None
    if event.call_id is not None and reading.remark == "callback":
        told = progress_within(telling.request.parameters, event.call_id, account, envelope.source)
        reading.sent = sent_of(told[0], _answer(telling.request)) if told else None
    reading.evidence = _evidence(telling, reading)
    return [reading]


def _evidence(telling: _Telling, reading: Reading) -> tuple[tuple[str, str], ...]:
    """What an entry says of why the call ended. A callback that was not delivered is not the cause: the codes
    of a failed request count only if it is known to be one for instructions.
    """
    code, answer = reading.event.error_code, reading.answer
    if code is None or reading.remark == "callback" or code in _CALLBACK_CODES:
        return ()
    if code.startswith("11") and not asks_for_instructions(telling.request.parameters):
        return ()
    said = ("error_code", code)
    return (said, ("request", answer.code_class)) if answer and code.startswith("11") else (said,)


def _remark(telling: _Telling, event: Event) -> str:
    """What the entry is about. Codes 11… and 12… are shared with messages, and 11… with callbacks."""
    code = event.error_code or ""
    if not telling.readable:
        return "unreadable"
    is_progress = kind_of_form(telling.request.parameters) == "progress"
    if code in _CALLBACK_CODES or (code.startswith("11") and is_progress):
        return "callback"
    is_fetching = len(code) == 5 and code.startswith(("11", "12")) and event.call_id is not None
    return "application" if is_fetching else "other"


def _answer(request: _Request) -> WebhookAnswer | None:
    """What the customer's application answered; None without the URL of one."""
    endpoint = redaction.bare_web_url(request.url) if type(request.url) is str else None
    if endpoint is None or is_twilio_api(endpoint):
        return None
    status = fields.whole_number(request.status_code)
    code = status if status is not None and 200 <= status <= 599 else None
    if code is None:
        code_class = "none"
    else:
        code_class = f"{code // 100}xx" if code >= 400 else "invalid"
    method = request.method[:16] if type(request.method) is str else None
    return WebhookAnswer(endpoint, method, code, None, code_class)


def _call_of(telling: _Telling) -> str | None:
    """The call that an entry is about, never from prose.

    `resource_sid` and the request's CallSid may name a parent and its child: the entry is the first one's.
    """
    request = telling.request
    query = _form(request.url.partition("?")[2]) if type(request.url) is str else {}
    for value in (*telling.calls, request.parameters.get("CallSid"), query.get("CallSid")):
        if type(value) is str and _CALL_SID.match(value):
            return value
    return None


def _level(raw: Any) -> str | None:
    """A level in the words of other sources, None for an unknown one."""
    word = str(raw).lower() if type(raw) in (str, int) else None
    return fields.level(_LEVELS.get(word, word) if word else None)


def _code(raw: Any) -> str | None:
    """An error code as sent, if it is digits: some are not in Twilio's dictionary."""
    code = fields.error_code(raw)
    return code if code is not None and code.isascii() and code.isdigit() else None


def _time(times: Iterable[Any], envelope: Envelope) -> fields.Stamp:
    """When the error occurred, else when it was stored, else when it was received."""
    for raw in times:
        stamp = fields.either_stamp(raw)
        at_us = stamp[0]
        if at_us is not None and -_BEFORE_US < at_us - envelope.received_us < _AHEAD_US:
            return stamp
    return envelope.received_us, envelope.received_at, "received"


# -- the parts of a telling


def is_debugger_form(form: Mapping[str, Any]) -> bool:
    """Whether a form that is about nothing else is the Debugger's."""
    sid = form.get("Sid")
    return type(sid) is str and sid.startswith("NO") and "CallSid" not in form and "PayloadType" in form


def _row(envelope: Envelope) -> dict[str, Any]:
    fields.check_depth(envelope.body)
    return dict(envelope.body)


def _logged_request(details: dict[str, Any]) -> _Request:
    """The request in the details of the Debugger and of Event Streams."""
    webhook, more = fields.object_in(details.get("webhook")), fields.object_in(details.get("more_info"))
    request, response = fields.object_in(webhook.get("request")), fields.object_in(webhook.get("response"))
    return _Request(
        request.get("url") or more.get("url"),
        request.get("method"),
        pascal_case(fields.object_in(request.get("parameters"))),
        response.get("status_code") or more.get("httpResponse"),
    )


def _row_request(row: dict[str, Any], told: dict[str, Any]) -> _Request:
    """The request in a row of Alerts or Notifications. In 15003 only the text has the URL."""
    return _Request(
        row.get("request_url") or told.get("url") or told.get("statusCallback"),
        row.get("request_method"),
        pascal_case(_form(row.get("request_variables"))),
        told.get("httpResponse"),
    )


def _parsed(value: Any) -> dict[str, Any]:
    """An object, or what a text is the JSON of. Anything else tells nothing: the envelope is kept alone."""
    try:
        found = fields.parsed_json(value, "payload")
    except DecodeError:
        return {}
    return dict(fields.object_in(found))


def _form(value: Any) -> dict[str, Any]:
    """The parameters of a text that is a form's: one value each, the last. Of other texts none."""
    if type(value) is not str or "=" not in value or " " in value:
        return {}
    try:
        return dict(parse_qsl(value, keep_blank_values=True, max_num_fields=_MAX_PARAMETERS))
    except ValueError:
        return {}


def _attributes(told: dict[str, Any]) -> dict[str, Any]:
    shown: dict[str, Any] = redaction.without_secrets(_redacted(told))
    return shown


def _redacted(told: dict[str, Any]) -> dict[str, Any]:
    """What is kept as the event's attributes: no query of a URL, few headers, no body.

    A body contains what the caller hears and enters. Its hash shows whether two answers are equal.
    """
    kept: dict[str, Any] = {}
    for name, value in told.items():
        plain = normalised(name)
        if plain in _BODIES:
            if value:
                kept[f"{name}_hash"] = content_hash(value)
        elif value not in (None, ""):
            kept[name] = _shown(value, plain)
    return kept


def _shown(value: Any, plain: str) -> Any:
    """What is kept of a value below the name that is normalised to `plain`."""
    if plain in _FORMS and type(value) is str:
        value = _form(value) or value
    if plain.endswith("headers"):
        return {
            one: text for one, text in fields.object_in(value).items() if normalised(one) in _HEADERS_KEPT
        }
    if type(value) is dict:
        return _redacted(value)
    if type(value) is list:
        return [_shown(one, plain) for one in value]
    return without_queries(value) if type(value) is str else value
