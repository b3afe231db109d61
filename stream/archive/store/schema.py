"""The tables of the archive: one schema for SQLite and PostgreSQL.

A call has a small number of its own, given when the archive first hears of it. Its events are clustered by
that number, so that what is written together lies together, and a call is read with few pages.
Times are microseconds since 1970 (`_us`). A `day` counts days since 1970 and says when a row is deleted: it
is the day on which the archive first heard of the call, and of an alert that of its latest revision.
"""

from __future__ import annotations

import sqlalchemy
from sqlalchemy import (
    BigInteger,
    Boolean,
    Column,
    Float,
    Index,
    Integer,
    MetaData,
    SmallInteger,
    Table,
    TypeDecorator,
    and_,
)

BIG = BigInteger().with_variant(Integer(), "sqlite")
"""SQLite gives a row its number only if the column's type is INTEGER."""


class Text(TypeDecorator[str]):
    """What is asked for, as `rows.storable` has stored it: PostgreSQL refuses a text with the character 0."""

    impl = sqlalchemy.Text
    cache_ok = True

    def process_bind_param(self, value: str | None, dialect: object) -> str | None:
        return None if value is None else value.replace("\0", "\ufffd")


metadata = MetaData()

calls = Table(
    "calls",
    metadata,
    Column("no", BIG, primary_key=True),
    Column("key", Text, nullable=False, unique=True),
    Column("day", Integer, nullable=False, index=True),
    Column("provider", Text, nullable=False),
    Column("account", Text),
    Column("account_alias", Text),
    Column("call_id", Text, nullable=False),
    Column("parent_call_id", Text),
    Column("session_id", Text),
    Column("direction", Text),
    Column("from_number", Text),
    Column("to_number", Text),
    Column("from_hash", Text),
    Column("to_hash", Text),
    Column("status", Text),
    Column("outcome", Text),
    Column("fault", Text),
    Column("confidence", Text),
    Column("sip_response_code", SmallInteger),
    Column("error_codes", Text, nullable=False),  # a JSON list
    Column("at_us", BIG, nullable=False),
    Column("ended_us", BIG),
    Column("duration_s", Float),
    Column("complete", Boolean),
    Column("settled", Boolean, nullable=False),
    Column("revision", Integer, nullable=False),
    Column("updated_us", BIG, nullable=False),
)
"""One row for each call, ended or not: what lists show and filters ask."""

# The overview reads this one alone.
Index("calls_by_time", calls.c.at_us, calls.c.no, calls.c.outcome, calls.c.account)
Index("calls_by_account", calls.c.account, calls.c.at_us, calls.c.no)
Index("calls_by_status", calls.c.status, calls.c.at_us, calls.c.no)
Index("calls_by_outcome", calls.c.outcome, calls.c.at_us, calls.c.no)
for _name in ("fault", "sip_response_code", "session_id", "parent_call_id"):
    _of = calls.c[_name]
    # Most calls have none of the others.
    Index(
        f"calls_by_{_name}",
        _of,
        calls.c.at_us,
        calls.c.no,
        sqlite_where=_of.is_not(None),
        postgresql_where=_of.is_not(None),
    )
for _end in ("from", "to"):
    _number, _hash = calls.c[f"{_end}_number"], calls.c[f"{_end}_hash"]
    # A row is in the first, or in the other two: where nothing is hashed, they cost nothing.
    for _name, _of, _some in (
        (f"calls_by_{_end}_number", _number, and_(_number.is_not(None), _hash.is_(None))),
        (f"calls_by_hashed_{_end}_number", _number, _hash.is_not(None)),
        (f"calls_by_{_end}_hash", _hash, _hash.is_not(None)),
    ):
        Index(_name, _of, calls.c.at_us, calls.c.no, sqlite_where=_some, postgresql_where=_some)

call_codes = Table(
    "call_codes",
    metadata,
    Column("code", Text, primary_key=True),
    Column("call_no", BIG, primary_key=True, autoincrement=False),
    sqlite_with_rowid=False,
)
"""The error codes of each call, to be searched by."""

Index("call_codes_of_a_call", call_codes.c.call_no)

records = Table(
    "records",
    metadata,
    Column("call_no", BIG, primary_key=True, autoincrement=False),
    Column("day", Integer, nullable=False, index=True),
    Column("revision", Integer, nullable=False),
    Column("body", Text, nullable=False),
)
"""The latest revision of each ended call's record, as on the topic."""

events = Table(
    "events",
    metadata,
    Column("day", Integer, primary_key=True, autoincrement=False),
    Column("call_no", BIG, primary_key=True, autoincrement=False),
    Column("id", Text, primary_key=True),
    Column("at_us", BIG, nullable=False),
    Column("number", Integer, nullable=False),
    Column("body", Text, nullable=False),
    sqlite_with_rowid=False,
    postgresql_partition_by="RANGE (day)",
)
"""The events of calls, as on the topic, in a call's order by `at_us`, `number`, `id`.

`day` is the call's, so that a call is in one partition; `number` is the sequence number, or `rows.LAST`.
"""

loose_events = Table(
    "loose_events",
    metadata,
    Column("key", Text, primary_key=True),
    Column("id", Text, primary_key=True),
    Column("day", Integer, nullable=False, index=True),
    Column("account", Text),
    Column("at_us", BIG, nullable=False),
    Column("body", Text, nullable=False),
    sqlite_with_rowid=False,
)
"""Events that belong to no call: of a conference without a leg, or of an account."""

alerts = Table(
    "alerts",
    metadata,
    Column("episode_id", Text, primary_key=True),
    Column("day", Integer, nullable=False, index=True),
    Column("revision", Integer, nullable=False),
    Column("fingerprint", Text, nullable=False, index=True),
    Column("rule", Text, nullable=False),
    Column("severity", Text, nullable=False),
    Column("state", Text, nullable=False),
    Column("account", Text),
    Column("call_key", Text, index=True),
    Column("at_us", BIG, nullable=False),
    Column("updated_us", BIG, nullable=False),
    Column("body", Text, nullable=False),
)
"""The latest revision of each episode."""

Index("alerts_by_time", alerts.c.at_us, alerts.c.episode_id)
# The overview asks which conditions hold, among many alerts of calls.
Index("alerts_by_rule", alerts.c.rule, alerts.c.state, alerts.c.at_us, alerts.c.episode_id)
Index("alerts_by_state", alerts.c.state, alerts.c.at_us, alerts.c.episode_id)

forgotten = Table(
    "forgotten",
    metadata,
    Column("key", Text, primary_key=True),
    Column("day", Integer, nullable=False, index=True),
    Column("at_us", BIG, nullable=False),
)
"""Calls that an operator has had forgotten: nothing of them that is as old as `at_us` is kept."""

offsets = Table(
    "offsets",
    metadata,
    Column("topic", Text, primary_key=True),
    Column("partition", Integer, primary_key=True, autoincrement=False),
    Column("next_offset", BIG, nullable=False),
)
"""How far each partition has been written: in the same transaction as the rows."""

topics = Table(
    "topics",
    metadata,
    Column("topic", Text, primary_key=True),
    Column("id", Text, nullable=False),
)
"""Which topic the offsets are of: one that was deleted and made again has another id."""
