"""Who is let in."""

from __future__ import annotations

import base64

import pytest

from stream.simulator.rest.credentials import ApiCredentials
from tests.simulator.rest.resource_fakes import ACCOUNT, KEY, KEYS, SECRET, TELNYX_KEY, TOKEN, basic


def test_the_account_comes_in_with_its_token_and_a_key_with_its_secret() -> None:
    assert KEYS.twilio_admits(basic(ACCOUNT, TOKEN), ACCOUNT)
    assert KEYS.twilio_admits(basic(KEY, SECRET), ACCOUNT)
    assert ApiCredentials(twilio_tokens=("old", "new")).twilio_admits(basic(ACCOUNT, "new"), ACCOUNT)


@pytest.mark.parametrize(
    "authorization",
    [
        "",
        "Basic",
        "Basic !!!",
        "Basic " + base64.b64encode(b"\xff\xfe").decode(),
        f"Bearer {TOKEN}",
        basic(ACCOUNT, ""),
        basic(ACCOUNT, SECRET),
        basic(KEY, TOKEN),
        basic("AC" + "1" * 32, TOKEN),
        basic("", ""),
        basic(ACCOUNT, "tokén"),
    ],
)
def test_nobody_else_does(authorization: str) -> None:
    assert not KEYS.twilio_admits(authorization, ACCOUNT)
    assert not KEYS.telnyx_admits(authorization)


def test_telnyx_takes_a_bearer_token() -> None:
    assert KEYS.telnyx_admits(f"Bearer {TELNYX_KEY}")
    assert not KEYS.telnyx_admits(f"Bearer {TELNYX_KEY}x")
    assert not KEYS.telnyx_admits("Bearer ")


def test_without_keys_nobody_is_let_in() -> None:
    assert not ApiCredentials().twilio_admits(basic(ACCOUNT, ""), ACCOUNT)
    assert not ApiCredentials().telnyx_admits("Bearer ")


def test_keys_are_in_no_repr() -> None:
    assert repr(KEYS) == "ApiCredentials()"
