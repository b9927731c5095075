"""The table of acknowledgements."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0102"
down_revision = "0101"
branch_labels = None
depends_on = None


def upgrade() -> None:
    """Create the table; existing rows are unchanged."""
    op.create_table(
        "acknowledgement",
        sa.Column("cause_key", sa.String(length=64), nullable=False),
        sa.Column("actor", sa.Text(), nullable=False),
        sa.Column("note", sa.Text(), nullable=False),
        sa.Column("acknowledged_at", sa.String(27), nullable=False),
        sa.ForeignKeyConstraint(
            ["cause_key"],
            ["cause.key"],
        ),
        sa.PrimaryKeyConstraint("cause_key"),
    )
