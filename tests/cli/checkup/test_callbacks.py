"""Whether the settings let callbacks in."""

from __future__ import annotations

from ipaddress import ip_network

import pytest

from stream.cli.checkup.callbacks import callbacks
from stream.service.settings import Settings
from tests.gateway.signing import ACCOUNT, TOKEN, public

GOOD = Settings(
    public_url="https://calls.example.com",
    twilio_account_sid=ACCOUNT,
    twilio_auth_token=(TOKEN, "older-token"),
    twilio_account_tokens=(("AC" + "1" * 32, "sub-token"),),
    telnyx_public_key=(public(),),
)


def test_a_whole_configuration_is_well() -> None:
    assert [tuple(check) for check in callbacks(GOOD)] == [
        ("twilio callbacks", "ok", "verified with 3 auth tokens, those of 2 accounts", ""),
        ("telnyx callbacks", "ok", "verified with 1 public key", ""),
        ("unsigned callbacks", "ok", "refused", ""),
        ("public URL", "ok", "https://calls.example.com", ""),
    ]


@pytest.mark.parametrize(
    ("settings", "name", "state", "says", "mend"),
    [
        (Settings(), "twilio callbacks", "warning", "not configured", "CALLSTREAM_TELNYX_PUBLIC_KEY"),
        (Settings(telnyx_public_key=(public(),)), "twilio callbacks", "ok", "not configured", ""),
        (Settings(twilio_auth_token=(TOKEN,)), "twilio callbacks", "ok", "those of every account", ""),
        (
            Settings(twilio_auth_token=(f'"{TOKEN}"',)),
            "twilio callbacks",
            "warning",
            "quotes",
            "CALLSTREAM_TWILIO_AUTH_TOKEN",
        ),
        (
            Settings(twilio_account_sid="SK" + "0" * 32, twilio_auth_token=(TOKEN,)),
            "twilio callbacks",
            "warning",
            "SK…0000 is not an account SID",
            "CALLSTREAM_TWILIO_ACCOUNT_SID",
        ),
        (
            Settings(twilio_account_tokens=(("+15005550006", TOKEN),)),
            "twilio callbacks",
            "warning",
            "not an account SID",
            "CALLSTREAM_TWILIO_ACCOUNT_TOKENS",
        ),
        (
            Settings(twilio_account_tokens=((ACCOUNT, TOKEN),), twilio_subaccounts=(("AC9", "AC8"),)),
            "twilio callbacks",
            "warning",
            "under an account that has neither",
            "CALLSTREAM_TWILIO_SUBACCOUNTS",
        ),
        (
            Settings(twilio_account_tokens=((ACCOUNT, TOKEN),), twilio_subaccounts=(("AC9", ACCOUNT),)),
            "twilio callbacks",
            "ok",
            "1 auth token",
            "",
        ),
        (Settings(), "telnyx callbacks", "ok", "not configured", ""),
        (
            Settings(telnyx_public_key=("A" * 59 + "=",)),
            "telnyx callbacks",
            "failed",
            "not an Ed25519 key",
            "CALLSTREAM_TELNYX_PUBLIC_KEY",
        ),
        (
            Settings(unsigned_callbacks="accept"),
            "unsigned callbacks",
            "warning",
            "ACCEPTED",
            "CALLSTREAM_UNSIGNED_CALLBACKS=refuse",
        ),
        (Settings(), "public URL", "warning", "not set", "CALLSTREAM_PUBLIC_URL"),
        (
            Settings(twilio_auth_token=(TOKEN,)),
            "public URL",
            "warning",
            "Host header",
            "CALLSTREAM_PUBLIC_URL",
        ),
        (
            Settings(twilio_shared_keys=(("k", TOKEN),), trusted_proxies=(ip_network("10.0.0.0/8"),)),
            "public URL",
            "warning",
            "Host header",
            "CALLSTREAM_PUBLIC_URL",
        ),
        (Settings(twilio_shared_keys=(("k", TOKEN),)), "twilio callbacks", "ok", "1 shared key", ""),
        (
            Settings(trusted_proxies=(ip_network("10.0.0.0/8"),)),
            "public URL",
            "ok",
            "as the trusted proxies say",
            "",
        ),
        (
            Settings(public_url="http://my_host.example.com"),
            "public URL",
            "warning",
            "underscore",
            "CALLSTREAM_PUBLIC_URL",
        ),
    ],
)
def test_what_is_not_well_is_said_with_its_setting(
    settings: Settings, name: str, state: str, says: str, mend: str
) -> None:
    (check,) = [one for one in callbacks(settings) if one.name == name]
    assert (check.state, says in check.says, mend in check.mend, bool(check.mend)) == (
        state,
        True,
        True,
        bool(mend),
    )
    assert not [secret for secret in (TOKEN, "15005550006") if secret in repr(check)]
