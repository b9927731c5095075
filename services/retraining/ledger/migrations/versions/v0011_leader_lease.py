"""The lease of the leader: which of several services on one ledger executes runs."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0111"
down_revision = "0110"
branch_labels = None
depends_on = None


def upgrade() -> None:
    """Create the table; it is empty until a service takes the lease."""
    op.create_table(
        "leader_lease",
        sa.Column("name", sa.String(length=16), primary_key=True),
        sa.Column("holder", sa.Text(), nullable=False),
        sa.Column("token", sa.Integer(), nullable=False),
        sa.Column("beat", sa.Integer(), nullable=False),
    )
