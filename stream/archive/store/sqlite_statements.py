"""What the writer does to the tables in SQLite, where it is the only one that has a transaction."""

from __future__ import annotations

import sqlite3
from collections.abc import Collection, Iterable, Mapping, Sequence
from functools import cache
from itertools import chain
from typing import Any

import msgspec

from stream.archive.rows import CallRow, codes_of, day_of
from stream.archive.store.schema import alerts, call_codes, calls, events, loose_events, records
from stream.archive.store.statements import AlertValues, EventValues

_TABLES = {table.name: table for table in (calls, call_codes, records, events, loose_events, alerts)}
_COLUMNS = {name: [column.name for column in table.columns] for name, table in _TABLES.items()}
_AMONG = "IN (SELECT value FROM json_each(?))"
_CALLS_OF = f"SELECT {', '.join(_COLUMNS['calls'])} FROM calls WHERE key {_AMONG}"

AT_ONCE = (1000, 100, 10, 1)
"""Rows of one statement. Between two statements this thread waits for its turn among the others'."""


def _said_again(table: str, *kept: str) -> str:
    return ", ".join(f"{name} = excluded.{name}" for name in _COLUMNS[table] if name not in kept)


_MERGES = {
    "calls": f"ON CONFLICT (no) DO UPDATE SET {_said_again('calls', 'no', 'key', 'day')}",
    "records": f"ON CONFLICT (call_no) DO UPDATE SET {_said_again('records', 'call_no', 'day')} "
    "WHERE excluded.revision > records.revision",
    "alerts": f"ON CONFLICT (episode_id) DO UPDATE SET {_said_again('alerts', 'episode_id')} "
    "WHERE excluded.revision > alerts.revision",
}


@cache
def _insert(table: str, rows: int) -> str:
    names = _COLUMNS[table]
    row = f"({', '.join('?' * len(names))})"
    merge = _MERGES.get(table, "ON CONFLICT DO NOTHING")
    return f"INSERT INTO {table} ({', '.join(names)}) VALUES {', '.join([row] * rows)} {merge}"


class SqliteStatements:
    """By the module's own cursor: what SQLAlchemy adds to a statement costs more than the statement."""

    def __init__(self, driver: sqlite3.Connection) -> None:
        self._run = driver.execute
        self._run_many = driver.executemany

    def offsets(self, topics: Sequence[str]) -> dict[tuple[str, int], int]:
        found = self._run(
            f"SELECT topic, partition, next_offset FROM offsets WHERE topic {_AMONG}", (_listed(topics),)
        )
        return {(topic, partition): offset for topic, partition, offset in found}

    def begin_offsets(self, partitions: Iterable[tuple[str, int]]) -> None:
        self._run_many(
            "INSERT OR IGNORE INTO offsets (topic, partition, next_offset) VALUES (?, ?, 0)", partitions
        )

    def topic_ids(self, ids: Mapping[str, str]) -> dict[str, str]:
        self._run_many("INSERT OR IGNORE INTO topics (topic, id) VALUES (?, ?)", ids.items())
        return dict(
            self._run(f"SELECT topic, id FROM topics WHERE topic {_AMONG}", (_listed(ids),)).fetchall()
        )

    def advance(self, topic: str, partition: int, first: int, end: int) -> bool:
        done = self._run(
            "UPDATE offsets SET next_offset = ? WHERE topic = ? AND partition = ? AND next_offset = ?",
            (end, topic, partition, first),
        )
        return done.rowcount == 1

    def prepare(self, *, is_durable: bool) -> None:
        """No commit waits for the disk: `synchronous = NORMAL`."""

    def end_silent_writers(self) -> int:
        return 0

    def numbers(self, count: int) -> Sequence[int]:
        (last,) = self._run("SELECT coalesce(max(no), 0) FROM calls").fetchone()
        return range(last + 1, last + 1 + count)

    def calls_of(self, keys: Collection[str]) -> dict[str, CallRow]:
        rows = self._run(_CALLS_OF, (_listed(keys),)) if keys else ()
        found = (_row(values) for values in rows)
        return {row.key: row for row in found}

    def put_calls(self, rows: Sequence[CallRow]) -> None:
        self._put("calls", [msgspec.structs.astuple(row) for row in rows])

    def put_codes(self, rows: Sequence[CallRow]) -> None:
        self._put("call_codes", [(code, row.no) for row in rows for code in codes_of(row.error_codes)])

    def put_records(self, rows: Sequence[tuple[int, int, int, str]]) -> int:
        return self._put("records", rows)

    def put_events(self, rows: Sequence[EventValues]) -> int:
        return self._put("events", sorted(rows))  # in the order of the table's pages

    def put_loose_events(self, rows: Sequence[tuple[str, str, int, str | None, int, str]]) -> int:
        return self._put("loose_events", rows)

    def put_alerts(self, rows: Sequence[AlertValues]) -> int:
        return self._put("alerts", rows)

    def forget(self, marks: Mapping[str, int]) -> int:
        self._run_many(
            "INSERT INTO forgotten (key, day, at_us) VALUES (?, ?, ?) "
            "ON CONFLICT (key) DO UPDATE SET day = excluded.day, at_us = max(at_us, excluded.at_us)",
            [(key, day_of(at_us), at_us) for key, at_us in marks.items()],
        )
        keys = (_listed(marks),)
        deleted = 0
        for table in ("records", "call_codes"):
            deleted += self._run(
                f"DELETE FROM {table} WHERE call_no IN (SELECT no FROM calls WHERE key {_AMONG})", keys
            ).rowcount
        deleted += self._run(
            f"DELETE FROM events WHERE (day, call_no) IN (SELECT day, no FROM calls WHERE key {_AMONG})", keys
        ).rowcount
        deleted += self._run(f"DELETE FROM alerts WHERE call_key {_AMONG}", keys).rowcount
        return deleted + self._run(f"DELETE FROM calls WHERE key {_AMONG}", keys).rowcount

    def share_forgetting(self) -> None:
        pass  # no other transaction runs

    def condition_alerts(self) -> Iterable[tuple[str, str]]:
        return self._run("SELECT episode_id, body FROM alerts WHERE call_key IS NULL")

    def put_alert_bodies(self, rows: Sequence[tuple[str, str]]) -> None:
        self._run_many("UPDATE alerts SET body = ? WHERE episode_id = ?", rows)

    def forgotten_of(self, keys: Collection[str]) -> dict[str, int]:
        if not keys:
            return {}
        return dict(
            self._run(f"SELECT key, at_us FROM forgotten WHERE key {_AMONG}", (_listed(keys),)).fetchall()
        )

    def _put(self, table: str, rows: Sequence[Sequence[Any]]) -> int:
        """How many rows are new, or newer."""
        done = at = 0
        for size in AT_ONCE:
            while len(rows) - at >= size:
                values = list(chain.from_iterable(rows[at : at + size]))
                done += self._run(_insert(table, size), values).rowcount
                at += size
        return done


def _row(values: Any) -> CallRow:
    row = CallRow(*values)
    # SQLite has no booleans.
    row.complete = None if row.complete is None else bool(row.complete)
    row.settled = bool(row.settled)
    return row


def _listed(keys: Collection[str]) -> str:
    return msgspec.json.encode(list(keys)).decode()
