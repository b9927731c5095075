"""The note of a release, such as why it was made without the gate."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0108"
down_revision = "0107"
branch_labels = None
depends_on = None


def upgrade() -> None:
    """Add the column; releases from before it have their note in the release log only."""
    op.add_column("release", sa.Column("note", sa.Text(), nullable=False, server_default=""))
