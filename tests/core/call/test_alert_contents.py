"""What the alert of a failed call says of the call: its cause, and who vouches for the caller."""

from __future__ import annotations

import pytest

from tests.core.deliveries import Delivery, callback, calls_row, telnyx, telnyx_event
from tests.core.folding import tell
from tests.core.mixtures import texml

NOT_FOUND = telnyx(telnyx_event("call.hangup", "e3", 3, hangup_cause="not_found"))


@pytest.mark.parametrize(
    ("deliveries", "attestation"),
    [
        ([callback("ringing", "0", 0, StirStatus="B"), callback("failed", "1", 3)], "B"),
        ([callback("failed", "0", 3, StirVerstat="TN-Validation-Passed-A")], "A"),
        ([callback("failed", "0", 3, StirVerstat="TN-Validation-Failed-A")], None),
        ([telnyx(telnyx_event("call.initiated", "e1", 0, shaken_stir_attestation="C")), NOT_FOUND], "C"),
        ([telnyx(telnyx_event("call.initiated", "e1", 0, shaken_stir_attestation=["A"])), NOT_FOUND], None),
        ([texml("failed", "0", 3, received_s=4.0, ShakenStirAttestation="A")], "A"),
    ],
)
def test_an_alert_has_the_attestation_of_the_caller(
    deliveries: list[Delivery], attestation: str | None
) -> None:
    (alert,) = tell(deliveries).alerts
    assert alert.call is not None
    assert alert.call.stir_attestation == attestation


@pytest.mark.parametrize(
    ("cause", "text"),
    [
        ("not_found", "The call failed with SIP response code 404 (hangup cause not_found)."),
        ("unspecified", "The call failed with SIP response code 404."),
        ("", "The call failed with SIP response code 404."),
    ],
)
def test_the_cause_of_a_hangup_is_named_if_it_says_something(cause: str, text: str) -> None:
    hangup = telnyx_event("call.hangup", "e3", 3, hangup_cause=cause, sip_hangup_cause="404")
    (alert,) = tell([telnyx(hangup)]).alerts
    assert alert.reason.text == text


def test_a_source_that_says_another_end_does_not_confirm_that_a_call_failed() -> None:
    failed = [calls_row("failed"), callback("completed", "1", 3)]
    (confidence,) = {one.confidence for one in tell(failed).alerts if one.rule.id == "call.failed"}
    assert confidence == "provisional"


@pytest.mark.parametrize(
    ("code", "severity"), [("11100", "warning"), ("20500", "warning"), ("13227", "info"), ("32016", "info")]
)
def test_a_failure_of_the_application_or_the_provider_is_a_warning(code: str, severity: str) -> None:
    (alert,) = tell([callback("failed", "0", 3, ErrorCode=code)]).alerts
    assert alert.severity == severity
