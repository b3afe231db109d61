"""Hashes of numbers beside their masks, and an index for rows with one and one for those without."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0002"
down_revision = "0001"


def upgrade() -> None:
    for end in ("from", "to"):
        number, hashed = f"{end}_number", f"{end}_hash"
        op.add_column("calls", sa.Column(hashed, sa.Text))
        op.drop_index(f"calls_by_{number}", "calls")
        for name, of, which in (
            (f"calls_by_{number}", number, f"{number} IS NOT NULL AND {hashed} IS NULL"),
            (f"calls_by_hashed_{number}", number, f"{hashed} IS NOT NULL"),
            (f"calls_by_{hashed}", hashed, f"{hashed} IS NOT NULL"),
        ):
            some = sa.text(which)
            op.create_index(name, "calls", [of, "at_us", "no"], sqlite_where=some, postgresql_where=some)
