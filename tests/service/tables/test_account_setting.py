"""Tables of accounts: what they may say, and that no message tells what is secret."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from stream.service.settings import SettingsError, load
from stream.service.tables.account_setting import AccountSetting, account_settings

EUROPE = {"provider": "twilio", "id": "AC1", "alias": "europe", "user": "SK1", "secret": "hush", "rate": 2.5}


def test_a_table_is_read_as_it_says_and_shows_no_secret() -> None:
    (one,) = account_settings(json.dumps([EUROPE]))
    assert one == AccountSetting(
        provider="twilio", id="AC1", alias="europe", user="SK1", secret="hush", rate=2.5
    )
    assert "hush" not in repr(one)


def test_a_secret_may_be_in_a_file(tmp_path: Path) -> None:
    (tmp_path / "key").write_text("hush\n")
    (one,) = account_settings(json.dumps([{"provider": "telnyx", "secret_file": str(tmp_path / "key")}]))
    assert (one.secret, one.id) == ("hush", "")


@pytest.mark.parametrize(
    ("change", "said"),
    [
        ({"provider": "nexmo"}, "table 1: provider must be one of twilio, telnyx"),
        ({"id": ""}, "table 1: an account of Twilio needs its id"),
        ({"secret": ""}, "table 1: either secret or secret_file"),
        ({"secret_file": "/x"}, "table 1: either secret or secret_file"),
        ({"secret": "", "secret_file": "/nowhere/hush"}, "table 1: secret_file cannot be read"),
        ({"colour": "red"}, "table 1 has an unknown key 'colour'"),
        ({"rate": "fast"}, "table 1: Expected `float | null`, got `str`"),
        ({"rate": 0}, "table 1: rate must be above 0"),
        ({"api_url": "api.twilio.com"}, "table 1: api_url must be an http or https URL"),
        ({"api_url": "https://hush@proxy.example"}, "table 1: api_url must be an http or https URL"),
        ({"insights_url": "https://h:99999"}, "table 1: insights_url must be an http or https URL"),
        ({"monitor_url": "monitor"}, "table 1: monitor_url must be an http or https URL"),
        ({"concurrency": -1}, "table 1: concurrency must be above 0"),
    ],
)
def test_what_cannot_be_used_is_said_without_a_value(change: dict[str, Any], said: str) -> None:
    with pytest.raises(ValueError, match="table") as raised:
        account_settings(json.dumps([EUROPE | change]))
    assert said in str(raised.value)
    assert "hush" not in str(raised.value)


def test_an_account_is_named_once() -> None:
    with pytest.raises(ValueError, match="twice"):
        account_settings(json.dumps([EUROPE, EUROPE]))


def test_tables_come_from_the_file(tmp_path: Path) -> None:
    file = tmp_path / "callstream.toml"
    file.write_text('[[poll_accounts]]\nprovider = "telnyx"\nid = "org1"\nsecret = "hush"\n')
    loaded = load({"CALLSTREAM_CONFIG": str(file)})
    assert loaded.poll_accounts == (AccountSetting(provider="telnyx", id="org1", secret="hush"),)
    assert "hush" not in repr(loaded)
    file.write_text('[[poll_accounts]]\nprovider = "hush"\n')
    with pytest.raises(SettingsError, match="CALLSTREAM_POLL_ACCOUNTS table 1: provider") as raised:
        load({"CALLSTREAM_CONFIG": str(file)})
    assert "hush" not in str(raised.value)
