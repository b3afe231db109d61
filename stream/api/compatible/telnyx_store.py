"""Telnyx' log of calls, from the archive: the `TelnyxLog` of one request."""

from __future__ import annotations

from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from typing import Any

from stream.api.compatible import completeness
from stream.api.compatible.telnyx_rows import log_rows
from stream.archive.questions import CallFilter, StoredCall
from stream.archive.reader import Archive
from stream.provider_api.http_types import Row
from stream.provider_api.telnyx_filters import LogFilters, NumberedPage, numbered_page, payload_of

MOST_LEGS = 1000
"""The newest legs of a time range, or of a session, that are looked at. `cut` says that there are more."""

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
        leg = wanted.values.get("leg_id")
        rows = self._of_leg(leg) if leg else self._of_range(wanted)
        rows.sort(key=lambda row: (row["event_timestamp"] or "", row["call_leg_id"] or ""), reverse=True)
        found = numbered_page(rows, "event_timestamp", self._with_spellings(wanted), number, size)
        legs = {row["call_leg_id"] for row in found.rows}
        self.told = [call for call in self._read if call.call_id in legs]
        return found._replace(rows=[self._show(row) for row in found.rows])

    def completeness(self) -> str | None:
        return self._completeness

    def _of_leg(self, leg: str) -> list[Row]:
        found = self._archive.call(f"telnyx:{leg}", self._accounts)
        if found is None:
            return []
        found.call.record = found.record
        self._read = [found.call]
        self._completeness = completeness.of_call(found.call, cut=found.more_events)
        return log_rows(found.events)

    def _of_range(self, wanted: LogFilters) -> list[Row]:
        first_us, last_us = wanted.first_us, wanted.last_us
        asked = CallFilter(
            accounts=self._accounts,
            provider="telnyx",
            since=None if first_us is None else _moment(first_us) - _LONGEST_CALL,
            until=None if last_us is None else _moment(last_us + 1),
            session_id=wanted.values.get("application_session_id"),
        )
        page = self._archive.placed_calls(asked, MOST_LEGS)
        self._read = [one.call for one in page.items]
        cut = page.cut or len(page.items) == MOST_LEGS
        incomplete = sum(not one.call.complete for one in page.items)
        self._completeness = completeness.of_list(incomplete, cut=cut)
        return [row for one in page.items for row in log_rows(one.events)]

    def _with_spellings(self, wanted: LogFilters) -> LogFilters:
        """The filters, with numbers as they may stand in the archive: as sent, masked or hashed."""
        known = {**wanted.known}
        for end in ("from", "to"):
            if value := wanted.values.get(end):
                known[end] = _is_one_of(end, self._archive.spellings(value))
        return wanted._replace(known=known)


def _is_one_of(end: str, spellings: Any) -> Callable[[Row, str], bool]:
    return lambda row, _: payload_of(row).get(end) in spellings


def _moment(us: int) -> datetime:
    return _EPOCH + timedelta(microseconds=min(max(us, 0), _LAST_US))
