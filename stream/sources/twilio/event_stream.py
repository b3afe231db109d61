"""Twilio Event Streams: a CloudEvent around what another source tells too.

What is in it is read as that source's decoder reads it and has its identity: a callback's parameters, a row
of Voice Insights, a summary. Such an event is one, whichever way it comes first. The rest is identified by
the CloudEvent's id.
(Twilio: "Event Streams", event types of Voice. Samples have `data` as an object or as JSON text.)
"""

from __future__ import annotations

from typing import Any

from msgspec.structs import replace

from stream.core.events import DecodeError, Envelope, Event, Reading
from stream.core.identity import content_hash
from stream.sources import fields, redaction
from stream.sources.twilio import call_event, error_log, forms
from stream.sources.twilio.call_summary import summary_of
from stream.sources.twilio.forms.form import key_of
from stream.sources.twilio.insights_event import event_of
from stream.sources.twilio.parameters import child_of, kind_of_form, pascal_case, progress_within

_FAMILIES = (
    (".insights.call-", "insights"),
    (".api-request.", "request_log"),
    (".status-callback.recording", "recording"),
    (".status-callback.amd", "amd"),
    (".status-callback.transcription", "transcription"),
    (".status-callback.stream", "media"),
    (".media.", "media"),
    ("conference", "conference"),
)
"""Families by a part of the type, of what no other decoder reads: the first match, else `other`."""


def decode(envelope: Envelope) -> list[Reading]:
    row = envelope.body
    fields.check_depth(row)
    if str(row.get("type")).startswith(error_log.STREAM_TYPE):
        return error_log.streamed(envelope)
    event_id = fields.identifier(row.get("id"), "id")
    kind = fields.text(row.get("type")) or "unknown"
    data = fields.parsed_json(row.get("data"), "data")
    if type(data) is not dict:
        raise DecodeError("missing_id", "data is not an object")
    parameters = fields.object_in(fields.object_in(data.get("request")).get("parameters"))
    named = _named(data, parameters)
    account = fields.lenient_identifier(named.get("AccountSid")) or envelope.account
    # Twins of one request that have an id are one CloudEvent, sent twice.
    envelope = replace(envelope, account=account, ordinal=0 if event_id is not None else envelope.ordinal)
    if ".insights.call-" in kind:
        # Published up to 90 s later: only the event's own time says when it was.
        tell = summary_of if ".call-summary" in kind else event_of
        insight = tell(data, envelope, named["CallSid"])
        if insight.event.name == "unknown":
            insight.event.name = kind[: fields.WORD_LIMIT]
        return [insight]
    reading = None
    if ".status-callback." in kind:
        reading = _callback_within(kind, {**parameters, "CallSid": named["CallSid"]}, envelope)
    if reading is None:
        reading = _event(kind, event_id, data, named, envelope)
        if ".api-request.call.modified" in kind:
            reading.evidence = call_event.of_command(parameters)
    if reading.occurred_us is None:
        _date(reading, data.get("timestamp"), row.get("time"))
    return [reading]


def _named(data: dict[str, Any], parameters: dict[str, Any]) -> dict[str, Any]:
    """What the data and the parameters name, in PascalCase. `sid` is the data's subject, of any kind."""
    named = {**pascal_case(data), **pascal_case(parameters)}
    for name, prefix in (("CallSid", "CA"), ("ConferenceSid", "CF")):
        named[name] = named.get(name) or _subject(data, prefix)
    return named


def _subject(data: dict[str, Any], prefix: str) -> str | None:
    sid = data.get("sid")
    return sid if type(sid) is str and sid.startswith(prefix) else None


def _callback_within(kind: str, parameters: dict[str, Any], envelope: Envelope) -> Reading | None:
    """The event of the callback that is told here; None if its parameters do not say which."""
    call_id = parameters["CallSid"]
    if ".status-callback.call." in kind:
        named = pascal_case(redaction.without_secrets(parameters))
        observed = progress_within(named, call_id, envelope.account, envelope.source, known=True)
        return observed[0] if observed else None
    form = kind_of_form(parameters)
    if form == "progress":
        return None
    if call_id is None:
        del parameters["CallSid"]
    try:
        (reading,) = forms.DECODERS[form](replace(envelope, body=parameters), "twilio")
    except DecodeError:
        return None
    return None if reading.event.family == "other" else reading


def _event(
    kind: str, event_id: str | None, data: dict[str, Any], named: dict[str, Any], envelope: Envelope
) -> Reading:
    """The CloudEvent itself, of a kind that no other source tells."""
    key, call_id = key_of(named, "twilio")
    attributes = redaction.without_secrets({**envelope.body, "data": data})
    data = attributes["data"]
    response = fields.object_in(data.get("response"))
    if body := response.pop("responseBody", None):
        # As in the request log: a body contains what the caller hears and enters.
        response["responseBodyHash"] = content_hash(body)
    event = Event(
        key=key,
        provider="twilio",
        account=envelope.account,
        call_id=call_id,
        source=envelope.source,
        family=next((family for part, family in _FAMILIES if part in kind), "other"),
        name=kind[: fields.WORD_LIMIT],
        level=fields.level(data.get("level")),
        edge=fields.word(data, "edge"),
        group=fields.word(data, "group"),
        error_code=fields.error_code(named.get("ErrorCode")),
        attributes=attributes,
    )
    reading = fields.by_content(envelope, event) if event_id is None else Reading(event, "2", (event_id,))
    reading.child_call_id = child_of(named)
    return reading


def _date(reading: Reading, *stamps: Any) -> None:
    """Give an event the first time that can be read."""
    for raw in stamps:
        occurred_us, occurred_at, quality = fields.either_stamp(raw)
        if occurred_us is not None:
            reading.occurred_us = occurred_us
            reading.event.occurred_at, reading.event.occurred_at_quality = occurred_at, quality
            return
