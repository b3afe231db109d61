"""The newest alerts for the lines of `callstream up`: by time, equal ones together with their number."""

from __future__ import annotations

from collections.abc import Iterator
from typing import NamedTuple

import msgspec

from stream.core.alerting.alert import RETRACTED
from stream.core.events import UNDECODABLE

GROUPS = 100
"""Different alerts that are remembered; beyond that the oldest is forgotten."""


class _Named(msgspec.Struct):
    id: str


class _Scope(_Named):
    type: str


class _Reason(msgspec.Struct):
    text: str
    code: str = ""


class AlertNotice(msgspec.Struct):
    """The parts of an alert record that fit a line."""

    detected_at: str
    severity: str
    rule: _Named
    provider: str
    scope: _Scope
    reason: _Reason
    state: str = "firing"
    revision: int = 1
    call: _Named | None = None

    @property
    def at(self) -> str:
        """The time of day."""
        return self.detected_at[11:19]

    @property
    def where(self) -> str:
        """The call. Of an endpoint's alert the call that showed it, else the scope."""
        if self.scope.type != "call" and self.call is not None:
            return f"{self.provider}:{self.call.id}"
        return self.scope.id

    @property
    def is_news(self) -> bool:
        """Whether its end says something: a condition is over, or it was not so."""
        return self.scope.type != "call" or self.reason.code.startswith(RETRACTED)

    @property
    def says(self) -> str:
        return self.reason.text if self.state == "firing" else f"({self.state}) {self.reason.text}"


_decode = msgspec.json.Decoder(AlertNotice).decode


def read_notice(value: bytes | None) -> AlertNotice | None:
    """The notice of a record's value; None if it is not an alert: any program may write there."""
    try:
        return _decode(value or b"")
    except UNDECODABLE:
        return None


class AlertGroup(NamedTuple):
    """The newest of some equal alerts, and their number."""

    newest: AlertNotice
    number: int


class NewestAlerts:
    """Alerts of one rule with one reason are equal, whatever their call."""

    def __init__(self) -> None:
        self.seen = 0
        self._groups: dict[tuple[str, str], AlertGroup] = {}

    def add(self, notice: AlertNotice) -> bool:
        """Take in a record, and return whether it is a new alert or the end of one, not a revision.

        Most facts end when their call settles, which is not shown.
        """
        if notice.state == "resolved" and not notice.is_news:
            return False
        self.seen += notice.revision == 1
        key = (notice.rule.id, notice.says)
        group = self._groups.get(key, AlertGroup(notice, 0))
        newest = max(group.newest, notice, key=lambda one: one.detected_at)
        another = notice.revision == 1 or notice.state == "resolved"
        self._groups[key] = AlertGroup(newest, max(1, group.number + another))
        if len(self._groups) > GROUPS:
            del self._groups[min(self._groups, key=lambda one: self._groups[one].newest.detected_at)]
        return another

    def __iter__(self) -> Iterator[AlertGroup]:
        """The newest first."""
        return iter(sorted(self._groups.values(), key=lambda one: one.newest.detected_at, reverse=True))


def alert_line(notice: AlertNotice) -> str:
    return f"{notice.at} {notice.severity:<8} {notice.rule.id:<16} {notice.where}  {notice.says}"
