"""Delegations of approvals, and for whom an answer was given."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0113"
down_revision = "0112"
branch_labels = None
depends_on = None


def upgrade() -> None:
    """Create the table and add the column; answers of before it were given in nobody's place."""
    op.create_table(
        "delegation",
        sa.Column("id", sa.Integer(), primary_key=True, autoincrement=True),
        sa.Column("delegator", sa.Text(), nullable=False),
        sa.Column("delegate", sa.String(length=100), nullable=False),
        sa.Column("model", sa.String(length=64), nullable=False),
        sa.Column("note", sa.Text(), nullable=False),
        sa.Column("created_at", sa.String(length=27), nullable=False),
        sa.Column("ends_at", sa.String(length=27), nullable=False),
        sa.Column("revoked_at", sa.String(length=27)),
        sa.Column("revoked_by", sa.Text(), nullable=False),
    )
    op.create_index("delegation_by_delegate", "delegation", ["delegate", "ends_at"])
    op.add_column("approval", sa.Column("on_behalf_of", sa.Text(), nullable=False, server_default=""))
