"""The questions to the archive, each a method of `Archive`: the same queries for SQLite and PostgreSQL.

Synchronous, and safe to use from several threads: callers on an event loop give it threads of their own.
Each answer is of one moment: its queries share a transaction. Every list has a bound.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from datetime import UTC, datetime, timedelta
from threading import Lock
from typing import Any

import msgspec
from sqlalchemy import Column, Connection, Engine, Row, Select, func, select, tuple_
from sqlalchemy.exc import SQLAlchemyError

from stream.archive import cursors
from stream.archive.call_lists import Place, call_list, every_call
from stream.archive.conditions import NumberForms, alert_conditions, call_conditions, of_accounts
from stream.archive.database import READERS, connect, reason_of
from stream.archive.placed_calls import rows_from
from stream.archive.questions import (
    MOST_EVENTS,
    MOST_ITEMS,
    AlertFilter,
    ArchiveError,
    CallFilter,
    CallHistory,
    CallPage,
    MinuteCount,
    PlacedCall,
    PlacedCalls,
    RecordPage,
    StoredCall,
)
from stream.archive.rows import codes_of, is_call
from stream.archive.store.schema import alerts, calls, events, loose_events
from stream.core.privacy.masking import Privacy
from stream.core.timestamps import utc

MINUTE_US = 60_000_000
MOST_TIME = timedelta(days=7)
"""Of one chart."""

BEGINNING = datetime(1970, 1, 1, tzinfo=UTC)
"""Far enough from the first moment that Python can tell to count back from any moment behind it."""

EVENT_PLACE: tuple[Column[Any], ...] = (events.c.at_us, events.c.number, events.c.id)
LOOSE_PLACE: tuple[Column[Any], ...] = (loose_events.c.at_us, loose_events.c.id)
"""By what events are ordered."""

_WHOLE = re.compile(r"(twilio:)?CA[0-9a-f]{32}|(telnyx:)?[0-9a-f]{8}-([0-9a-f]{4}-){3}[0-9a-f]{12}")
"""The id of a call of either provider: no longer one contains it."""

Accounts = frozenset[str] | None


def open_archive(url: str, privacy_key: str = "", *, readers: int = READERS) -> Archive:
    """The archive at a URL (`database.archive_url`). It is connected to when it is first asked.

    - `privacy_key`: with it, calls are found by the hashes of their numbers.
    - `readers`: see `connect`.

    Raises ArchiveError if the URL cannot be used.
    """
    return Archive(connect(url, reads_only=True, readers=readers), privacy_key)


class Archive:
    """Answers from one database. Every method raises ArchiveError if the database does not answer.

    `accounts` are bare ids of the provider's accounts, None for all: nothing of another account is told.
    """

    def __init__(self, engine: Engine, privacy_key: str = "") -> None:
        self._engine = engine
        self._masking = Lock()  # it keeps a state while it masks
        self._shown = [Privacy("masked")]
        if privacy_key:
            self._shown.append(Privacy("hashed", privacy_key))

    def close(self) -> None:
        self._engine.dispose()

    def calls(
        self, wanted: CallFilter, limit: int = 50, after: str | None = None, *, with_records: bool = False
    ) -> CallPage:
        """Calls, newest first, by the time of their start.

        A call whose start becomes known to be earlier while pages are read may come again on a later page;
        none is left out. Raises BadCursorError.
        """
        limit = _bounded(limit)
        place: Any = None if after is None else tuple(cursors.read(after, int, int))
        query = call_list(wanted, self._forms_of(wanted), limit + 1, place, with_records=with_records)
        with self._reading() as connection:
            rows = connection.execute(query).all()
        following = cursors.write(rows[limit - 1].at_us, rows[limit - 1].no) if len(rows) > limit else None
        return CallPage([_stored(row) for row in rows[:limit]], following)

    def placed_calls(
        self,
        wanted: CallFilter,
        limit: int,
        *,
        place: Place | None = None,
        newer: bool = False,
        source: str | None = None,
    ) -> PlacedCalls:
        """Calls with their records and events; the arguments as of `rows_from`."""
        number = self._forms_of(wanted)
        asked = call_list(wanted, number, _bounded(limit), place, newer=newer, with_records=True)
        with self._reading() as connection:
            found = rows_from(connection, asked, source)
        items = [
            PlacedCall((row.at_us, row.no), _stored(row), _decoded(found.bodies.get(row.no, ())))
            for row in found.calls
        ]
        return PlacedCalls(items, found.cut)

    def spellings(self, number: str | None) -> list[str]:
        """How a number may stand in records and events: as sent, masked, hashed. None for no number."""
        return [] if number is None else list(dict.fromkeys([number, *self._shown_as(number)]))

    def _forms_of(self, wanted: CallFilter) -> NumberForms | None:
        number = wanted.number
        if number is None:
            return None
        mask, *hashes = self._shown_as(number)
        alone = list(dict.fromkeys([number, *([mask] if wanted.masked_too else []), *hashes]))
        # Where the hash can be asked for, the mask beside it says nothing more.
        return NumberForms(alone, [number] if hashes else alone, hashes[0] if hashes else None)

    def _shown_as(self, number: str) -> list[str]:
        """Its mask and, where there is a key, its hash."""
        with self._masking:
            return [privacy.address(number) for privacy in self._shown]

    def call(self, key: str, accounts: Accounts = None) -> CallHistory | None:
        """All that is kept of the call with this key, None if there is none that may be told."""
        query = every_call(with_records=True).where(calls.c.key == key, *of_accounts(calls, accounts))
        with self._reading() as connection:
            row = connection.execute(query).first()
            if row is None:
                return None
            bodies = connection.execute(_events_of(row).limit(MOST_EVENTS + 1)).scalars().all()
            about = select(alerts.c.body).where(alerts.c.call_key == key, *of_accounts(alerts, accounts))
            told = connection.execute(about.order_by(alerts.c.at_us).limit(MOST_ITEMS)).scalars().all()
        call = _stored(row)
        record, call.record = call.record, None
        return CallHistory(
            call, record, _decoded(bodies[:MOST_EVENTS]), _decoded(told), len(bodies) > MOST_EVENTS
        )

    def find(self, part: str, accounts: Accounts = None, limit: int = 10) -> list[str]:
        """Keys of calls that contain a part of an id, newest first. Of a whole id it is known at once."""
        limit = _bounded(limit)
        whole = [part, *(f"{provider}:{part}" for provider in ("twilio", "telnyx"))]
        mine = of_accounts(calls, accounts)
        with self._reading() as connection:
            query = select(calls.c.key).where(calls.c.key.in_(whole), *mine)
            found = connection.execute(query).scalars().all()
            if not found and part and not _WHOLE.fullmatch(part):
                containing = select(calls.c.key).where(calls.c.key.icontains(part, autoescape=True), *mine)
                newest = containing.order_by(calls.c.at_us.desc(), calls.c.no.desc()).limit(limit)
                found = connection.execute(newest).scalars().all()
        return list(found)

    def events(
        self, key: str, accounts: Accounts = None, limit: int = 100, after: str | None = None
    ) -> RecordPage | None:
        """Events of a call in the order of its timeline, or of a conference (`twilio:conference:CF…`).

        None if there are none that may be told. Raises BadCursorError.
        """
        limit = _bounded(limit)
        with self._reading() as connection:
            if is_call(key):
                query = select(calls).where(calls.c.key == key, *of_accounts(calls, accounts))
                call = connection.execute(query).first()
                if call is None:
                    return None
                asked, place = _events_of(call), EVENT_PLACE
            else:
                asked, place = _loose_events(key, accounts), LOOSE_PLACE
            if after is not None:
                kinds = (int,) * (len(place) - 1)
                asked = asked.where(tuple_(*place) > tuple_(*cursors.read(after, *kinds, str)))
            rows = connection.execute(asked.limit(limit + 1)).all()
        if not rows and after is None:
            return None
        following = cursors.write(*rows[limit - 1][1:]) if len(rows) > limit else None
        return RecordPage(_decoded([row.body for row in rows[:limit]]), following)

    def alerts(self, wanted: AlertFilter, limit: int = 50, after: str | None = None) -> RecordPage:
        """The latest revision of each episode, newest first, by its begin. Raises BadCursorError."""
        limit = _bounded(limit)
        at = (alerts.c.at_us, alerts.c.episode_id)
        conditions = alert_conditions(wanted)
        if after is not None:
            conditions.append(tuple_(*at) < tuple_(*cursors.read(after, int, str)))
        query = select(alerts.c.body, *at).where(*conditions).order_by(*(one.desc() for one in at))
        with self._reading() as connection:
            rows = connection.execute(query.limit(limit + 1)).all()
        more = len(rows) > limit
        following = cursors.write(rows[limit - 1].at_us, rows[limit - 1].episode_id) if more else None
        return RecordPage(_decoded([row.body for row in rows[:limit]]), following)

    def calls_by_minute(self, wanted: CallFilter) -> list[MinuteCount]:
        """How many calls began in each minute, by outcome, in order. Minutes without calls are left out.

        `since` is needed; at most MOST_TIME before `until` (or now) are counted.
        """
        until = wanted.until or datetime.now(UTC)
        since = max(wanted.since or BEGINNING, BEGINNING)
        if until - since > MOST_TIME:
            since = until - MOST_TIME
        minute = calls.c.at_us - calls.c.at_us % MINUTE_US
        asked = msgspec.structs.replace(wanted, since=since, until=until)
        query = select(minute.label("minute"), calls.c.outcome, func.count().label("calls"))
        query = query.where(*call_conditions(asked, self._forms_of(wanted)))
        query = query.group_by(minute, calls.c.outcome)
        with self._reading() as connection:
            rows = connection.execute(query).all()
        counts = [MinuteCount(utc(row.minute), row.outcome, row.calls) for row in rows]
        return sorted(counts, key=lambda one: (one.minute, one.outcome or ""))

    @contextmanager
    def _reading(self) -> Iterator[Connection]:
        try:
            with self._engine.connect() as connection, connection.begin():
                yield connection
        except SQLAlchemyError as error:
            why = reason_of(error)
            why = _OF_ITS_FILE.get(why, why)
            raise ArchiveError(f"the archive does not answer: {why}") from None


_OF_ITS_FILE = {
    "SQLITE_CANTOPEN": "it has no file yet, or one that cannot be opened",
    "SQLITE_NOTADB": "its file is not a database of SQLite",
    "SQLITE_CORRUPT": "its file is damaged",
}


def _events_of(call: Row[*tuple[Any, ...]]) -> Select[*tuple[Any, ...]]:
    query = select(events.c.body, *EVENT_PLACE)
    query = query.where(events.c.day == call.day, events.c.call_no == call.no)
    return query.order_by(*EVENT_PLACE)


def _loose_events(key: str, accounts: Accounts) -> Select[*tuple[Any, ...]]:
    query = select(loose_events.c.body, *LOOSE_PLACE)
    query = query.where(loose_events.c.key == key, *of_accounts(loose_events, accounts))
    return query.order_by(*LOOSE_PLACE)


def _bounded(limit: int) -> int:
    return max(1, min(limit, MOST_ITEMS))


_decode = msgspec.json.decode


def _decoded(bodies: Sequence[str]) -> list[dict[str, Any]]:
    return [_decode(body) for body in bodies]


def _stored(row: Row[*tuple[Any, ...]]) -> StoredCall:
    body = row._mapping.get("body")
    return StoredCall(
        key=row.key,
        provider=row.provider,
        account=row.account,
        account_alias=row.account_alias,
        call_id=row.call_id,
        parent_call_id=row.parent_call_id,
        session_id=row.session_id,
        direction=row.direction,
        from_=row.from_number,
        to=row.to_number,
        status=row.status,
        outcome=row.outcome,
        fault=row.fault,
        confidence=row.confidence,
        sip_response_code=row.sip_response_code,
        error_codes=codes_of(row.error_codes),
        started_at=utc(row.at_us),
        ended_at=None if row.ended_us is None else utc(row.ended_us),
        duration_s=row.duration_s,
        complete=row.complete,
        settled=row.settled,
        revision=row.revision,
        updated_at=utc(row.updated_us),
        record=None if body is None else _decode(body),
    )
