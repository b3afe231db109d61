"""The content of alerts, and their ids as functions of the input alone."""

from __future__ import annotations

import msgspec
import pytest

from stream.core.identity import VERSION, name_id
from stream.core.policy import CallPolicy
from stream.core.privacy.masking import Privacy
from tests.core.deliveries import (
    ACCOUNT,
    CALL_ID,
    TWILIO_KEY,
    answered_call,
    at,
    callback,
    calls_row,
    insight,
    logged,
    parameters,
    telnyx,
    telnyx_event,
    telnyx_row,
)
from tests.core.folding import tell

FAILED = [
    callback("initiated", "0", 0),
    callback("failed", "2", 3, SipResponseCode="503", ErrorCode="13224"),
]


def test_the_alert_of_a_failed_call() -> None:
    told = tell(FAILED, policy=CallPolicy(account_alias="acme"))
    (alert,) = told.alerts
    opening = told.events[1]
    fingerprint = name_id(VERSION, "alert", "call.failed", "twilio", ACCOUNT, "call", TWILIO_KEY)
    episode_id = name_id(VERSION, "episode", fingerprint, opening.id)
    assert msgspec.to_builtins(alert) == {
        "schema_version": 1,
        "id": name_id(VERSION, "revision", fingerprint, episode_id, 1),
        "fingerprint": fingerprint,
        "episode_id": episode_id,
        "revision": 1,
        "state": "firing",
        "severity": "warning",
        "rule": {"id": "call.failed", "version": 1},
        "provider": "twilio",
        "account": "acme",
        "scope": {"type": "call", "id": TWILIO_KEY},
        "starts_at": at(3),
        "ends_at": None,
        "detected_at": at(3.5),
        "updated_at": at(3.5),
        "confidence": "confirmed",
        "reason": {
            "code": "failed",
            "text": "The call failed with SIP response code 503 and error code 13224.",
            "provider_error_code": "13224",
            "sip_response_code": 503,
        },
        "call": {
            "id": CALL_ID,
            "parent_id": None,
            "session_id": None,
            "leg_id": None,
            "direction": "outbound",
            "status": "failed",
            "outcome": "failed",
            "started_at": at(0),
            "ended_at": at(3),
            "duration_seconds": None,
            "from_masked": "+15*******06",
            "to_masked": "+15*******09",
            "edge": None,
            "stir_attestation": None,
            "last_sequence_number": 2,
            "missing_sequence_numbers": [1],
        },
        "webhook": None,
        "occurrences": 1,
        "evidence": [
            {
                "source": "twilio_status_callback",
                "event_id": opening.id,
                "name": "completed",
                "level": None,
                "sequence_number": 2,
                "occurred_at": at(3),
                "received_at": at(3.5),
                "topic": "calls.callbacks.v1",
                "partition": 0,
                "offset": 1,
            }
        ],
        "links": {},
        "labels": {},
    }


def test_a_failed_call_is_told_once_however_many_say_so() -> None:
    told = tell([*FAILED, *FAILED, calls_row("failed"), logged(parameters("failed", "2", 3))])
    assert [alert.rule.id for alert in told.alerts] == ["call.failed"]


def test_the_name_of_an_account_does_not_change_what_an_alert_is() -> None:
    first, second = (tell(FAILED, policy=CallPolicy(account_alias=alias)).alerts[0] for alias in ("a", "b"))
    assert (first.id, first.fingerprint, first.episode_id) == (
        second.id,
        second.fingerprint,
        second.episode_id,
    )


def test_each_error_event_opens_an_alert_of_its_own_once() -> None:
    error = insight("error", 3, level="ERROR", edge="sdk_edge", sdk_edge={"error": {"code": 31600}})
    other = insight("failed", 4, level="ERROR")
    told = tell([*answered_call(), error, insight("x", level="WARNING"), other, error])
    first, second = told.alerts
    assert (first.rule.id, first.severity, first.starts_at, first.detected_at) == (
        "call.error_event",
        "warning",
        at(3),
        at(150),
    )
    assert msgspec.to_builtins(first.reason) == {
        "code": "error_event",
        "text": "The provider reported an error: connection error at sdk_edge, error code 31600.",
        "provider_error_code": "31600",
        "sip_response_code": None,
    }
    assert first.call is not None
    assert (first.call.status, first.call.edge) == ("completed", "sdk_edge")
    assert first.fingerprint == second.fingerprint
    assert first.episode_id != second.episode_id


def test_a_telnyx_event_that_says_it_failed_is_an_error_event() -> None:
    (alert,) = tell([telnyx(telnyx_event("call.speak.failed", "e1", 4))]).alerts
    assert (alert.rule.id, alert.provider, alert.starts_at) == ("call.error_event", "telnyx", at(4))


def test_an_event_without_a_time_starts_its_alert_when_it_was_received() -> None:
    (alert,) = tell([callback("failed", "1", None, received_s=9)]).alerts
    assert alert.starts_at == alert.detected_at == at(9)


@pytest.mark.parametrize(
    ("code", "reason", "text"),
    [
        (500, "http_5xx", "The application answered 500 at https://hooks.example.test/tw."),
        (404, "http_4xx", "The application answered 404 at https://hooks.example.test/tw."),
        (None, "http_none", "The application did not answer at https://hooks.example.test/tw."),
    ],
)
def test_an_application_that_does_not_answer_as_it_should_is_an_alert_of_its_endpoint(
    code: int | None, reason: str, text: str
) -> None:
    (alert,) = tell([logged(parameters("ringing", "1", 1), code=code)]).alerts
    assert (alert.rule.id, alert.severity, alert.reason.code, alert.reason.text) == (
        "webhook.failing",
        "critical",
        reason,
        text,
    )
    assert msgspec.to_builtins(alert.scope) == {
        "type": "endpoint",
        "id": f"twilio:endpoint:{ACCOUNT}:https://hooks.example.test/tw",
    }
    assert msgspec.to_builtins(alert.webhook) == {
        "endpoint": "https://hooks.example.test/tw",
        "method": "POST",
        "response_code": code,
        "duration_seconds": 0.038,
        "attempts": None,
    }
    assert alert.call is not None
    assert (alert.call.id, alert.call.status) == (CALL_ID, "ringing")


def test_an_application_that_answers_well_is_not_an_alert() -> None:
    assert tell([logged(parameters("ringing", "1", 1), code=204)]).alerts == []


def test_each_failing_row_is_an_episode_of_one_condition_of_the_endpoint() -> None:
    told = tell([logged(parameters("ringing", "1", 1), code=500, ordinal=n % 2) for n in range(4)])
    first, second = told.alerts
    assert first.fingerprint == second.fingerprint
    assert len({first.id, second.id, first.episode_id, second.episode_id}) == 4


def test_a_webhook_that_telnyx_could_not_deliver_is_an_alert_of_its_endpoint() -> None:
    (alert,) = tell([telnyx_row(telnyx_event("call.answered", "e1", 4), status="failed")]).alerts
    assert (alert.rule.id, alert.reason.code) == ("webhook.failing", "http_none")
    assert alert.webhook is not None
    assert alert.webhook.attempts == 1


@pytest.mark.parametrize(
    ("mode", "from_masked"),
    [
        ("masked", "+15*******06"),
        ("hashed", Privacy("hashed", "s").address("+15005550006")),
        ("full", "+15*******06"),
    ],
)
def test_what_is_named_masked_is_masked_in_every_mode(mode: str, from_masked: str) -> None:
    (alert,) = tell(FAILED, privacy=Privacy(mode, "s")).alerts
    assert alert.call is not None
    assert alert.call.from_masked == from_masked


@pytest.mark.parametrize(
    ("mode", "said"),
    [
        ("masked", "https://h.test/%2B14*******42/status"),
        ("full", "https://h.test/%2B14155550142/status"),
    ],
)
def test_the_key_of_an_endpoint_holds_no_number_in_any_mode(mode: str, said: str) -> None:
    row = logged(parameters("ringing", "1", 1), code=500, url="https://h.test/%2B14155550142/status?x=1")
    (alert,) = tell([row], privacy=Privacy(mode)).alerts
    assert alert.scope.id == f"twilio:endpoint:{ACCOUNT}:https://h.test/%2B14*******42/status"
    assert alert.reason.text == f"The application answered 500 at {said}."
    assert alert.webhook is not None
    assert alert.webhook.endpoint == said
