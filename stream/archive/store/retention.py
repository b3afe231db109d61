"""Deletes what is older than the retention, a little in each transaction: the writer goes on between.

In PostgreSQL the events of a day are a partition, which is dropped as a whole. An alert of a condition stays
while it fires, however long ago it was revised.
"""

from __future__ import annotations

from sqlalchemy import ColumnElement, Connection, Engine, Table, delete, func, or_, select, text, tuple_

from stream.archive.store.schema import alerts, call_codes, calls, events, forgotten, loose_events, records

CHUNK = 500
"""Calls of one transaction: some milliseconds."""


def retire(engine: Engine, before_day: int) -> int:
    """Delete some of the rows of days before this one. Returns how many; 0 when there are none left."""
    with engine.begin() as connection:
        old = calls.c.day < before_day
        found = connection.execute(select(calls.c.day, calls.c.no).where(old).limit(CHUNK)).all()
        deleted = 0
        if found:
            numbers = [row.no for row in found]
            if connection.dialect.name == "sqlite":
                both = tuple_(events.c.day, events.c.call_no)
                deleted += _deleted(connection, events, both.in_([(row.day, row.no) for row in found]))
            for table in (records, call_codes):
                deleted += _deleted(connection, table, table.c.call_no.in_(numbers))
            deleted += _deleted(connection, calls, calls.c.no.in_(numbers))
        else:
            # Behind their calls, which would be shown without them.
            deleted += _drop_partitions(connection, before_day)
        for table in (alerts, forgotten, loose_events):
            places = list(table.primary_key.columns)
            some = select(*places).where(table.c.day < before_day).limit(CHUNK)
            if table is alerts:
                some = some.where(or_(alerts.c.call_key.is_not(None), alerts.c.state != "firing"))
            deleted += _deleted(connection, table, tuple_(*places).in_(some))
        return deleted


def oldest_day(engine: Engine) -> int | None:
    """The day of the oldest call, None if there is none."""
    with engine.connect() as connection:
        found: int | None = connection.execute(select(func.min(calls.c.day))).scalar()
        return found


def _deleted(connection: Connection, table: Table, which: ColumnElement[bool]) -> int:
    return connection.execute(delete(table).where(which)).rowcount


def _drop_partitions(connection: Connection, before_day: int) -> int:
    """How many rows went with them, as far as the database's statistics know; at least one for each."""
    if connection.dialect.name != "postgresql":
        return 0
    found = connection.execute(
        text(
            "SELECT c.relname, greatest(c.reltuples, 1)::bigint FROM pg_inherits i "
            "JOIN pg_class c ON c.oid = i.inhrelid WHERE i.inhparent = 'events'::regclass"
        )
    ).all()
    old = [(name, rows) for name, rows in found if int(name.rpartition("_")[2]) < before_day]
    for name, _ in old:
        connection.execute(text(f"DROP TABLE IF EXISTS {name}"))
    return sum(rows for _, rows in old)


def empty(engine: Engine) -> None:
    """Delete all rows and offsets, but not what says that a call was forgotten."""
    tables = ("events", "records", "call_codes", "calls", "loose_events", "alerts", "offsets", "topics")
    with engine.begin() as connection:
        for table in tables:
            connection.execute(text(f"{_ALL_OF[connection.dialect.name]} {table}"))


_ALL_OF = {"postgresql": "TRUNCATE", "sqlite": "DELETE FROM"}
