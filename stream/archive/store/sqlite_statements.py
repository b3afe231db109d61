"""What the writer does to the tables in SQLite, where it is the only one that has a transaction."""

from __future__ import annotations

import sqlite3
from collections.abc import Collection, Iterable, Sequence
from functools import cache
from itertools import chain
from typing import Any

import msgspec

from stream.archive.rows import CallRow
from stream.archive.store.statements import COLUMNS, MERGES, EventValues, Statements

AT_ONCE = (1000, 100, 10, 1)
"""Rows of one statement. Between two statements this thread waits for its turn among the others'."""


@cache
def _insert(table: str, rows: int) -> str:
    names = COLUMNS[table]
    row = f"({', '.join('?' * len(names))})"
    return f"INSERT INTO {table} ({', '.join(names)}) VALUES {', '.join([row] * rows)} {MERGES[table]}"


class SqliteStatements(Statements):
    """By the module's own cursor: what SQLAlchemy adds to a statement costs more than the statement."""

    _among = "IN (SELECT value FROM json_each(%s))"
    _greatest = "max"

    def __init__(self, driver: sqlite3.Connection) -> None:
        self._driver = driver

    def _run(self, sql: str, values: Sequence[Any] = ()) -> sqlite3.Cursor:
        return self._driver.execute(sql.replace("%s", "?"), values)

    def _run_many(self, sql: str, rows: Iterable[Sequence[Any]]) -> None:
        self._driver.executemany(sql.replace("%s", "?"), rows)

    def _listed(self, values: Collection[str]) -> str:
        return msgspec.json.encode(list(values)).decode()

    def prepare(self, *, is_durable: bool) -> None:
        """No commit waits for the disk: `synchronous = NORMAL`."""

    def end_silent_writers(self) -> int:
        return 0

    def numbers(self, count: int) -> Sequence[int]:
        (last,) = self._run("SELECT coalesce(max(no), 0) FROM calls").fetchone()
        return range(last + 1, last + 1 + count)

    def _call(self, values: Sequence[Any]) -> CallRow:
        row = super()._call(values)
        # SQLite has no booleans.
        row.complete = None if row.complete is None else bool(row.complete)
        row.settled = bool(row.settled)
        return row

    def put_events(self, rows: Sequence[EventValues]) -> int:
        return self._put("events", sorted(rows))  # in the order of the table's pages

    def share_forgetting(self) -> None:
        pass  # no other transaction runs

    def _put(self, table: str, rows: Sequence[Sequence[Any]]) -> int:
        done = at = 0
        for size in AT_ONCE:
            while len(rows) - at >= size:
                values = list(chain.from_iterable(rows[at : at + size]))
                done += self._driver.execute(_insert(table, size), values).rowcount
                at += size
        return done
