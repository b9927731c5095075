"""The table of revisions of verdicts."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0106"
down_revision = "0105"
branch_labels = None
depends_on = None


def upgrade() -> None:
    """Create the table; every verdict stored so far is in its first revision."""
    op.create_table(
        "revision",
        sa.Column("cause_key", sa.String(length=64), sa.ForeignKey("cause.key"), nullable=False),
        sa.Column("revision", sa.Integer(), nullable=False),
        sa.Column("state", sa.String(length=32), nullable=False),
        sa.Column("state_before", sa.String(length=32), nullable=False),
        sa.Column("reason", sa.Text(), nullable=False),
        sa.Column("decision_before", sa.String(length=32), nullable=False),
        sa.Column("received_at", sa.String(27), nullable=False),
        sa.PrimaryKeyConstraint("cause_key", "revision"),
    )
