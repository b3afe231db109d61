"""Which accounts are read, with which credentials, and what of them is shown."""

from __future__ import annotations

from dataclasses import replace

import pytest

from stream.poller.resources.account import Account, accounts, lacks_twilio_account
from stream.service.settings import Settings
from stream.service.tables.account_setting import AccountSetting

SID, OTHER = "AC" + "0a" * 16, "AC" + "0b" * 16


def test_one_account_of_each_provider_is_read_with_what_the_settings_name() -> None:
    found = accounts(
        Settings(
            twilio_account_sid=SID,
            twilio_auth_token=("new", "old"),
            telnyx_api_key="KEY1",
            telnyx_account_id="org",
            telnyx_api_url="http://127.0.0.1:1/v2/",
            poll_rate=3.0,
            poll_concurrency=2,
        )
    )
    assert found == [
        Account(
            provider="twilio",
            id=SID,
            alias="default",
            api_url="https://api.twilio.com",
            insights_url="https://insights.twilio.com",
            monitor_url="https://monitor.twilio.com",
            user=SID,
            secret="new",
            rate=3.0,
            concurrency=2,
        ),
        Account(
            provider="telnyx",
            id="org",
            alias="default",
            api_url="http://127.0.0.1:1/v2",
            secret="KEY1",
            rate=3.0,
            concurrency=2,
        ),
    ]
    assert [one.authorization for one in found] == [
        "Basic QUMwYTBhMGEwYTBhMGEwYTBhMGEwYTBhMGEwYTBhMGEwYTpuZXc=",
        "Bearer KEY1",
    ]
    assert [one.name for one in found] == ["twilio/default", "telnyx/default"]


def test_an_api_key_is_preferred_to_the_token() -> None:
    (one,) = accounts(
        Settings(
            twilio_account_sid=SID,
            twilio_auth_token=("t",),
            twilio_api_key="SK1",
            twilio_api_secret="s",
            twilio_account_tokens=((SID, "other"),),
        )
    )
    assert (one.id, one.user, one.secret) == (SID, "SK1", "s")


def test_several_accounts_are_told_apart_by_alias_or_by_the_ends_of_their_ids() -> None:
    found = accounts(
        Settings(
            twilio_account_tokens=((SID, "a"), (OTHER, "b")),
            poll_accounts=(
                AccountSetting(provider="twilio", id="AC3", alias="europe", secret="c", rate=1.5),
            ),
        )
    )
    assert [(one.alias, one.rate) for one in found] == [("europe", 1.5), ("AC...0a0a", 10), ("AC...0b0b", 10)]


def test_an_accounts_own_table_wins_over_the_general_settings() -> None:
    table = AccountSetting(provider="twilio", id=SID, secret="c", api_url="http://127.0.0.1:1")
    (one,) = accounts(Settings(twilio_account_tokens=((SID, "a"),), poll_accounts=(table,)))
    assert (one.secret, one.api_url, one.insights_url, one.alias) == (
        *("c", "http://127.0.0.1:1"),
        *("https://insights.twilio.com", "default"),
    )


@pytest.mark.parametrize(
    ("api_url", "place"),
    [
        ("https://api.dublin.ie1.twilio.com", "dublin.ie1.twilio.com"),
        ("https://api.au1.twilio.com/", "au1.twilio.com"),
        ("https://api.twilio.com", "twilio.com"),
        ("https://api.ie1.twilio.com.example", "twilio.com"),
        ("http://127.0.0.1:1", "twilio.com"),
    ],
)
def test_voice_insights_and_alerts_are_read_in_the_region_of_the_account(api_url: str, place: str) -> None:
    table = AccountSetting(provider="twilio", id=SID, secret="c", api_url=api_url)
    (by_table,) = accounts(Settings(poll_accounts=(table,)))
    (by_setting,) = accounts(Settings(twilio_account_tokens=((SID, "a"),), twilio_api_url=api_url))
    for one in (by_table, by_setting):
        assert (one.insights_url, one.monitor_url) == (
            f"https://insights.{place}",
            f"https://monitor.{place}",
        )


@pytest.mark.parametrize("product", ["insights", "monitor"])
def test_the_base_urls_of_other_products_can_be_configured(product: str) -> None:
    europe = "https://api.dublin.ie1.twilio.com"
    default = f"https://{product}.twilio.com"
    table = AccountSetting(
        provider="twilio", id=SID, secret="c", api_url=europe, **{f"{product}_url": default}
    )
    (by_table,) = accounts(Settings(poll_accounts=(table,)))
    settings = replace(
        Settings(twilio_account_tokens=((SID, "a"),), twilio_api_url=europe),
        **{f"twilio_{product}_url": "https://i.example/"},
    )
    (by_setting,) = accounts(settings)
    found = [getattr(one, f"{product}_url") for one in (by_table, by_setting)]
    assert found == [default, "https://i.example"]


def test_two_accounts_of_a_provider_have_different_names() -> None:
    tables = tuple(
        AccountSetting(provider="twilio", id=id_, alias=alias, secret="c")
        for id_, alias in (("AC1", "europe"), ("AC2", "europe"), ("AC3", "europe-2"), ("AC4", "europe"))
    )
    assert [one.alias for one in accounts(Settings(poll_accounts=tables))] == [
        *("europe", "europe-2", "europe-2-2", "europe-3")
    ]


def test_no_secret_is_shown() -> None:
    for one in accounts(Settings(twilio_account_sid=SID, twilio_auth_token=("hush",), telnyx_api_key="hush")):
        assert "hush" not in repr(one)


def test_without_credentials_nothing_is_read() -> None:
    assert accounts(Settings(twilio_account_sid=SID, twilio_api_key="SK1")) == []


@pytest.mark.parametrize(
    ("settings", "expected"),
    [
        (Settings(), False),
        (Settings(telnyx_api_key="KEY1"), False),
        (Settings(twilio_auth_token=("t",), telnyx_api_key="KEY1"), True),
        (Settings(twilio_api_key="SK1", twilio_api_secret="s"), True),
        (Settings(twilio_auth_token=("t",), twilio_account_sid=SID), False),
        (Settings(twilio_auth_token=("t",), twilio_account_tokens=((SID, "a"),)), False),
    ],
)
def test_twilio_credentials_without_an_account_are_noticed(settings: Settings, expected: bool) -> None:
    assert lacks_twilio_account(settings) is expected
