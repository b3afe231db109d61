"""The fields of the search forms: their titles, what may stand in them, and the filter that they make.

The names are those of the API's parameters, so that a search is the same question there.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from datetime import UTC, datetime, timedelta
from typing import TypeVar

import msgspec

from stream.api.ui.wording import OUTCOMES
from stream.archive.questions import AlertFilter, CallFilter
from stream.core.alerting.rules import RULE_IDS, SEVERITIES
from stream.core.events import FAMILIES
from stream.core.statuses import STATUSES
from stream.core.timestamps import iso8601
from stream.core.verdicts.table import FAULTS
from stream.service.tables.account_setting import PROVIDERS

T = TypeVar("T")

LONGEST = 200
_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
_AGO = re.compile(r"([0-9]{1,5}) ?(m|min|h|d)")
_UNIT_S = {"m": 60, "min": 60, "h": 3600, "d": 86_400}


class FormField(msgspec.Struct, frozen=True):
    """One field. `choices`: what may be chosen; empty: any text."""

    name: str
    title: str
    choices: tuple[str, ...] = ()
    hint: str = ""
    type: str = "text"


CALL_FIELDS = (
    FormField("since", "Since", hint="2h, 3d, or a time"),
    FormField("until", "Until", hint="15m, or a time"),
    FormField("outcome", "Outcome", OUTCOMES),
    FormField("fault", "Whose fault", FAULTS),
    FormField("status", "Status", STATUSES),
    FormField("direction", "Direction", ("inbound", "outbound")),
    FormField("number", "Number", type="search"),
    FormField("sip_response_code", "SIP code", hint="486"),
    FormField("error_code", "Error code", hint="11200"),
    FormField("min_duration_s", "Talk, at least s"),
    FormField("max_duration_s", "Talk, at most s"),
    FormField("complete", "Complete", ("yes", "no")),
    FormField("provider", "Provider", tuple(PROVIDERS)),
)
ALERT_FIELDS = (
    FormField("state", "State", ("firing", "resolved")),
    FormField("severity", "Severity", SEVERITIES),
    FormField("rule", "Rule", RULE_IDS),
)
LIVE_FIELDS = (
    FormField("provider", "Provider", tuple(PROVIDERS)),
    FormField("status", "Status", STATUSES),
    FormField("family", "Family", FAMILIES),
    FormField("outcome", "Outcome", OUTCOMES),
)


class Asked:
    """What a form was sent with: texts of known fields, and what is wrong with them."""

    def __init__(self, fields: tuple[FormField, ...], sent: Mapping[str, str], now: datetime) -> None:
        self.values = {one.name: sent[one.name].strip() for one in fields if sent.get(one.name, "").strip()}
        self.wrong: list[str] = []
        self._titles = {one.name: one for one in fields}
        self._now = now
        for one in fields:
            value = self.values.get(one.name, "")
            is_other = bool(one.choices and value) and value not in one.choices
            if is_other or len(value) > LONGEST or not value.isprintable():
                self.wrong.append(f"{one.title} is not one that can be searched for.")
                del self.values[one.name]

    def text(self, name: str) -> str | None:
        return self.values.get(name)

    def moment(self, name: str) -> datetime | None:
        return self._read(
            name, lambda text: read_moment(text, self._now), "a time, or how long ago: 2h, 15m, 3d"
        )

    def sip_code(self, name: str) -> int | None:
        return self._read(name, _sip_code, "a number from 100 to 699")

    def number(self, name: str) -> float | None:
        return self._read(name, _number, "a number")

    def _read(self, name: str, read: Callable[[str], T | None], must_be: str) -> T | None:
        text = self.values.get(name)
        if text is None:
            return None
        found = read(text)
        if found is None:
            self.wrong.append(f"{self._titles[name].title} must be {must_be}.")
        return found


def call_filter(asked: Asked, accounts: frozenset[str] | None) -> CallFilter:
    """The filter of the form for calls, for a caller who may read these accounts."""
    return CallFilter(
        accounts=accounts,
        provider=asked.text("provider"),
        since=asked.moment("since"),
        until=asked.moment("until"),
        status=_one(asked.text("status")),
        outcome=_one(asked.text("outcome")),
        fault=_one(asked.text("fault")),
        direction=asked.text("direction"),
        number=asked.text("number"),
        sip_response_code=asked.sip_code("sip_response_code"),
        error_code=asked.text("error_code"),
        min_duration_s=asked.number("min_duration_s"),
        max_duration_s=asked.number("max_duration_s"),
        complete={"yes": True, "no": False}.get(asked.text("complete") or ""),
    )


def alert_filter(asked: Asked, accounts: frozenset[str] | None) -> AlertFilter:
    return AlertFilter(
        accounts=accounts,
        rule=asked.text("rule"),
        severity=asked.text("severity"),
        state=asked.text("state"),
    )


def read_moment(text: str, now: datetime) -> datetime | None:
    """`2h` ago, or a time in ISO 8601, in UTC where it names no zone. None if it is neither."""
    if ago := _AGO.fullmatch(text):
        return now - timedelta(seconds=int(ago[1]) * _UNIT_S[ago[2]])
    if re.fullmatch(r"\d{4}-\d{2}-\d{2}", text):
        text += "T00:00"
    if re.fullmatch(r".{10}[T ]\d{2}:\d{2}", text):
        text += ":00"
    us = iso8601(text if re.search(r"(Z|[+-]\d{2}:?\d{2})$", text[10:]) else text + "Z")
    return None if us is None else _EPOCH + timedelta(microseconds=us)


def _one(value: str | None) -> tuple[str, ...]:
    return () if value is None else (value,)


def _sip_code(text: str) -> int | None:
    return int(text) if re.fullmatch(r"[1-6][0-9]{2}", text) else None


def _number(text: str) -> float | None:
    return float(text) if re.fullmatch(r"[0-9]{1,9}(\.[0-9]{1,6})?", text) else None
