"""An alert as this role reads it from `calls.alerts.v1`: the fields that it needs, leniently.

A missing or unknown field is not an error: the worker may run another version.
"""

from __future__ import annotations

from collections.abc import Sequence
from functools import cached_property
from typing import Any, NamedTuple

import msgspec

from stream.core.alerting.alert import RETRACTED
from stream.core.events import UNDECODABLE, DecodeError
from stream.core.identity import name_id
from stream.core.timestamps import iso8601
from stream.service.tables.notify_tables import RouteSetting

FIRING, RESOLVED = "firing", "resolved"
CALL = "call"
EXAMPLES = 3
"""How many alerts of a notification are shown, and how many samples of an alert."""


class _Rule(msgspec.Struct, frozen=True):
    id: str


class _Scope(msgspec.Struct, frozen=True):
    type: str
    id: str


class _Reason(msgspec.Struct, frozen=True):
    code: str = ""
    text: str = ""
    help: str | None = None


class _Webhook(msgspec.Struct, frozen=True):
    endpoint: str | None = None


class _Sample(msgspec.Struct, frozen=True):
    key: str = ""
    at: str = ""
    text: str = ""


class NotifiedGroup(NamedTuple):
    """What one notification is about: a condition, or all facts about calls of one rule and account.

    `scope` is empty for facts about calls, so no call id is in it. `key` identifies the group at the sinks.
    """

    rule: str
    provider: str
    account: str
    scope: str
    key: str


class ReceivedAlert(msgspec.Struct, frozen=True, dict=True):
    """One alert record. `account_alias` is what people call the account."""

    id: str
    fingerprint: str
    episode_id: str
    rule: _Rule
    scope: _Scope
    severity: str
    state: str
    starts_at: str
    provider: str = ""
    revision: int = 1
    account: str | None = None
    account_alias: str | None = None
    ends_at: str | None = None
    updated_at: str = ""
    reason: _Reason = _Reason()
    webhook: _Webhook | None = None
    occurrences: int = 1
    samples: tuple[_Sample, ...] = ()
    links: dict[str, str] = {}

    @property
    def account_name(self) -> str:
        return self.account_alias or self.account or ""

    @property
    def web_links(self) -> dict[str, str]:
        """The links that a browser can follow; `parent_alert` names an alert by its id."""
        return {name: url for name, url in self.links.items() if url.startswith(("https://", "http://"))}

    @property
    def is_about_a_call(self) -> bool:
        """A fact about one call, which pages nobody. All others are conditions."""
        return self.scope.type == CALL

    @property
    def is_firing(self) -> bool:
        return self.state == FIRING

    @property
    def is_settled(self) -> bool:
        """The fact stays true and its call is over: not announced. A retracted one was never true."""
        return self.is_about_a_call and not self.is_firing and not self.reason.code.startswith(RETRACTED)

    @cached_property
    def group(self) -> NotifiedGroup:
        if not self.is_about_a_call:
            return NotifiedGroup(
                self.rule.id, self.provider, self.account_name, self.scope.id, self.fingerprint
            )
        key = name_id("alert group", self.rule.id, self.provider, self.account_name)
        return NotifiedGroup(self.rule.id, self.provider, self.account_name, "", key)


_decode = msgspec.json.Decoder(ReceivedAlert).decode


def read_alert(value: bytes | None) -> ReceivedAlert:
    """The alert in a record's value. Raises DecodeError."""
    try:
        alert = _decode(value or b"null")
    except UNDECODABLE as error:
        raise DecodeError("invalid_field", f"not an alert ({type(error).__name__})") from None
    if iso8601(alert.starts_at) is None:  # Alertmanager would refuse all that is posted with it
        raise DecodeError("invalid_field", "an alert whose starts_at is not a time")
    return alert


def route_of(
    alert: ReceivedAlert, routes: Sequence[RouteSetting], *, any_severity: bool = False
) -> RouteSetting | None:
    """The first of a sink's routes that takes the alert."""
    for one in routes:
        by_rule = not one.rules or any(_matches(pattern, alert.rule.id) for pattern in one.rules)
        by_severity = any_severity or not one.severities or alert.severity in one.severities
        by_account = not one.accounts or not {alert.account, alert.account_alias}.isdisjoint(one.accounts)
        if by_rule and by_severity and by_account:
            return one
    return None


def _matches(pattern: str, rule: str) -> bool:
    return rule.startswith(pattern[:-1]) if pattern.endswith("*") else rule == pattern


def example(alert: ReceivedAlert) -> dict[str, Any]:
    """An alert in a few fields, for a payload."""
    return {
        "id": alert.id,
        "episode_id": alert.episode_id,
        "scope": {"type": alert.scope.type, "id": alert.scope.id},
        "state": alert.state,
        "severity": alert.severity,
        "starts_at": alert.starts_at,
        "ends_at": alert.ends_at,
        "occurrences": alert.occurrences,
        "reason": {"code": alert.reason.code, "text": alert.reason.text, "help": alert.reason.help},
        "samples": [msgspec.to_builtins(one) for one in alert.samples[:EXAMPLES]],
        "links": alert.links,
    }
