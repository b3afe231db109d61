"""The same for alerts."""

from __future__ import annotations

from stream.contracts.field_text import COUNT, ID, SIP, TEXT, TIME, Field, field
from stream.core.alerting.rules import RULE_IDS, SEVERITIES
from stream.core.statuses import STATUSES
from stream.service.metrics.label_values import OUTCOMES

_CALL = "CA8680230f4477433c7935a967bcc6def1"
_PARENT = "CA1f0e2d3c4b5a69788796a5b4c3d2e1f0"

ALERT_FIELDS: dict[str, Field] = {
    "fingerprint": field(
        "Version 5 UUID of the condition (rule, account, scope): the same in every episode.",
        "0d9a5c8e-6a3f-5d1b-8f4e-2b7c9d0e1f2a",
        **ID,
    ),
    "episode_id": field(
        "Version 5 UUID of one span from firing to resolved.", "5b1f8a2c-7e4d-5f60-9a3b-8c2d1e0f4a5b", **ID
    ),
    "Alert.state": field("Whether it fires or is over.", "firing", enum=["firing", "resolved"]),
    "Alert.severity": field("How bad it is.", "warning", enum=[*SEVERITIES]),
    "Alert.rule": field("The rule that fired."),
    "Alert.scope": field("What the alert is about."),
    "Alert.starts_at": field("When the condition began.", "2026-11-29T00:46:15.000000Z", **TIME),
    "Alert.ends_at": field("When it ended; null while it fires.", None, **TIME),
    "Alert.detected_at": field(
        "When the delivery that opened the episode was received.", "2026-11-29T00:46:16.246029Z", **TIME
    ),
    "Alert.confidence": field(
        "Whether one source says so, or a second one as well.", "confirmed", enum=["provisional", "confirmed"]
    ),
    "Alert.reason": field("The cause."),
    "Alert.call": field("The call as it stood; null if the alert is not about a call."),
    "Alert.webhook": field("The request to the application; null if the alert is not about one.", None),
    "Alert.window": field("What a condition counted; null of a fact about one call.", None),
    "Alert.occurrences": field("How often it has happened in this episode.", 1, minimum=1),
    "Alert.samples": field("Some of the calls concerned, at most 5.", [], maxItems=5),
    "Alert.evidence": field(
        "The events that it is based on, at most 20; none where something is missing, and of a condition.",
        maxItems=20,
    ),
    "Alert.links": field("Where to look further, by name.", {}, additionalProperties={"type": "string"}),
    "Alert.labels": field("Labels for routing.", {}, additionalProperties={"type": "string"}),
    "AlertRule.id": field("The rule's name.", "call.failed", known=RULE_IDS),
    "AlertRule.version": field("The version of the rule.", 1, minimum=1),
    "AlertScope.type": field(
        "What kind of thing it is about.", "call", known=("call", "endpoint", "failure")
    ),
    "AlertScope.id": field("Which one: the Kafka key of `calls.alerts.v1`.", f"twilio:{_CALL}", **TEXT),
    "AlertReason.code": field("The cause, for a program.", "failed", **TEXT),
    "AlertReason.text": field(
        "The cause, for a person.", "The call failed with SIP response code 503.", **TEXT
    ),
    "AlertReason.help": field("What it means and what to do; null where nothing is known.", None, **TEXT),
    "AlertReason.provider_error_code": field("The provider's error code, as text.", None, **TEXT),
    "AlertReason.sip_response_code": field("The SIP response code.", 503, **SIP),
    "AlertCall.id": field("The provider's own id of the call.", _CALL, **TEXT),
    "AlertCall.parent_id": field("The call that dialled it.", _PARENT, **TEXT),
    "AlertCall.status": field("Its status.", "failed", enum=[*STATUSES]),
    "AlertCall.outcome": field("How it ended; null until then.", "failed", enum=[*OUTCOMES]),
    "AlertCall.verdict": field("Whose fault it was, if that is known.", None),
    "AlertCall.started_at": field("When dialling began.", "2026-11-29T00:46:10.000000Z", **TIME),
    "AlertCall.ended_at": field("When it ended.", "2026-11-29T00:46:15.000000Z", **TIME),
    "AlertCall.duration_s": field("Seconds of talk; null unless it was answered.", None, **COUNT),
    "AlertCall.from": field("The caller, masked in every privacy mode.", "+12*******45"),
    "AlertCall.to": field("The callee, masked in every privacy mode.", "+14*******91"),
    "AlertCall.stir_attestation": field("The STIR/SHAKEN attestation of the caller: A, B or C.", "A", **TEXT),
    "AlertCall.last_sequence_number": field("The highest sequence number received.", 3, **COUNT),
    "AlertCall.missing_sequence_numbers": field(
        "Numbers below it that are missing.", [], uniqueItems=True, items=COUNT
    ),
    "AlertWebhook.endpoint": field(
        "The URL, without user info, query and fragment.",
        "https://app.example.com/voice",
        pattern="^[a-z][a-z0-9+.-]*://[^?#@]+$",
    ),
    "AlertWebhook.method": field("The HTTP method.", "POST", **TEXT),
    "AlertWebhook.response_code": field(
        "The HTTP status; null without a response.", 500, minimum=100, maximum=599
    ),
    "AlertWebhook.duration_s": field("Seconds until the response.", 0.2, **COUNT),
    "AlertWebhook.attempts": field("How often the provider tried.", 1, **COUNT),
    "AlertWindow.from": field("When the newest window begins.", "2026-11-29T00:42:00.000000Z", **TIME),
    "AlertWindow.to": field("When it ends.", "2026-11-29T00:47:00.000000Z", **TIME),
    "AlertWindow.bad": field("Occurrences in it.", 12, **COUNT),
    "AlertWindow.all": field("Of how many; of at least so many where `share` is null.", 180, **COUNT),
    "AlertWindow.share": field("Their share; null where the number of good ones is not known.", 0.0667),
    "AlertWindow.baseline": field("The usual share; null without a history.", None),
    "AlertSample.key": field("The call.", f"twilio:{_CALL}", **TEXT),
    "AlertSample.at": field("When it occurred.", "2026-11-29T00:46:15.000000Z", **TIME),
    "AlertSample.text": field("What was seen.", "answered 502 after 0.2 s", **TEXT),
    "AlertEvidence.event_id": field(
        "The `id` of the event in `calls.events.v1`.", "ecab2b4b-d776-55a3-9da7-34944fd88727", **ID
    ),
}
