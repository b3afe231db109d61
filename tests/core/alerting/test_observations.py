"""Which requests are counted together."""

from __future__ import annotations

import pytest

from stream.core.alerting.observations import endpoint_key, endpoint_of


@pytest.mark.parametrize(
    ("path", "counted_as"),
    [
        ("/voice/CA8680230f4477433c7935a967bcc6def1", "/voice/*"),
        ("/calls/3f2b8a52-1c37-4b8e-9d0e-5a6b7c8d9e0f/status", "/calls/*/status"),
        ("/orders/12345/67890", "/orders/*/*"),
        ("/hook2/v1/2010-04-01/answer-inbound-europe", "/hook2/v1/2010-04-01/answer-inbound-europe"),
        ("/", "/"),
        ("", ""),
    ],
)
def test_a_url_with_an_id_of_the_call_is_no_endpoint_of_its_own(path: str, counted_as: str) -> None:
    assert (
        endpoint_of(f"https://node-a1b2c3d4-voice.example.com{path}")
        == f"https://node-a1b2c3d4-voice.example.com{counted_as}"
    )


def test_an_endpoint_is_of_a_provider_and_an_account_and_shows_no_number() -> None:
    key = endpoint_key("twilio", "AC1", "https://app.example.com/to/+15005550006")
    assert key.startswith("twilio:endpoint:AC1:https://app.example.com/to/")
    assert "5005550006" not in key
