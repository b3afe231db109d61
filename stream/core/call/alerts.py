"""Alerts: what someone should be told, as records for `calls.alerts.v1`.

The rule of this file: an alert is a function of the event that opened it and of the call's state at that
moment; its ids are functions of the input, so a replay, a crash or a second worker writes the same alert
again. Rules of this version open one episode each and leave it firing: `call.failed` once a call,
`call.error_event` once an event, `webhook.failing` once a failing row.
"""

from __future__ import annotations

import msgspec

from stream.core.call.lifecycle import Survey, survey
from stream.core.call.state import Call
from stream.core.events import SCHEMA_VERSION, Event, WebhookAnswer
from stream.core.identity import VERSION, name_id
from stream.core.privacy.masked_forms import masked_address, masked_url
from stream.core.timestamps import utc

RULE_VERSION = 1
SEVERITIES: dict[str, str] = {
    "webhook.failing": "critical",
    "call.failed": "warning",
    "call.error_event": "warning",
}
FAILING_CLASSES = frozenset({"4xx", "5xx", "timeout", "none"})


class Rule(msgspec.Struct):
    """Which rule fired, and which version of it."""

    id: str
    version: int = RULE_VERSION


class Scope(msgspec.Struct):
    """What the alert is about: `call` or `endpoint`; `id` is the record's Kafka key."""

    type: str
    id: str


class Reason(msgspec.Struct):
    """Why, for a program (`code`) and for a person (`text`)."""

    code: str
    text: str
    provider_error_code: str | None = None
    sip_response_code: int | None = None


class AlertCall(msgspec.Struct):
    """The call as it stood when the alert fired."""

    id: str
    parent_id: str | None
    session_id: str | None
    leg_id: str | None
    direction: str | None
    status: str | None
    outcome: str | None
    started_at: str | None
    ended_at: str | None
    duration_seconds: float | int | None
    from_masked: str | None
    to_masked: str | None
    edge: str | None
    stir_attestation: str | None
    last_sequence_number: int | None
    missing_sequence_numbers: list[int]


class AlertWebhook(msgspec.Struct):
    """The request to the customer's application."""

    endpoint: str
    method: str | None
    response_code: int | None
    duration_seconds: float | None
    attempts: int | None


class Evidence(msgspec.Struct):
    """One event that the alert rests on."""

    source: str
    event_id: str
    name: str
    level: str | None
    sequence_number: int | None
    occurred_at: str | None
    received_at: str
    topic: str
    partition: int
    offset: int


class Alert(msgspec.Struct, kw_only=True):
    """One alert record; fields as `schemas/alert.json` says."""

    schema_version: int = SCHEMA_VERSION
    id: str
    fingerprint: str
    episode_id: str
    revision: int = 1
    state: str = "firing"
    severity: str
    rule: Rule
    provider: str
    account: str
    scope: Scope
    starts_at: str
    ends_at: str | None = None
    detected_at: str
    updated_at: str
    confidence: str
    reason: Reason
    call: AlertCall | None = None
    webhook: AlertWebhook | None = None
    occurrences: int = 1
    evidence: list[Evidence]
    links: dict[str, str] = {}
    labels: dict[str, str] = {}


def _alert(
    rule: str,
    scope: Scope,
    event: Event,
    account: str,
    reason: Reason,
    *,
    confidence: str = "confirmed",
    call: AlertCall | None = None,
    webhook: AlertWebhook | None = None,
) -> Alert:
    fingerprint = name_id(VERSION, "alert", rule, event.provider, event.account, scope.type, scope.id)
    episode_id = name_id(VERSION, "episode", fingerprint, event.id)
    return Alert(
        id=name_id(VERSION, "revision", fingerprint, episode_id, 1),
        fingerprint=fingerprint,
        episode_id=episode_id,
        severity=SEVERITIES[rule],
        rule=Rule(rule),
        provider=event.provider,
        account=account,
        scope=scope,
        starts_at=event.occurred_at or event.received_at,
        detected_at=event.received_at,
        updated_at=event.received_at,
        confidence=confidence,
        reason=reason,
        call=call,
        webhook=webhook,
        evidence=[_evidence(event)],
    )


def _evidence(event: Event) -> Evidence:
    origin = event.origin
    assert origin is not None, "an alert rests on an applied event"
    return Evidence(
        event.source,
        event.id,
        event.name,
        event.level,
        event.sequence_number,
        event.occurred_at,
        event.received_at,
        origin.topic,
        origin.partition,
        origin.offset,
    )


def _call(call: Call, seen: Survey, event: Event) -> AlertCall:
    facts, end = call.facts.get, seen.end
    started, ended = seen.initiated[0], seen.ended[0]
    return AlertCall(
        id=call.key.partition(":")[2],
        parent_id=facts("parent_call_id"),
        session_id=facts("session_id"),
        leg_id=facts("leg_id"),
        direction=call.direction,
        status=end.status if end else seen.status,
        outcome=end.outcome if end else None,
        started_at=utc(started) if started is not None else None,
        ended_at=utc(ended) if ended is not None else None,
        duration_seconds=seen.talk_s(),
        from_masked=_masked(facts("from")),
        to_masked=_masked(facts("to")),
        edge=event.edge,
        stir_attestation=facts("stir_attestation"),
        last_sequence_number=seen.last_number,
        missing_sequence_numbers=seen.missing_numbers(),
    )


def _masked(address: str | None) -> str | None:
    """What a field named so holds in every privacy mode."""
    return masked_address(address) if address is not None else None


def call_failed(call: Call, seen: Survey, event: Event, account: str) -> Alert:
    """A call ended as failed. `event` is the delivery's event that decided it."""
    code = event.error_code or (call.error_codes[0] if call.error_codes else None)
    end = seen.end
    sip = end.sip_response_code if end else None
    text = "The call failed"
    if sip is not None:
        text += f" with SIP response code {sip}"
    if code is not None:
        text += f"{' and' if sip is not None else ' with'} error code {code}"
    if end and end.entry.hangup:
        text += f" (hangup cause {end.entry.hangup})"
    reason = Reason("failed", text + ".", code, sip)
    return _alert(
        "call.failed", Scope("call", call.key), event, account, reason, call=_call(call, seen, event)
    )


def error_event(call: Call, event: Event, account: str) -> Alert:
    """An event says of itself that something went wrong."""
    place = f" at {event.edge}" if event.edge else ""
    text = f"{event.group + ' ' if event.group else ''}{event.name}{place}"
    if event.error_code:
        text += f", error code {event.error_code}"
    reason = Reason(
        "error_event", f"The provider reported an error: {text}.", event.error_code, event.sip_response_code
    )
    scope = Scope("call", call.key)
    return _alert("call.error_event", scope, event, account, reason, call=_call(call, survey(call), event))


def webhook_failing(call: Call, event: Event, answer: WebhookAnswer, account: str) -> Alert:
    """The customer's application did not answer a provider's request as it should."""
    what = {
        "timeout": "did not answer in time",
        "none": "did not answer",
    }.get(
        answer.code_class,
        f"answered {answer.response_code}" if answer.response_code else "did not accept the request",
    )
    reason = Reason(
        f"http_{answer.code_class}", f"The application {what} at {answer.endpoint}.", event.error_code
    )
    # It is a key: no privacy mode puts a number into one.
    endpoint = masked_url(answer.endpoint)
    scope = Scope("endpoint", f"{event.provider}:endpoint:{event.account or ''}:{endpoint}")
    webhook = AlertWebhook(
        answer.endpoint, answer.method, answer.response_code, answer.duration_s, answer.attempts
    )
    return _alert(
        "webhook.failing",
        scope,
        event,
        account,
        reason,
        call=_call(call, survey(call), event),
        webhook=webhook,
    )
