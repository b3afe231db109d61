"""The first tables."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0001"
down_revision = None

BIG = sa.BigInteger().with_variant(sa.Integer(), "sqlite")


def upgrade() -> None:
    _create_calls()
    _create_of_calls()
    op.create_table(
        "loose_events",
        sa.Column("key", sa.Text, primary_key=True),
        sa.Column("id", sa.Text, primary_key=True),
        sa.Column("day", sa.Integer, nullable=False),
        sa.Column("account", sa.Text),
        sa.Column("at_us", BIG, nullable=False),
        sa.Column("body", sa.Text, nullable=False),
        sqlite_with_rowid=False,
    )
    op.create_index("ix_loose_events_day", "loose_events", ["day"])
    op.create_table(
        "alerts",
        sa.Column("episode_id", sa.Text, primary_key=True),
        sa.Column("day", sa.Integer, nullable=False),
        sa.Column("revision", sa.Integer, nullable=False),
        sa.Column("fingerprint", sa.Text, nullable=False),
        sa.Column("rule", sa.Text, nullable=False),
        sa.Column("severity", sa.Text, nullable=False),
        sa.Column("state", sa.Text, nullable=False),
        sa.Column("account", sa.Text),
        sa.Column("call_key", sa.Text),
        sa.Column("at_us", BIG, nullable=False),
        sa.Column("updated_us", BIG, nullable=False),
        sa.Column("body", sa.Text, nullable=False),
    )
    op.create_index("ix_alerts_day", "alerts", ["day"])
    op.create_index("ix_alerts_fingerprint", "alerts", ["fingerprint"])
    op.create_index("ix_alerts_call_key", "alerts", ["call_key"])
    op.create_index("alerts_by_time", "alerts", ["at_us", "episode_id"])
    op.create_index("alerts_by_state", "alerts", ["state", "at_us", "episode_id"])
    op.create_table(
        "forgotten",
        sa.Column("key", sa.Text, primary_key=True),
        sa.Column("day", sa.Integer, nullable=False),
        sa.Column("at_us", BIG, nullable=False),
    )
    op.create_index("ix_forgotten_day", "forgotten", ["day"])
    op.create_table(
        "offsets",
        sa.Column("topic", sa.Text, primary_key=True),
        sa.Column("partition", sa.Integer, primary_key=True, autoincrement=False),
        sa.Column("next_offset", BIG, nullable=False),
    )


def _create_calls() -> None:
    op.create_table(
        "calls",
        sa.Column("no", BIG, primary_key=True),
        sa.Column("key", sa.Text, nullable=False, unique=True),
        sa.Column("day", sa.Integer, nullable=False),
        sa.Column("provider", sa.Text, nullable=False),
        sa.Column("account", sa.Text),
        sa.Column("account_alias", sa.Text),
        sa.Column("call_id", sa.Text, nullable=False),
        sa.Column("parent_call_id", sa.Text),
        sa.Column("session_id", sa.Text),
        sa.Column("direction", sa.Text),
        sa.Column("from_number", sa.Text),
        sa.Column("to_number", sa.Text),
        sa.Column("status", sa.Text),
        sa.Column("outcome", sa.Text),
        sa.Column("fault", sa.Text),
        sa.Column("confidence", sa.Text),
        sa.Column("sip_response_code", sa.SmallInteger),
        sa.Column("error_codes", sa.Text, nullable=False),
        sa.Column("at_us", BIG, nullable=False),
        sa.Column("ended_us", BIG),
        sa.Column("duration_s", sa.Float),
        sa.Column("complete", sa.Boolean),
        sa.Column("settled", sa.Boolean, nullable=False),
        sa.Column("revision", sa.Integer, nullable=False),
        sa.Column("updated_us", BIG, nullable=False),
    )
    op.create_index("ix_calls_day", "calls", ["day"])
    op.create_index("calls_by_time", "calls", ["at_us", "no", "outcome", "account"])
    op.create_index("calls_by_account", "calls", ["account", "at_us", "no"])
    op.create_index("calls_by_status", "calls", ["status", "at_us", "no"])
    op.create_index("calls_by_outcome", "calls", ["outcome", "at_us", "no"])
    for name in ("fault", "from_number", "to_number", "sip_response_code", "session_id", "parent_call_id"):
        some = sa.text(f"{name} IS NOT NULL")
        op.create_index(
            f"calls_by_{name}", "calls", [name, "at_us", "no"], sqlite_where=some, postgresql_where=some
        )


def _create_of_calls() -> None:
    op.create_table(
        "call_codes",
        sa.Column("code", sa.Text, primary_key=True),
        sa.Column("call_no", BIG, primary_key=True, autoincrement=False),
        sqlite_with_rowid=False,
    )
    op.create_index("call_codes_of_a_call", "call_codes", ["call_no"])
    op.create_table(
        "records",
        sa.Column("call_no", BIG, primary_key=True, autoincrement=False),
        sa.Column("day", sa.Integer, nullable=False),
        sa.Column("revision", sa.Integer, nullable=False),
        sa.Column("body", sa.Text, nullable=False),
    )
    op.create_index("ix_records_day", "records", ["day"])
    op.create_table(
        "events",
        sa.Column("day", sa.Integer, primary_key=True, autoincrement=False),
        sa.Column("call_no", BIG, primary_key=True, autoincrement=False),
        sa.Column("id", sa.Text, primary_key=True),
        sa.Column("at_us", BIG, nullable=False),
        sa.Column("number", sa.Integer, nullable=False),
        sa.Column("body", sa.Text, nullable=False),
        sqlite_with_rowid=False,
        postgresql_partition_by="RANGE (day)",
    )
