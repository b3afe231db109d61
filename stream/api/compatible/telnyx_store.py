"""Telnyx' log of calls, from the archive: the `TelnyxLog` of one request."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from datetime import UTC, datetime, timedelta
from operator import itemgetter
from typing import Any

import msgspec

from stream.api.compatible import completeness
from stream.api.compatible.telnyx_rows import log_rows
from stream.archive.placed_calls import MOST_LISTED_EVENTS
from stream.archive.questions import CallFilter, StoredCall
from stream.archive.reader import Archive
from stream.provider_api.http_types import Row
from stream.provider_api.telnyx_filters import LogFilters, NumberedPage, numbered_page, payload_of

MOST_LEGS = 1000
"""The newest legs of a time range, or of a session, that are looked at. `cut` says that there are more."""

LEGS_AT_ONCE = 50

Place = tuple[str, str]

_LONGEST_CALL = timedelta(days=1)
"""Rows of a call are this long after its start, at most."""

_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
_LAST_US = 253_370_764_800_000_000
"""The year 9999, beyond which a `datetime` cannot go."""


class ArchivedTelnyx:
    """Reads for one request. `accounts`: those that its token may read; `show`: a row as it may see it."""

    def __init__(self, archive: Archive, accounts: frozenset[str] | None, show: Callable[[Row], Row]) -> None:
        self._archive = archive
        self._accounts = accounts
        self._show = show
        self._completeness: str | None = None
        self._read: list[StoredCall] = []
        self.told: list[StoredCall] = []
        """The calls of which rows were given."""

    def call_events(self, wanted: LogFilters, number: int, size: int, now_us: int) -> NumberedPage:
        shown = self._with_spellings(wanted)
        leg = wanted.values.get("leg_id")
        kept: list[tuple[Place, bytes]] = []
        total = 0
        for rows in self._of_leg(leg) if leg else self._of_range(wanted):
            rows.sort(key=_place, reverse=True)
            found = numbered_page(rows, "event_timestamp", shown, 1, number * size)
            total += found.total
            # As JSON: a day has tens of thousands of rows, each of which takes five times that as an object.
            kept += ((_place(row), msgspec.json.encode(row)) for row in found.rows)
            kept = sorted(kept, key=itemgetter(0), reverse=True)[: number * size]
        page = [msgspec.json.decode(text) for _, text in kept[(number - 1) * size :]]
        legs = {row["call_leg_id"] for row in page}
        self.told = [call for call in self._read if call.call_id in legs]
        return NumberedPage([self._show(row) for row in page], total)

    def completeness(self) -> str | None:
        return self._completeness

    def _of_leg(self, leg: str) -> Iterator[list[Row]]:
        found = self._archive.call(f"telnyx:{leg}", self._accounts)
        if found is not None:
            found.call.record = found.record
            self._read = [found.call]
            self._completeness = completeness.of_call(found.call, cut=found.more_events)
            yield log_rows(found.events)

    def _of_range(self, wanted: LogFilters) -> Iterator[list[Row]]:
        """The rows of some legs after another, so that few events are in memory at once."""
        first_us, last_us = wanted.first_us, wanted.last_us
        asked = CallFilter(
            accounts=self._accounts,
            provider="telnyx",
            since=None if first_us is None else _moment(first_us) - _LONGEST_CALL,
            until=None if last_us is None else _moment(last_us + 1),
            session_id=wanted.values.get("application_session_id"),
        )
        place, cut, told = None, False, 0
        while True:
            page = self._archive.placed_calls(asked, LEGS_AT_ONCE, place=place)
            for one in page.items:
                one.call.record = None
                self._read.append(one.call)
                told += len(one.events)
            yield [row for one in page.items for row in log_rows(one.events)]
            cut |= page.cut or len(self._read) >= MOST_LEGS or told >= MOST_LISTED_EVENTS
            if cut or len(page.items) < LEGS_AT_ONCE:
                break
            place = page.items[-1].place
        self._completeness = completeness.of_list(sum(not one.complete for one in self._read), cut=cut)

    def _with_spellings(self, wanted: LogFilters) -> LogFilters:
        """The filters, with numbers as they may stand in the archive: as sent, masked or hashed."""
        known = {**wanted.known}
        for end in ("from", "to"):
            if value := wanted.values.get(end):
                known[end] = _is_one_of(end, self._archive.spellings(value))
        return wanted._replace(known=known)


def _place(row: Row) -> Place:
    """Where a row is in the log."""
    return row["event_timestamp"] or "", row["call_leg_id"] or ""


def _is_one_of(end: str, spellings: Any) -> Callable[[Row, str], bool]:
    return lambda row, _: payload_of(row).get(end) in spellings


def _moment(us: int) -> datetime:
    return _EPOCH + timedelta(microseconds=min(max(us, 0), _LAST_US))
