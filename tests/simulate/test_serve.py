"""The simulator lets in whoever reads with the settings that a poller has, and says what is missing."""

from __future__ import annotations

from dataclasses import replace

import pytest

from stream.polling.account import accounts
from stream.runtime.settings import SettingsError, load
from stream.simulate.options import Options
from stream.simulate.serve import served_as
from stream.simulate.signing import household

SERVED = Options(served=True)
SECRETS = {
    "CALLSTREAM_SIMULATE_TWILIO_ACCOUNT_TOKEN": "AC7=its-token",
    "CALLSTREAM_TELNYX_API_KEY": "KEY-mine",
}


def test_a_poller_of_a_household_is_let_in_and_reads_the_simulators_accounts() -> None:
    settings = load(household(load({}), {}, rest_url="http://127.0.0.1:8083"))
    account, keys = served_as(settings, SERVED)
    by_provider = {one.provider: one for one in accounts(settings)}
    twilio, telnyx = by_provider["twilio"], by_provider["telnyx"]
    assert keys.twilio_admits(twilio.authorization, account)
    assert keys.telnyx_admits(telnyx.authorization)
    assert twilio.id == account == settings.simulate_twilio_account_token[0][0]
    assert telnyx.id == settings.telnyx_account_id != ""
    assert (twilio.api_url, twilio.insights_url, telnyx.api_url) == (
        "http://127.0.0.1:8083",
        "http://127.0.0.1:8083",
        "http://127.0.0.1:8083/v2",
    )


def test_a_poller_with_an_api_key_is_let_in() -> None:
    own = {"CALLSTREAM_TWILIO_ACCOUNT_SID": "AC8", "CALLSTREAM_TWILIO_AUTH_TOKEN": "a-token"}
    key = {"CALLSTREAM_TWILIO_API_KEY": "SK1", "CALLSTREAM_TWILIO_API_SECRET": "its-secret"}
    settings = load({**own, **key, "CALLSTREAM_TELNYX_API_KEY": "KEY-mine"})
    account, keys = served_as(settings, SERVED)
    assert account == "AC8"
    assert keys.twilio_admits(accounts(settings)[0].authorization, "AC8")
    assert "its-secret" not in repr(keys)


def test_what_is_set_stays_as_it_is() -> None:
    environ = {**SECRETS, "CALLSTREAM_TELNYX_ACCOUNT_ID": "mine"}
    made = household(load(environ), environ, rest_url="http://127.0.0.1:1")
    assert made["CALLSTREAM_TELNYX_API_KEY"] == "KEY-mine"
    assert made["CALLSTREAM_TELNYX_ACCOUNT_ID"] == "mine"


def test_without_a_simulator_to_read_no_poller_is_sent_anywhere() -> None:
    assert not [name for name in household(load({}), {}) if "API" in name]


@pytest.mark.parametrize(
    ("environ", "options", "missing"),
    [
        ({}, replace(SERVED, telnyx=0.0), "CALLSTREAM_TWILIO_ACCOUNT_SID"),
        (
            {"CALLSTREAM_TWILIO_AUTH_TOKEN": "any"},
            replace(SERVED, telnyx=0.0),
            "CALLSTREAM_TWILIO_ACCOUNT_SID",
        ),
        ({}, replace(SERVED, telnyx=1.0), "CALLSTREAM_TELNYX_API_KEY"),
    ],
    ids=["no token", "no account", "no key"],
)
def test_what_is_missing_is_named(environ: dict[str, str], options: Options, missing: str) -> None:
    with pytest.raises(SettingsError, match=missing):
        served_as(load(environ), options)
    served_as(load(environ), replace(options, telnyx=1 - options.telnyx, sources=_of_the_other(options)))


def _of_the_other(options: Options) -> frozenset[str]:
    """Sources of the provider of which there are no calls."""
    return frozenset({"telnyx_call_event" if options.telnyx else "twilio_call"})
