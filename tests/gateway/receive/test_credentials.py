"""The gateway's credentials, from the settings; no secret is shown."""

from __future__ import annotations

from ipaddress import ip_network

import pytest

from stream.gateway.receive.credentials import GatewayCredentials
from stream.gateway.receive.verification import tokens_of
from stream.service.settings import SettingsError, load
from tests.gateway.signing import public


def test_accounts_tokens_keys_and_proxies_come_from_the_settings() -> None:
    credentials = GatewayCredentials.from_settings(
        load(
            {
                "CALLSTREAM_TWILIO_ACCOUNT_SID": "AC1",
                "CALLSTREAM_TWILIO_AUTH_TOKEN": "new,old",
                "CALLSTREAM_TWILIO_ACCOUNT_TOKENS": "AC2=second,AC1=third,AC1=old",
                "CALLSTREAM_TWILIO_SHARED_KEYS": "key_1=shared, AC2/key_2=its=own",
                "CALLSTREAM_TWILIO_SUBACCOUNTS": "AC3=AC1, AC4 = AC2",
                "CALLSTREAM_TELNYX_PUBLIC_KEY": public(),
                "CALLSTREAM_TELNYX_TOLERANCE_S": "60",
                "CALLSTREAM_TRUSTED_PROXIES": "10.0.0.0/8",
                "CALLSTREAM_PUBLIC_URL": "https://h.test",
                "CALLSTREAM_UNSIGNED_CALLBACKS": "accept",
            }
        )
    )
    assert credentials.twilio_tokens == {"AC1": ("new", "old", "third"), "AC2": ("second",)}
    assert credentials.twilio_shared_keys == {"key_1": ("AC1", "shared"), "key_2": ("AC2", "its=own")}
    assert credentials.twilio_subaccounts == {"AC3": "AC1", "AC4": "AC2"}
    assert credentials.signer("AC1") == ("AC1", {"AC3"}, {"AC1", "AC2", "AC4"})
    assert (len(credentials.telnyx_keys), credentials.telnyx_tolerance_s) == (1, 60.0)
    assert (credentials.trusted_proxies, credentials.public_url) == (
        (ip_network("10.0.0.0/8"),),
        "https://h.test",
    )
    assert credentials.accept_unsigned
    assert not any(
        secret in repr(credentials) for secret in ("new", "old", "second", "third", "shared", "its")
    )
    assert "shared" not in repr(credentials.twilio_shared_keys)


def test_a_shared_key_is_any_accounts_where_no_account_is_configured() -> None:
    credentials = GatewayCredentials.from_settings(load({"CALLSTREAM_TWILIO_SHARED_KEYS": "key_1=shared"}))
    assert credentials.twilio_shared_keys == {"key_1": ("", "shared")}


@pytest.mark.parametrize("value", ["AC1", "AC1=", "=AC1", "AC1=AC1", "AC1=AC2,AC1=AC3"])
def test_a_subaccount_is_under_one_account_that_is_another(value: str) -> None:
    with pytest.raises(SettingsError, match="CALLSTREAM_TWILIO_SUBACCOUNTS"):
        load({"CALLSTREAM_TWILIO_SUBACCOUNTS": value})


def test_unsigned_requests_are_refused_unless_they_are_allowed() -> None:
    assert not GatewayCredentials.from_settings(load({})).accept_unsigned


def test_a_token_speaks_for_its_own_account_and_one_without_for_any() -> None:
    own = GatewayCredentials(twilio_tokens={"AC1": ("a", "b"), "AC2": ("c",)})
    assert tokens_of(own, "AC1") == [("AC1", "a"), ("AC1", "b")]
    assert tokens_of(own, "AC3") == []
    assert tokens_of(own, None) == [("AC1", "a"), ("AC1", "b"), ("AC2", "c")]
    every = GatewayCredentials(twilio_tokens={"": ("x",), "AC2": ("c",)})
    assert tokens_of(every, "AC3") == [("", "x")]
    assert tokens_of(every, "AC2") == [("AC2", "c"), ("", "x")]
