"""The table of watched releases."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0107"
down_revision = "0106"
branch_labels = None
depends_on = None


def upgrade() -> None:
    """Create the table; a release from before it is watched if its time is not over."""
    op.create_table(
        "watch",
        sa.Column("model", sa.String(length=64), nullable=False),
        sa.Column("generation", sa.Integer(), nullable=False),
        sa.Column("version", sa.String(length=64), nullable=False),
        sa.Column("former", sa.String(length=64), nullable=False),
        sa.Column("former_generation", sa.Integer(), nullable=False),
        sa.Column("release_reason", sa.String(length=16), nullable=False),
        sa.Column("run_id", sa.String(length=80), nullable=False),
        sa.Column("metric", sa.String(length=16), nullable=False),
        sa.Column("tolerance", sa.Float(), nullable=False),
        sa.Column("state", sa.String(length=16), nullable=False),
        sa.Column("reason_code", sa.String(length=32), nullable=False),
        sa.Column("reason", sa.Text(), nullable=False),
        sa.Column("began_at", sa.String(27), nullable=False),
        sa.Column("rows_from", sa.String(27)),
        sa.Column("rows_until", sa.String(27)),
        sa.Column("blocks", sa.JSON(), nullable=False),
        sa.Column("rollback_generation", sa.Integer()),
        sa.Column("ended_at", sa.String(27)),
        sa.PrimaryKeyConstraint("model", "generation"),
    )
