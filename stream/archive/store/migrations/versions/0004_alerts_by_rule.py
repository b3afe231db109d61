"""An index for the alerts of a rule."""

from __future__ import annotations

from alembic import op

revision = "0004"
down_revision = "0003"


def upgrade() -> None:
    op.create_index("alerts_by_rule", "alerts", ["rule", "state", "at_us", "episode_id"])
