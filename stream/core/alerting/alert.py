"""The alert record: the value of `calls.alerts.v1` and, while it fires, of `calls.alerts.active.v1`."""

from __future__ import annotations

from typing import Literal

import msgspec

from stream.core.alerting.rules import Severity
from stream.core.events import SCHEMA_VERSION

State = Literal["firing", "resolved"]
Confidence = Literal["provisional", "confirmed"]

RETRACTED = "retracted"
"""How the reason's code of what was never true begins."""


class AlertRule(msgspec.Struct):
    """Which rule fired, and which version of it."""

    id: str
    version: int


class AlertScope(msgspec.Struct):
    """What the alert is about; `id` is the record's Kafka key."""

    type: Literal["call", "endpoint", "failure"]
    id: str


class AlertReason(msgspec.Struct):
    """For a program (`code`), what, where and since when (`text`), what it means and what to do (`help`)."""

    code: str
    text: str
    help: str | None = None
    provider_error_code: str | None = None
    sip_response_code: int | None = None


class AlertCall(msgspec.Struct, kw_only=True):
    """The call as it was known when the revision was written. `from` and `to` are masked in every mode."""

    id: str
    parent_id: str | None
    session_id: str | None
    leg_id: str | None
    direction: str | None
    status: str | None
    outcome: str | None
    verdict: str | None
    started_at: str | None
    ended_at: str | None
    duration_s: float | int | None
    from_: str | None = msgspec.field(name="from")
    to: str | None
    edge: str | None
    stir_attestation: str | None
    last_sequence_number: int | None
    missing_sequence_numbers: list[int]


class AlertWebhook(msgspec.Struct):
    """The endpoint of the application, and the request where the alert is about one."""

    endpoint: str
    method: str | None = None
    response_code: int | None = None
    duration_s: float | None = None
    attempts: int | None = None


class AlertWindow(msgspec.Struct, kw_only=True):
    """What a condition counted in its newest window of event time; `baseline`: the usual share, if known."""

    from_: str = msgspec.field(name="from")
    to: str
    bad: int
    all: int
    share: float | None
    baseline: float | None


class AlertSample(msgspec.Struct):
    """One occurrence of a condition: a call's key, when, and what was seen."""

    key: str
    at: str
    text: str


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
    edge: str | None = None


class Alert(msgspec.Struct, kw_only=True):
    """One revision of an episode. The highest revision of an episode counts.

    `evidence` is empty where what is missing is the evidence.
    """

    schema_version: int = SCHEMA_VERSION
    id: str
    fingerprint: str
    episode_id: str
    revision: int
    state: State
    severity: Severity
    rule: AlertRule
    provider: str
    account: str | None
    account_alias: str | None
    scope: AlertScope
    starts_at: str
    ends_at: str | None
    detected_at: str
    updated_at: str
    confidence: Confidence
    reason: AlertReason
    call: AlertCall | None = None
    webhook: AlertWebhook | None = None
    window: AlertWindow | None = None
    occurrences: int = 1
    samples: list[AlertSample] = []
    evidence: list[AlertEvidence] = []
    links: dict[str, str] = {}
    labels: dict[str, str] = {}
