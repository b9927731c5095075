"""The table of challengers that are tried in a slot before they are promoted."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0110"
down_revision = "0109"
branch_labels = None
depends_on = None


def upgrade() -> None:
    """Create the table; it is empty: runs from before it had no phases."""
    op.create_table(
        "phase",
        sa.Column("run_id", sa.String(length=80), sa.ForeignKey("run.run_id"), nullable=False),
        sa.Column("slot", sa.String(length=8), nullable=False),
        sa.Column("model", sa.String(length=64), nullable=False),
        sa.Column("version", sa.String(length=64), nullable=False),
        sa.Column("champion", sa.String(length=64), nullable=False),
        sa.Column("metric", sa.String(length=16), nullable=False),
        sa.Column("tolerance", sa.Float(), nullable=False),
        sa.Column("began_at", sa.String(27), nullable=False),
        sa.Column("rows_from", sa.String(27)),
        sa.Column("rows_until", sa.String(27)),
        sa.Column("blocks", sa.JSON(), nullable=False),
        sa.Column("guard", sa.JSON(), nullable=False),
        sa.Column("looks", sa.Integer(), nullable=False),
        sa.Column("outcome", sa.String(length=16), nullable=False),
        sa.Column("reason", sa.Text(), nullable=False),
        sa.Column("ended_at", sa.String(27)),
        sa.PrimaryKeyConstraint("run_id", "slot"),
    )
    op.create_index("phase_by_model", "phase", ["model", "began_at"])
