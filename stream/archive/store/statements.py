"""What the writer does to the tables within one transaction: most of it is the same in both databases."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Collection, Iterable, Mapping, Sequence
from typing import Any, ClassVar, NamedTuple

import msgspec

from stream.archive.rows import CallRow, codes_of, day_of
from stream.archive.store.schema import alerts, call_codes, calls, events, loose_events, records

TABLES = (calls, call_codes, records, events, loose_events, alerts)
COLUMNS = {table.name: [column.name for column in table.columns] for table in TABLES}


def _said_again(table: str, *kept: str) -> str:
    return ", ".join(f"{name} = excluded.{name}" for name in COLUMNS[table] if name not in kept)


MERGES = {
    **dict.fromkeys(COLUMNS, "ON CONFLICT DO NOTHING"),
    "calls": f"ON CONFLICT (no) DO UPDATE SET {_said_again('calls', 'no', 'key', 'day')}",
    "records": f"ON CONFLICT (call_no) DO UPDATE SET {_said_again('records', 'call_no', 'day')} "
    "WHERE excluded.revision > records.revision",
    "alerts": f"ON CONFLICT (episode_id) DO UPDATE SET {_said_again('alerts', 'episode_id')} "
    "WHERE excluded.revision > alerts.revision",
}


class AlertValues(NamedTuple):
    """A row of `schema.alerts`, in the order of its columns."""

    episode_id: str
    day: int
    revision: int
    fingerprint: str
    rule: str
    severity: str
    state: str
    account: str | None
    call_key: str | None
    at_us: int
    updated_us: int
    body: str


class EventValues(NamedTuple):
    """A row of `schema.events`, in the order of its columns."""

    day: int
    call_no: int
    id: str
    at_us: int
    number: int
    body: str


class Statements(ABC):
    """The changes of one transaction. Those that put rows return how many were new or newer.

    - `_among`: the condition that a column is one of the values of a parameter that `_listed` has made.
    - `_greatest`: the function that returns the greatest of its arguments.
    """

    _among: ClassVar[str]
    _greatest: ClassVar[str]

    @abstractmethod
    def _run(self, sql: str, values: Sequence[Any] = ()) -> Any:
        """A cursor. Parameters are marked by `%s`."""

    @abstractmethod
    def _run_many(self, sql: str, rows: Iterable[Sequence[Any]]) -> None: ...

    @abstractmethod
    def _listed(self, values: Collection[str]) -> object: ...

    @abstractmethod
    def _put(self, table: str, rows: Sequence[Sequence[Any]]) -> int:
        """How many rows are new, or newer."""

    @abstractmethod
    def prepare(self, *, is_durable: bool) -> None:
        """Whether its end waits for the disk. No statement of it waits for ever for another's."""

    @abstractmethod
    def end_silent_writers(self) -> int:
        """End transactions that hold offsets and whose writers have not been heard of: frozen, or cut off.

        Returns how many.
        """

    @abstractmethod
    def numbers(self, count: int) -> Sequence[int]:
        """The numbers of new calls."""

    @abstractmethod
    def put_events(self, rows: Sequence[EventValues]) -> int: ...

    @abstractmethod
    def share_forgetting(self) -> None:
        """Until the end of this transaction, no other one forgets a call: it would not see the alerts that
        this one writes.
        """

    def offsets(self, topics: Sequence[str]) -> dict[tuple[str, int], int]:
        found = self._run(
            f"SELECT topic, partition, next_offset FROM offsets WHERE topic {self._among}",
            (self._listed(topics),),
        )
        return {(topic, partition): offset for topic, partition, offset in found}

    def begin_offsets(self, partitions: Iterable[tuple[str, int]]) -> None:
        """Those (topic, partition) that were never written are at 0 now."""
        self._run_many(
            "INSERT INTO offsets (topic, partition, next_offset) VALUES (%s, %s, 0) ON CONFLICT DO NOTHING",
            partitions,
        )

    def topic_ids(self, ids: Mapping[str, str]) -> dict[str, str]:
        """The ids of these topics that are kept. One that was not kept is, from now on."""
        self._run_many("INSERT INTO topics (topic, id) VALUES (%s, %s) ON CONFLICT DO NOTHING", ids.items())
        found = self._run(f"SELECT topic, id FROM topics WHERE topic {self._among}", (self._listed(ids),))
        return dict(found.fetchall())

    def advance(self, topic: str, partition: int, first: int, end: int) -> bool:
        """Whether the partition was at `first`; it is at `end` now."""
        done = self._run(
            "UPDATE offsets SET next_offset = %s WHERE topic = %s AND partition = %s AND next_offset = %s",
            (end, topic, partition, first),
        )
        return bool(done.rowcount == 1)

    def calls_of(self, keys: Collection[str]) -> dict[str, CallRow]:
        if not keys:
            return {}
        found = self._run(
            f"SELECT {', '.join(COLUMNS['calls'])} FROM calls WHERE key {self._among}", (self._listed(keys),)
        )
        return {row.key: row for row in (self._call(values) for values in found)}

    def _call(self, values: Sequence[Any]) -> CallRow:
        return CallRow(*values)

    def put_calls(self, rows: Sequence[CallRow]) -> None:
        self._put("calls", [msgspec.structs.astuple(row) for row in rows])

    def put_codes(self, rows: Sequence[CallRow]) -> None:
        self._put("call_codes", [(code, row.no) for row in rows for code in codes_of(row.error_codes)])

    def put_records(self, rows: Sequence[tuple[int, int, int, str]]) -> int:
        return self._put("records", rows)

    def put_loose_events(self, rows: Sequence[tuple[str, str, int, str | None, int, str]]) -> int:
        return self._put("loose_events", rows)

    def put_alerts(self, rows: Sequence[AlertValues]) -> int:
        return self._put("alerts", rows)

    def forget(self, marks: Mapping[str, int]) -> int:
        """Delete all of these calls, and keep the marks: key and time. Returns the rows deleted."""
        self._run_many(
            "INSERT INTO forgotten (key, day, at_us) VALUES (%s, %s, %s) ON CONFLICT (key) DO UPDATE "
            f"SET day = excluded.day, at_us = {self._greatest}(forgotten.at_us, excluded.at_us)",
            [(key, day_of(at_us), at_us) for key, at_us in marks.items()],
        )
        of_keys = f"FROM calls WHERE key {self._among}"
        keys = (self._listed(marks),)
        return sum(
            int(self._run(f"DELETE {rows}", keys).rowcount)
            for rows in (
                f"FROM records WHERE call_no IN (SELECT no {of_keys})",
                f"FROM call_codes WHERE call_no IN (SELECT no {of_keys})",
                f"FROM events WHERE (day, call_no) IN (SELECT day, no {of_keys})",
                f"FROM alerts WHERE call_key {self._among}",
                of_keys,
            )
        )

    def condition_alerts(self) -> Sequence[tuple[str, str]]:
        """(episode id, body) of the alerts that are about no single call: some for each endpoint."""
        found: Sequence[tuple[str, str]] = self._run(
            "SELECT episode_id, body FROM alerts WHERE call_key IS NULL"
        ).fetchall()
        return found

    def put_alert_bodies(self, rows: Sequence[tuple[str, str]]) -> None:
        """Change alerts: (body, episode id)."""
        self._run_many("UPDATE alerts SET body = %s WHERE episode_id = %s", rows)

    def forgotten_of(self, keys: Collection[str]) -> dict[str, int]:
        if not keys:
            return {}
        found = self._run(f"SELECT key, at_us FROM forgotten WHERE key {self._among}", (self._listed(keys),))
        return dict(found.fetchall())


class RecreatedError(Exception):
    """A topic is not the one that the archive has read. The message names it."""


def check_topics(statements: Statements, ids: Mapping[str, str]) -> None:
    """Keep the ids of topics that are read for the first time. Raises RecreatedError."""
    changed = ids.items() - statements.topic_ids(ids).items()
    if changed:
        raise RecreatedError(f"{min(changed)[0]} was deleted and made again")
