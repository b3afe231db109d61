"""What an installation chooses of the labels of its metrics.

An endpoint of the customer's application has a table of the TOML file:

    [[endpoints]]
    name = "ivr"
    url = "https://app.example.com/voice/*"
"""

from __future__ import annotations

import re
from dataclasses import dataclass

import msgspec

from stream.service import setting_kinds as kinds
from stream.service.setting_kinds import setting

MOST = 50
"""Each has a dozen series."""

_NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9 ._/-]{0,63}")


class EndpointSetting(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """One such table. `url`: without query; `*` stands for any characters."""

    name: str
    url: str


def endpoint_settings(value: str) -> tuple[EndpointSetting, ...]:
    """Endpoints from JSON, the form in which the TOML file's tables arrive here. Raises ValueError."""
    try:
        found = msgspec.json.decode(value or "[]", type=tuple[EndpointSetting, ...])
    except msgspec.DecodeError:
        raise ValueError("must be a list of tables, each with `name` and `url`") from None
    if len(found) > MOST:
        raise ValueError(f"must be at most {MOST} tables")
    for number, one in enumerate(found, 1):
        if not _NAME.fullmatch(one.name):
            raise ValueError(f"table {number}: name must be letters, digits, spaces and ._/-, at most 64")
        if not one.url.startswith(("http://", "https://", "*")):
            raise ValueError(f"table {number}: url must begin with https://, http:// or *")
    return found


@dataclass(frozen=True, kw_only=True)
class MetricSettings:
    """The lists of values that have their own series; everything else is `other`."""

    endpoints: tuple[EndpointSetting, ...] = setting(
        (),
        "names of your application's endpoints in the metrics: `[[endpoints]]` tables of the TOML file; "
        "empty: host and path of the 20 busiest",
        endpoint_settings,
    )
    metric_accounts: tuple[tuple[str, str], ...] = setting(
        (),
        "`ACCOUNT=name` of accounts with their own series, with commas; also their `account_alias` in "
        "records; empty: all accounts are `CALLSTREAM_ACCOUNT_ALIAS`",
        kinds.account_names,
    )
    metric_error_codes: tuple[str, ...] = setting(
        (), "error codes with their own series, with commas; empty: those that one can act on", kinds.codes
    )
    metric_sip_codes: tuple[str, ...] = setting(
        (), "SIP response codes with their own series, with commas; empty: the usual ones", kinds.codes
    )
