"""How often the current step of a run was started."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0103"
down_revision = "0102"
branch_labels = None
depends_on = None


def upgrade() -> None:
    """Add the column; existing runs have started no step."""
    op.add_column("run", sa.Column("step_starts", sa.Integer(), nullable=False, server_default="0"))
