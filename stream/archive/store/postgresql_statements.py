"""The changes of the tables in PostgreSQL: rows are copied into staging tables and merged from there.

The staging tables belong to the session and are empty after each transaction.
"""

from __future__ import annotations

import contextlib
from collections.abc import Collection, Iterable, Mapping, Sequence
from datetime import timedelta
from typing import Any, cast

import msgspec
import psycopg

from stream.archive.rows import CallRow, codes_of, day_of
from stream.archive.store.schema import alerts, call_codes, calls, events, loose_events, records
from stream.archive.store.statements import AlertValues, EventValues

FEW = 50
"""So many rows are inserted one by one: to copy them would cost more."""

_TABLES = (calls, call_codes, records, events, loose_events, alerts)
_COLUMNS = {table.name: [column.name for column in table.columns] for table in _TABLES}
_FLOAT = {"float": "float8"}
_TYPES = {
    table.name: [_FLOAT.get(name, name) for name in (str(column.type).lower() for column in table.columns)]
    for table in _TABLES
}
"""By the driver's names: rows are copied in the binary form, where neither side looks for marks to escape."""


def _said_again(table: str, *kept: str) -> str:
    return ", ".join(f"{name} = excluded.{name}" for name in _COLUMNS[table] if name not in kept)


_MERGES = {
    "calls": f"ON CONFLICT (no) DO UPDATE SET {_said_again('calls', 'no', 'key', 'day')}",
    "call_codes": "ON CONFLICT DO NOTHING",
    "records": f"ON CONFLICT (call_no) DO UPDATE SET {_said_again('records', 'call_no', 'day')} "
    "WHERE excluded.revision > records.revision",
    "events": "ON CONFLICT DO NOTHING",
    "loose_events": "ON CONFLICT DO NOTHING",
    "alerts": f"ON CONFLICT (episode_id) DO UPDATE SET {_said_again('alerts', 'episode_id')} "
    "WHERE excluded.revision > alerts.revision",
}
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

_OF_KEYS = "call_no IN (SELECT no FROM calls WHERE key = ANY(%s))"


class PostgresqlStatements:
    """By the driver's own cursor, which copies."""

    def __init__(self, driver: psycopg.Connection[Any]) -> None:
        self._cursor = driver.cursor()
        # Neither they nor partitions are remembered: a transaction that fails takes them back.
        if not self._exists("pg_temp.staged_calls"):
            self._cursor.execute(_COMPRESS_FAST)
            for table in _COLUMNS:
                self._cursor.execute(
                    f"CREATE TEMPORARY TABLE staged_{table} (LIKE {table} INCLUDING DEFAULTS) "
                    "ON COMMIT DELETE ROWS"
                )

    def offsets(self, topics: Sequence[str]) -> dict[tuple[str, int], int]:
        found = self._cursor.execute(
            "SELECT topic, partition, next_offset FROM offsets WHERE topic = ANY(%s)", (list(topics),)
        )
        return {(topic, partition): offset for topic, partition, offset in found}

    def begin_offsets(self, partitions: Iterable[tuple[str, int]]) -> None:
        self._cursor.executemany(
            "INSERT INTO offsets (topic, partition, next_offset) VALUES (%s, %s, 0) ON CONFLICT DO NOTHING",
            list(partitions),
        )

    def topic_ids(self, ids: Mapping[str, str]) -> dict[str, str]:
        self._cursor.executemany(
            "INSERT INTO topics (topic, id) VALUES (%s, %s) ON CONFLICT DO NOTHING", list(ids.items())
        )
        found = self._cursor.execute("SELECT topic, id FROM topics WHERE topic = ANY(%s)", (list(ids),))
        return dict(found.fetchall())

    def advance(self, topic: str, partition: int, first: int, end: int) -> bool:
        done = self._cursor.execute(
            "UPDATE offsets SET next_offset = %s WHERE topic = %s AND partition = %s AND next_offset = %s",
            (end, topic, partition, first),
        )
        return done.rowcount == 1

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

    def calls_of(self, keys: Collection[str]) -> dict[str, CallRow]:
        if not keys:
            return {}
        found = self._cursor.execute(
            f"SELECT {', '.join(_COLUMNS['calls'])} FROM calls WHERE key = ANY(%s)", (list(keys),)
        )
        return {row.key: row for row in (CallRow(*values) for values in found)}

    def put_calls(self, rows: Sequence[CallRow]) -> None:
        self._put("calls", [msgspec.structs.astuple(row) for row in rows])

    def put_codes(self, rows: Sequence[CallRow]) -> None:
        self._put("call_codes", [(code, row.no) for row in rows for code in codes_of(row.error_codes)])

    def put_records(self, rows: Sequence[tuple[int, int, int, str]]) -> int:
        return self._put("records", rows)

    def put_events(self, rows: Sequence[EventValues]) -> int:
        for day in {row.day for row in rows}:
            if not self._exists(f"events_{day}"):
                self._make_partition(day)
        if len(rows) > FEW:
            # They were hardly ever written before, and a copy without a merge takes half the time.
            with contextlib.suppress(psycopg.errors.UniqueViolation), self._cursor.connection.transaction():
                return self._copy("events", "events", rows)
        return self._put("events", rows)

    def put_loose_events(self, rows: Sequence[tuple[str, str, int, str | None, int, str]]) -> int:
        return self._put("loose_events", rows)

    def put_alerts(self, rows: Sequence[AlertValues]) -> int:
        return self._put("alerts", rows)

    def forget(self, marks: Mapping[str, int]) -> int:
        run = self._cursor.execute
        run("SELECT pg_advisory_xact_lock(%s)", (FORGETTING_LOCK,))
        self._cursor.executemany(
            "INSERT INTO forgotten (key, day, at_us) VALUES (%s, %s, %s) ON CONFLICT (key) DO UPDATE "
            "SET day = excluded.day, at_us = greatest(forgotten.at_us, excluded.at_us)",
            [(key, day_of(at_us), at_us) for key, at_us in marks.items()],
        )
        keys = (list(marks),)
        deleted = sum(
            run(f"DELETE FROM {table} WHERE {_OF_KEYS}", keys).rowcount for table in ("records", "call_codes")
        )
        deleted += run(
            "DELETE FROM events WHERE (day, call_no) IN (SELECT day, no FROM calls WHERE key = ANY(%s))", keys
        ).rowcount
        deleted += run("DELETE FROM alerts WHERE call_key = ANY(%s)", keys).rowcount
        return deleted + run("DELETE FROM calls WHERE key = ANY(%s)", keys).rowcount

    def share_forgetting(self) -> None:
        self._cursor.execute("SELECT pg_advisory_xact_lock_shared(%s)", (FORGETTING_LOCK,))

    def condition_alerts(self) -> Iterable[tuple[str, str]]:
        return self._cursor.execute("SELECT episode_id, body FROM alerts WHERE call_key IS NULL").fetchall()

    def put_alert_bodies(self, rows: Sequence[tuple[str, str]]) -> None:
        self._cursor.executemany("UPDATE alerts SET body = %s WHERE episode_id = %s", rows)

    def forgotten_of(self, keys: Collection[str]) -> dict[str, int]:
        if not keys:
            return {}
        return dict(
            self._cursor.execute(
                "SELECT key, at_us FROM forgotten WHERE key = ANY(%s)", (list(keys),)
            ).fetchall()
        )

    def _put(self, table: str, rows: Sequence[Sequence[Any]]) -> int:
        """How many rows are new, or newer."""
        if not rows:
            return 0
        names = ", ".join(_COLUMNS[table])
        if len(rows) <= FEW:
            places = ", ".join(["%s"] * len(_COLUMNS[table]))
            self._cursor.executemany(
                f"INSERT INTO {table} ({names}) VALUES ({places}) {_MERGES[table]}", rows
            )
            return self._cursor.rowcount
        self._copy(table, f"staged_{table}", rows)
        return self._cursor.execute(
            f"INSERT INTO {table} ({names}) SELECT {names} FROM staged_{table} {_MERGES[table]}"
        ).rowcount

    def _copy(self, table: str, into: str, rows: Sequence[Sequence[Any]]) -> int:
        names = ", ".join(_COLUMNS[table])
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
