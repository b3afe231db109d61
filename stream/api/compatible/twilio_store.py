"""The calls of one Twilio account, from the archive: the `TwilioVoice` of one request."""

from __future__ import annotations

from collections.abc import Callable
from datetime import UTC, datetime

from stream.api.compatible import completeness
from stream.api.compatible.twilio_rows import call_row, insights_events, request_log, summary
from stream.archive.questions import CallFilter, CallHistory, PlacedCall, StoredCall
from stream.archive.reader import Archive
from stream.core.sources import TWILIO_CALL
from stream.provider_api.http_types import ApiError, Row
from stream.provider_api.twilio_answers import invalid_token
from stream.provider_api.twilio_calls import CallFilters
from stream.provider_api.twilio_paging import Cursor, ListPage

MOST_CHECKED = 5000
"""Calls that are looked at for one page, if few of them match its filters. The page is short then, and the
next one goes on where it ended.
"""

_A_DAY_S = 86_400
"""The longest talk: where only a call's end is known, its start is not later than that before it."""

_APART_S = 60
"""How far a call's times may be from those in its row: sources round and differ by seconds."""

_LAST_S = 253_402_300_800 - _A_DAY_S
"""The last day that a `datetime` can have."""

_BIGGEST = 1 << 62

Show = Callable[[Row], Row]


class ArchivedTwilio:
    """Reads for one request. `show`: a row as the caller may see it."""

    def __init__(self, archive: Archive, accounts: frozenset[str] | None, show: Show) -> None:
        self._archive = archive
        self._accounts = accounts
        self._show = show
        self._read: dict[str, CallHistory | None] = {}
        self._completeness: str | None = None
        self.told: list[StoredCall] = []
        """The calls of which rows were given."""

    def calls(self, wanted: CallFilters, at: Cursor | None, size: int, now_us: int) -> ListPage:
        back = at is not None and at.back
        place = None if at is None else _place(at)
        shows = self._shows(wanted)
        found: list[tuple[PlacedCall, Row]] = []
        last: PlacedCall | None = None
        more = cut = lacks_events = False
        checked, batch = 0, min(size + 1, 1000)
        while not more:
            page = self._archive.placed_calls(
                self._coarse(wanted), batch, place=place, newer=back, source=TWILIO_CALL
            )
            lacks_events |= page.cut
            for one in page.items:
                row = call_row(one.call, one.events)
                if not shows(row):
                    last = one
                elif len(found) == size:
                    more = True
                    break
                else:
                    last = one
                    found.append((one, row))
            checked += len(page.items)
            if more or len(page.items) < batch:
                break
            assert last is not None
            place = last.place
            more = cut = checked >= MOST_CHECKED
        self._completeness = completeness.of_list(
            sum(not one.call.complete for one, _ in found), cut=lacks_events or (cut and not found)
        )
        self.told += [one.call for one, _ in found]
        if back:
            found.reverse()
        rows = [self._show(row) for _, row in found]
        beyond = _cursor(last, back=back) if more and last is not None else None
        if back:
            return ListPage(rows, beyond, _cursor(found[-1][0], back=False) if found else None)
        before = _cursor(found[0][0], back=True) if found and at is not None else None
        return ListPage(rows, before, beyond)

    def call(self, sid: str, now_us: int) -> Row | None:
        found = self._history(sid)
        return None if found is None else self._show(call_row(found.call, found.events))

    def call_events(self, sid: str, now_us: int) -> list[Row] | None:
        found = self._history(sid)
        return None if found is None else [self._show(row) for row in request_log(found.events)]

    def insights(self, sid: str, now_us: int) -> list[Row] | None:
        found = self._history(sid)
        return None if found is None else [self._show(row) for row in insights_events(found.events)]

    def summary(self, sid: str, now_us: int) -> Row | None:
        found = self._history(sid)
        row = None if found is None else summary(found.events)
        return None if row is None else self._show(row)

    def completeness(self) -> str | None:
        return self._completeness

    def _history(self, sid: str) -> CallHistory | None:
        """What is kept of a call, read once."""
        if sid not in self._read:
            found = self._archive.call(f"twilio:{sid}", self._accounts)
            if found is not None:
                found.call.record = found.record
                self.told.append(found.call)
                self._completeness = completeness.of_call(found.call, cut=found.more_events)
            self._read[sid] = found
        return self._read[sid]

    def _coarse(self, wanted: CallFilters) -> CallFilter:
        """What the database can decide of the filters."""
        equal = dict(wanted.equal)
        first_s, last_s = wanted.created()
        times = {one.field: one for one in wanted.times}
        start, end = times.get("start_time"), times.get("end_time")
        # A call that starts after a moment also ends after it.
        return CallFilter(
            accounts=self._accounts,
            provider="twilio",
            since=_moment(first_s),
            until=_moment(last_s + (_A_DAY_S if end is None else _APART_S)),
            status=_statuses(equal.get("status")),
            number=equal.get("to") or equal.get("from"),
            parent_call_id=equal.get("parent_call_sid"),
            ended_since=_moment(max((one.first for one in wanted.times), default=0) - _APART_S),
            ended_until=None if end is None else _moment(end.last + _APART_S),
            began_until=None if start is None else _moment(start.last + _APART_S),
        )

    def _shows(self, wanted: CallFilters) -> Callable[[Row], bool]:
        """Whether a row matches. A number may stand in the archive masked or hashed."""
        ends = {
            name: self._archive.spellings(value) for name, value in wanted.equal if name in ("from", "to")
        }
        rest = wanted._replace(equal=tuple(one for one in wanted.equal if one[0] not in ends))
        return lambda row: rest.show(row) and all(row.get(name) in among for name, among in ends.items())


def _moment(second: int) -> datetime | None:
    """None where a bound is open."""
    return datetime.fromtimestamp(second, UTC) if 0 < second < _LAST_S else None


def _statuses(status: str | None) -> tuple[str, ...]:
    """Our statuses of calls whose row has this one."""
    if status == "queued":
        return ("queued", "initiated")
    return () if status is None else (status,)


def _cursor(one: PlacedCall, *, back: bool) -> Cursor:
    at_us, number = one.place
    return Cursor(str(number), at_us, back)


def _place(at: Cursor) -> tuple[int, int]:
    try:
        place = at.near, int(at.row)
    except ValueError:
        raise ApiError(invalid_token()) from None
    if max(map(abs, place)) > _BIGGEST:
        raise ApiError(invalid_token())
    return place
