"""The ids of the topics that the offsets are of."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0003"
down_revision = "0002"


def upgrade() -> None:
    op.create_table(
        "topics",
        sa.Column("topic", sa.Text, primary_key=True),
        sa.Column("id", sa.Text, nullable=False),
    )
