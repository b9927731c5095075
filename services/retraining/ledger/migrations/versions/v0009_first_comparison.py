"""The table of comparisons of the served version with the first one."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0109"
down_revision = "0108"
branch_labels = None
depends_on = None


def upgrade() -> None:
    """Create the table; a version that is served already is compared from its newest judged window on."""
    op.create_table(
        "first_comparison",
        sa.Column("model", sa.String(length=64), nullable=False),
        sa.Column("generation", sa.Integer(), nullable=False),
        sa.Column("rows_until", sa.String(27), nullable=False),
        sa.Column("threshold", sa.Float(), nullable=False),
        sa.Column("evidence", sa.JSON(), nullable=False),
        sa.PrimaryKeyConstraint("model", "generation"),
    )
