"""From filters to SQL: the conditions of a query. Pure."""

from __future__ import annotations

from collections.abc import Collection, Sequence
from datetime import UTC, datetime, timedelta
from typing import NamedTuple

from sqlalchemy import ColumnElement, Table, and_, func, or_, select

from stream.archive.questions import AlertFilter, CallFilter
from stream.archive.store.schema import alerts, call_codes, calls

_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)

Conditions = list[ColumnElement[bool]]


class NumberForms(NamedTuple):
    """How a number may stand in a row.

    - `alone`: as the number of a row without its hash. - `beside`: as that of a row with its hash.
    - `hashed`: its hash, None where there is no key.
    """

    alone: Sequence[str]
    beside: Sequence[str]
    hashed: str | None


def number_conditions(forms: NumberForms) -> Conditions:
    """That a number is at one of the ends: one of these holds. Each has an index in the order of lists."""
    found: Conditions = []
    for number, hashed in ((calls.c.from_number, calls.c.from_hash), (calls.c.to_number, calls.c.to_hash)):
        if forms.hashed is not None:
            found.append(hashed == forms.hashed)
        found += [and_(number == one, hashed.is_(None)) for one in forms.alone]
        found += [and_(number == one, hashed.is_not(None)) for one in forms.beside]
    return found


def call_conditions(wanted: CallFilter, number: NumberForms | None) -> Conditions:
    """`number`: how the filter's number may stand in the rows."""
    c = calls.c
    found = [*of_accounts(calls, wanted.accounts), *_within(calls, wanted.since, wanted.until)]
    for column, value in (
        (c.provider, wanted.provider),
        (c.direction, wanted.direction),
        (c.sip_response_code, wanted.sip_response_code),
        (c.parent_call_id, wanted.parent_call_id),
        (c.session_id, wanted.session_id),
    ):
        if value is not None:
            found.append(column == value)
    if wanted.complete is not None:
        found.append(c.complete.is_(wanted.complete))
    for words, said in ((c.status, wanted.status), (c.outcome, wanted.outcome), (c.fault, wanted.fault)):
        if said:
            found.append(_one_of(words, said))
    if number is not None:
        found.append(or_(*number_conditions(number)))
    if wanted.error_code is not None:
        found.append(c.no.in_(select(call_codes.c.call_no).where(call_codes.c.code == wanted.error_code)))
    if wanted.ended_since is not None:
        found.append(or_(c.ended_us.is_(None), c.ended_us >= micros_of(wanted.ended_since)))
    if wanted.ended_until is not None:
        found.append(or_(c.ended_us.is_(None), c.ended_us < micros_of(wanted.ended_until)))
    if wanted.began_until is not None:
        talk_us = func.coalesce(c.duration_s, 0) * 1_000_000
        ended_us = func.coalesce(c.ended_us, c.at_us)
        found.append(
            or_(c.at_us < micros_of(wanted.began_until), ended_us - talk_us < micros_of(wanted.began_until))
        )
    if wanted.min_duration_s is not None:
        found.append(c.duration_s >= wanted.min_duration_s)
    if wanted.max_duration_s is not None:
        found.append(c.duration_s <= wanted.max_duration_s)
    return found


def alert_conditions(wanted: AlertFilter) -> Conditions:
    c = alerts.c
    found = [*of_accounts(alerts, wanted.accounts), *_within(alerts, wanted.since, wanted.until)]
    return found + [
        column == value
        for column, value in (
            (c.rule, wanted.rule),
            (c.severity, wanted.severity),
            (c.state, wanted.state),
            (c.call_key, wanted.key),
            (c.fingerprint, wanted.fingerprint),
        )
        if value is not None
    ]


def of_accounts(table: Table, accounts: frozenset[str] | None) -> Conditions:
    """That a row is of one of these accounts; nothing where all are allowed."""
    return [] if accounts is None else [_one_of(table.c.account, sorted(accounts))]


def micros_of(moment: datetime) -> int:
    return (moment - _EPOCH) // timedelta(microseconds=1)


def _within(table: Table, since: datetime | None, until: datetime | None) -> Conditions:
    found: Conditions = []
    if since is not None:
        found.append(table.c.at_us >= micros_of(since))
    if until is not None:
        found.append(table.c.at_us < micros_of(until))
    return found


def _one_of(column: ColumnElement[str], values: Collection[str]) -> ColumnElement[bool]:
    return column == next(iter(values)) if len(values) == 1 else column.in_(values)
