"""Which requests are counted together."""

from __future__ import annotations

import pytest

from stream.core.alerting.observations import endpoint_key, endpoint_of
from stream.core.effects import Observed
from tests.core.deliveries import START_US, callback
from tests.core.folding import tell


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


def test_an_end_is_counted_in_the_minute_in_which_it_was_not_when_it_was_heard() -> None:
    ended = callback("failed", "1", 3, received_s=600.0)
    (observed,) = tell([ended]).all_of(Observed)
    assert (observed.at_us - START_US, observed.heard_us - START_US) == (3_000_000, 600_000_000)
