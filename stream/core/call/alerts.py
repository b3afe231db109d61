"""Alerts: records for `calls.alerts.v1`.

An alert is a function of the event that opened it and of the call's state at that moment. Its ids are
functions of the input, so a replay, a crash or a second worker writes the same alert again.
Rules of this version open one episode each and leave it firing: `call.failed` once a call,
`call.error_event` once an event, `webhook.failing` once a failing request (see `failures`).
"""

from __future__ import annotations

import msgspec

from stream.core.call.lifecycle import Lifecycle
from stream.core.call.state import Call
from stream.core.events import SCHEMA_VERSION, Event, Reading, WebhookAnswer
from stream.core.identity import VERSION, name_id
from stream.core.privacy.masking import Privacy
from stream.core.timestamps import utc

RULE_VERSION = 1
SEVERITIES: dict[str, str] = {
    "webhook.failing": "critical",
    "call.failed": "warning",
    "call.error_event": "warning",
}
FAILING_CLASSES = frozenset({"4xx", "5xx", "timeout", "none", "invalid"})

_MASKED = Privacy("masked")
"""For fields and Kafka keys that hold masked numbers in every privacy mode."""


class AlertRule(msgspec.Struct):
    """Which rule fired, and which version of it."""

    id: str
    version: int = RULE_VERSION


class AlertScope(msgspec.Struct):
    """What the alert is about: `call` or `endpoint`; `id` is the record's Kafka key."""

    type: str
    id: str


class AlertReason(msgspec.Struct):
    """The cause, for a program (`code`) and for a person (`text`)."""

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


class AlertEvidence(msgspec.Struct):
    """One event that the alert is based on."""

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
    """One alert record; `stream.contracts` says what its fields mean."""

    schema_version: int = SCHEMA_VERSION
    id: str
    fingerprint: str
    episode_id: str
    revision: int = 1
    state: str = "firing"
    severity: str
    rule: AlertRule
    provider: str
    account: str
    scope: AlertScope
    starts_at: str
    ends_at: str | None = None
    detected_at: str
    updated_at: str
    confidence: str
    reason: AlertReason
    call: AlertCall | None = None
    webhook: AlertWebhook | None = None
    occurrences: int = 1
    evidence: list[AlertEvidence]
    links: dict[str, str] = {}
    labels: dict[str, str] = {}


def _alert(
    rule: str,
    call: Call,
    lifecycle: Lifecycle,
    event: Event,
    account: str,
    reason: AlertReason,
    *,
    webhook: AlertWebhook | None = None,
    scope: AlertScope | None = None,
) -> Alert:
    scope = scope or AlertScope("call", call.key)
    fingerprint = name_id(VERSION, "alert", rule, event.provider, event.account, scope.type, scope.id)
    episode_id = name_id(VERSION, "episode", fingerprint, event.id)
    return Alert(
        id=name_id(VERSION, "revision", fingerprint, episode_id, 1),
        fingerprint=fingerprint,
        episode_id=episode_id,
        severity=SEVERITIES[rule],
        rule=AlertRule(rule),
        provider=event.provider,
        account=account,
        scope=scope,
        starts_at=event.occurred_at or event.received_at,
        detected_at=event.received_at,
        updated_at=event.received_at,
        confidence="confirmed",
        reason=reason,
        call=_call(call, lifecycle, event),
        webhook=webhook,
        evidence=[_evidence(event)],
    )


def _evidence(event: Event) -> AlertEvidence:
    origin = event.origin
    assert origin is not None, "an alert is based on an applied event"
    return AlertEvidence(
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


def _call(call: Call, lifecycle: Lifecycle, event: Event) -> AlertCall:
    facts, end = call.facts.get, lifecycle.end
    started, ended = lifecycle.initiated[0], lifecycle.ended[0]
    return AlertCall(
        id=call.key.partition(":")[2],
        parent_id=facts("parent_call_id"),
        session_id=facts("session_id"),
        leg_id=facts("leg_id"),
        direction=call.direction,
        status=end.status if end else lifecycle.status,
        outcome=end.outcome if end else None,
        started_at=utc(started) if started is not None else None,
        ended_at=utc(ended) if ended is not None else None,
        duration_seconds=lifecycle.talk_s(),
        from_masked=_MASKED.address(call.facts["from"]) if "from" in call.facts else None,
        to_masked=_MASKED.address(call.facts["to"]) if "to" in call.facts else None,
        edge=event.edge,
        stir_attestation=facts("stir_attestation"),
        last_sequence_number=lifecycle.last_number,
        missing_sequence_numbers=lifecycle.missing_numbers(),
    )


def raises_alert(reading: Reading) -> bool:
    """Whether a new event raises an alert of its own."""
    return reading.alarming or (reading.answer is not None and reading.answer.code_class in FAILING_CLASSES)


def event_alerts(call: Call, lifecycle: Lifecycle, reading: Reading, account: str) -> list[Alert]:
    """The alerts of one new event."""
    alerts: list[Alert] = []
    answer = reading.answer
    if reading.alarming:
        alerts.append(_error_event(call, lifecycle, reading.event, account))
    if answer is not None and answer.code_class in FAILING_CLASSES:
        alerts.append(_webhook_failing(call, lifecycle, reading.event, answer, account))
    return alerts


def call_failed(call: Call, lifecycle: Lifecycle, event: Event, account: str) -> Alert:
    """A call ended as failed; `event` of the delivery decided it."""
    code = event.error_code or (call.error_codes[0] if call.error_codes else None)
    end = lifecycle.end
    sip = end.sip_response_code if end else None
    text = "The call failed"
    if sip is not None:
        text += f" with SIP response code {sip}"
    if code is not None:
        text += f"{' and' if sip is not None else ' with'} error code {code}"
    if end and end.entry.hangup:
        text += f" (hangup cause {end.entry.hangup})"
    return _alert(
        "call.failed", call, lifecycle, event, account, AlertReason("failed", text + ".", code, sip)
    )


def _error_event(call: Call, lifecycle: Lifecycle, event: Event, account: str) -> Alert:
    """The provider marked an event as an error."""
    place = f" at {event.edge}" if event.edge else ""
    text = f"{event.group + ' ' if event.group else ''}{event.name}{place}"
    if event.error_code:
        text += f", error code {event.error_code}"
    reason = AlertReason(
        "error_event", f"The provider reported an error: {text}.", event.error_code, event.sip_response_code
    )
    return _alert("call.error_event", call, lifecycle, event, account, reason)


def _webhook_failing(
    call: Call, lifecycle: Lifecycle, event: Event, answer: WebhookAnswer, account: str
) -> Alert:
    """The customer's application did not answer a provider's request, or answered with an error."""
    answered = f"answered {answer.response_code}" if answer.response_code else "did not accept the request"
    if answer.code_class == "invalid":
        answered += ", which the provider could not use,"
    what = {"timeout": "did not answer in time", "none": "did not answer"}.get(answer.code_class, answered)
    reason = AlertReason(
        f"http_{answer.code_class}", f"The application {what} at {answer.endpoint}.", event.error_code
    )
    endpoint = _MASKED.url(answer.endpoint)
    scope = AlertScope("endpoint", f"{event.provider}:endpoint:{event.account or ''}:{endpoint}")
    webhook = AlertWebhook(
        answer.endpoint, answer.method, answer.response_code, answer.duration_s, answer.attempts
    )
    return _alert("webhook.failing", call, lifecycle, event, account, reason, webhook=webhook, scope=scope)
