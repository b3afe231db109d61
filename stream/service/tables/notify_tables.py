"""Where alerts are sent, and which: tables of the TOML file, one for each sink and one for each route.

    [[notify_sinks]]
    name = "oncall"
    type = "pagerduty"
    secret_file = "/run/secrets/pagerduty"

    [[notify_routes]]
    sink = "oncall"
    severities = ["critical"]

A sink that no route names gets every alert. No message repeats a value that may be a secret.
"""

from __future__ import annotations

import base64
import binascii
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any

from stream.core.alerting.rules import SEVERITIES
from stream.service import setting_kinds as kinds
from stream.service.tables.toml_table import check_url, converted, file_content, tables

PAGERDUTY_URL = "https://events.pagerduty.com/v2/enqueue"
SIGNING_KEY = "whsec_"
"""How a signing secret of Standard Webhooks begins; base64 follows."""

NEEDS: Mapping[str, tuple[str, ...]] = {
    "alertmanager": ("url",),
    "pagerduty": ("secret",),
    "slack": ("url",),
    "webhook": ("url", "secret"),
    "log": (),
}
"""The types of sinks, and what each must be given."""

_MAY_HAVE = {**NEEDS, "pagerduty": ("url", "secret")}
_NAME = re.compile(r"[a-z0-9][a-z0-9_-]{0,31}")
_RULE = re.compile(r"[a-z0-9_.]+|[a-z0-9_.]*\*")
MOST_SINKS = 20


@dataclass(frozen=True, slots=True, kw_only=True)
class SinkSetting:
    """One table `[[notify_sinks]]`.

    - `name`: of its consumer group and its metrics.
    - `url`: Alertmanager's base URL, Slack's webhook URL, the webhook's URL; PagerDuty's has a default.
    - `secret`: PagerDuty's routing key, the webhook's signing secret (`whsec_` and base64).
    - `retry_s`: an alert that the sink has not taken for so long becomes a dead letter.
    """

    name: str
    type: str
    url: str = field(default="", repr=False)
    url_file: str = ""
    secret: str = field(default="", repr=False)
    secret_file: str = ""
    retry_s: float = 86_400.0


@dataclass(frozen=True, slots=True, kw_only=True)
class RouteSetting:
    """One table `[[notify_routes]]`: which alerts a sink gets. An empty tuple: all of them.

    - `rules`: ids, or their beginning and a `*`. `accounts`: ids or aliases.
    - `wait_s`: so long are facts about calls collected for one notification.
    - `interval_s`: between two notifications of one group.
    - `per_minute`: notifications at most.
    """

    sink: str
    name: str = ""
    rules: tuple[str, ...] = ()
    severities: tuple[str, ...] = ()
    accounts: tuple[str, ...] = ()
    wait_s: float = 30.0
    interval_s: float = 300.0
    per_minute: int = 3


LOG_SINK = SinkSetting(name="log", type="log")
"""Where alerts go if no sink is configured."""


def wrong_routes(values: Mapping[str, Any]) -> list[str]:
    """A sentence for each route whose sink does not exist. `values`: the settings, by field."""
    sinks = {one.name for one in values.get("notify_sinks") or (LOG_SINK,)}
    return [
        f"CALLSTREAM_NOTIFY_ROUTES table {number}: no sink is named {one.sink}"
        for number, one in enumerate(values.get("notify_routes", ()), 1)
        if one.sink not in sinks
    ]


def sink_settings(value: str) -> tuple[SinkSetting, ...]:
    """Sinks from JSON, the form in which the TOML file's tables arrive here. Raises ValueError."""
    found = tuple(_sink(number, table) for number, table in enumerate(tables(value), 1))
    if len({one.name for one in found}) < len(found):
        raise ValueError("names a sink twice")
    if len(found) > MOST_SINKS:
        raise ValueError(f"must be at most {MOST_SINKS} tables")
    return found


def route_settings(value: str) -> tuple[RouteSetting, ...]:
    """Routes from JSON, each with a name. Raises ValueError."""
    found: list[RouteSetting] = []
    for number, table in enumerate(tables(value), 1):
        one = converted(number, table, RouteSetting)
        _check(number, one)
        of_sink = 1 + sum(other.sink == one.sink for other in found)
        found.append(replace(one, name=one.name or (one.sink if of_sink == 1 else f"{one.sink}-{of_sink}")))
    if len({one.name for one in found}) < len(found):
        raise ValueError("names a route twice")
    return tuple(found)


def _sink(number: int, table: dict[str, Any]) -> SinkSetting:
    one = converted(number, table, SinkSetting)
    if not _NAME.fullmatch(one.name):
        raise ValueError(f"table {number}: name must be at most 32 small letters, digits, _ and -")
    if one.type not in NEEDS:
        raise ValueError(f"table {number}: type must be one of {', '.join(NEEDS)}")
    if not 1 <= one.retry_s <= 30 * 86_400:
        raise ValueError(f"table {number}: retry_s must be from 1 to 2592000")
    one = replace(
        one,
        url=_given(number, "url", one.url, one.url_file),
        secret=_given(number, "secret", one.secret, one.secret_file),
    )
    for name in ("url", "secret"):
        if name in NEEDS[one.type] and not getattr(one, name):
            raise ValueError(f"table {number}: a sink of type {one.type} needs {name} or {name}_file")
        if name not in _MAY_HAVE[one.type] and getattr(one, name):
            raise ValueError(f"table {number}: a sink of type {one.type} has no {name}")
    check_url(number, "url", one.url)
    if one.type == "webhook":
        _check_signing_key(number, one.secret)
    return one


def _given(number: int, name: str, value: str, file: str) -> str:
    """The value, or the content of its file."""
    if value and file:
        raise ValueError(f"table {number}: either {name} or {name}_file")
    return file_content(number, f"{name}_file", file) if file else value


def _check_signing_key(number: int, secret: str) -> None:
    try:
        key = base64.b64decode(secret.removeprefix(SIGNING_KEY), validate=True)
    except binascii.Error:
        key = b""
    if not secret.startswith(SIGNING_KEY) or not 24 <= len(key) <= 64:
        raise ValueError(f"table {number}: secret must be {SIGNING_KEY} and base64 of 24 to 64 bytes")


def _check(number: int, one: RouteSetting) -> None:
    if one.name and not _NAME.fullmatch(one.name):
        raise ValueError(f"table {number}: name must be at most 32 small letters, digits, _ and -")
    if set(one.severities) - set(SEVERITIES):
        raise ValueError(f"table {number}: severities must be some of {', '.join(SEVERITIES)}")
    if not all(map(_RULE.fullmatch, one.rules)):
        raise ValueError(f"table {number}: rules must be ids of rules, or their beginning and a *")
    for name, least, most in (("wait_s", 1, 3600), ("interval_s", 1, 86_400), ("per_minute", 1, 60)):
        if not least <= getattr(one, name) <= most:
            raise ValueError(f"table {number}: {name} must be from {least} to {most}")


@dataclass(frozen=True, kw_only=True)
class NotifyTables:
    """The sinks and routes of `callstream notify`."""

    notify_sinks: tuple[SinkSetting, ...] = kinds.setting(
        (),
        "where alerts are sent: `[[notify_sinks]]` tables of the TOML file ([Alerts out](notify.md)); "
        "empty: the log",
        sink_settings,
        secret=True,
    )
    notify_routes: tuple[RouteSetting, ...] = kinds.setting(
        (),
        "which alerts each sink gets: `[[notify_routes]]` tables; empty: all",
        route_settings,
    )


def sinks_of(chosen: NotifyTables) -> Sequence[SinkSetting]:
    return chosen.notify_sinks or (LOG_SINK,)


def routes_of(sink: SinkSetting, chosen: NotifyTables) -> Sequence[RouteSetting]:
    """The routes to a sink; one for all alerts if there is none."""
    found = [one for one in chosen.notify_routes if one.sink == sink.name]
    return found or [RouteSetting(sink=sink.name, name=sink.name)]
