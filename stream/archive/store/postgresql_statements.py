"""The changes of the tables in PostgreSQL: rows are copied into staging tables and merged from there.

The staging tables belong to the session and are empty after each transaction.
"""

from __future__ import annotations

import contextlib
from collections.abc import Collection, Iterable, Mapping, Sequence
from datetime import timedelta
from typing import Any, cast

import psycopg

from stream.archive.store.statements import COLUMNS, MERGES, TABLES, EventValues, Statements

FEW = 50
"""So many rows are inserted one by one: to copy them would cost more."""

_FLOAT = {"float": "float8"}
_TYPES = {
    table.name: [_FLOAT.get(name, name) for name in (str(column.type).lower() for column in table.columns)]
    for table in TABLES
}
"""By the driver's names: rows are copied in the binary form, where neither side looks for marks to escape."""

_COMPRESS_FAST = (
    "SELECT set_config('default_toast_compression', 'lz4', false) FROM pg_settings "
    "WHERE name = 'default_toast_compression' AND 'lz4' = ANY(enumvals)"
)
"""Long texts are compressed when they are written: the usual way takes twice the time of all else."""

SILENT_S = 10
"""So long a batch waits for another transaction; and after so long without a word, that one is ended."""

_END_SILENT_WRITERS = (
    "SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE datname = current_database() "
    "AND pid IN (SELECT pid FROM pg_locks WHERE relation = 'offsets'::regclass "
    "AND mode = 'RowExclusiveLock') "
    "AND wait_event = 'ClientRead' AND clock_timestamp() - greatest(query_start, state_change) > %s"
)


class PostgresqlStatements(Statements):
    """By the driver's own cursor, which copies."""

    _among = "= ANY(%s)"
    _greatest = "greatest"

    def __init__(self, driver: psycopg.Connection[Any]) -> None:
        self._cursor = driver.cursor()
        # Neither they nor partitions are remembered: a transaction that fails takes them back.
        if not self._exists("pg_temp.staged_calls"):
            self._cursor.execute(_COMPRESS_FAST)
            for table in COLUMNS:
                self._cursor.execute(
                    f"CREATE TEMPORARY TABLE staged_{table} (LIKE {table} INCLUDING DEFAULTS) "
                    "ON COMMIT DELETE ROWS"
                )

    def _run(self, sql: str, values: Sequence[Any] = ()) -> psycopg.Cursor[Any]:
        return self._cursor.execute(sql, values)

    def _run_many(self, sql: str, rows: Iterable[Sequence[Any]]) -> None:
        self._cursor.executemany(sql, list(rows))

    def _listed(self, values: Collection[str]) -> list[str]:
        return list(values)

    def prepare(self, *, is_durable: bool) -> None:
        durability = "" if is_durable else "; SET LOCAL synchronous_commit = off"
        self._cursor.execute(f"SET LOCAL lock_timeout = '{SILENT_S}s'{durability}")

    def end_silent_writers(self) -> int:
        return self._cursor.execute(_END_SILENT_WRITERS, (timedelta(seconds=SILENT_S),)).rowcount

    def numbers(self, count: int) -> Sequence[int]:
        if not count:
            return ()
        found = self._cursor.execute(
            # Materialized: the sequence is looked up once, which costs more than a number.
            "WITH its AS MATERIALIZED (SELECT pg_get_serial_sequence('calls', 'no')::regclass AS sequence) "
            "SELECT array_agg(nextval(its.sequence)) FROM its, generate_series(1, %s)",
            (count,),
        )
        return cast(tuple[list[int]], found.fetchone())[0]

    def put_events(self, rows: Sequence[EventValues]) -> int:
        for day in {row.day for row in rows}:
            if not self._exists(f"events_{day}"):
                self._make_partition(day)
        if len(rows) > FEW:
            # They were hardly ever written before, and a copy without a merge takes half the time.
            with contextlib.suppress(psycopg.errors.UniqueViolation), self._cursor.connection.transaction():
                return self._copy("events", "events", rows)
        return self._put("events", rows)

    def forget(self, marks: Mapping[str, int]) -> int:
        self._run("SELECT pg_advisory_xact_lock(%s)", (FORGETTING_LOCK,))
        return super().forget(marks)

    def share_forgetting(self) -> None:
        self._run("SELECT pg_advisory_xact_lock_shared(%s)", (FORGETTING_LOCK,))

    def _put(self, table: str, rows: Sequence[Sequence[Any]]) -> int:
        if not rows:
            return 0
        names = ", ".join(COLUMNS[table])
        if len(rows) <= FEW:
            places = ", ".join(["%s"] * len(COLUMNS[table]))
            self._cursor.executemany(f"INSERT INTO {table} ({names}) VALUES ({places}) {MERGES[table]}", rows)
            return self._cursor.rowcount
        self._copy(table, f"staged_{table}", rows)
        return self._cursor.execute(
            f"INSERT INTO {table} ({names}) SELECT {names} FROM staged_{table} {MERGES[table]}"
        ).rowcount

    def _copy(self, table: str, into: str, rows: Sequence[Sequence[Any]]) -> int:
        names = ", ".join(COLUMNS[table])
        with self._cursor.copy(f"COPY {into} ({names}) FROM STDIN (FORMAT BINARY)") as copy:
            copy.set_types(_TYPES[table])
            for row in rows:
                copy.write_row(row)
        return self._cursor.rowcount

    def _exists(self, table: str) -> bool:
        found = self._cursor.execute("SELECT to_regclass(%s) IS NOT NULL", (table,)).fetchone()
        return bool(found and found[0])

    def _make_partition(self, day: int) -> None:
        """Another writer may make the same one: they take turns."""
        self._cursor.execute("SELECT pg_advisory_xact_lock(%s)", (PARTITIONS_LOCK,))
        self._cursor.execute(
            f"CREATE TABLE IF NOT EXISTS events_{day} PARTITION OF events "
            f"FOR VALUES FROM ({day}) TO ({day + 1})"
        )


PARTITIONS_LOCK, FORGETTING_LOCK = 0x63616C6C01, 0x63616C6C02
"""Locks of PostgreSQL that the archive takes are numbers that begin with `call`."""
