"""How far streams were stored when a run's snapshot was taken, and decisions of shadow policies."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0112"
down_revision = "0111"
branch_labels = None
depends_on = None


def upgrade() -> None:
    """Create the tables; runs of before have no marks."""
    op.create_table(
        "snapshot_marks",
        sa.Column("run_id", sa.String(length=80), sa.ForeignKey("run.run_id"), primary_key=True),
        sa.Column("marks", sa.JSON(), nullable=False),
    )
    op.create_table(
        "shadow_decision",
        sa.Column("id", sa.Integer(), primary_key=True, autoincrement=True),
        sa.Column("cause_key", sa.String(length=64), sa.ForeignKey("cause.key"), nullable=False),
        sa.Column("model", sa.String(length=64), nullable=False),
        sa.Column("policy", sa.String(length=64), nullable=False),
        sa.Column("policy_digest", sa.String(length=64), nullable=False),
        sa.Column("version", sa.String(length=64), nullable=False),
        sa.Column("action", sa.String(length=16), nullable=False),
        sa.Column("reason_code", sa.String(length=32), nullable=False),
        sa.Column("reason", sa.Text(), nullable=False),
        sa.Column("event_time", sa.String(length=27), nullable=False),
        sa.Column("decided_at", sa.String(length=27), nullable=False),
    )
    op.create_index("shadow_decision_once", "shadow_decision", ["cause_key", "policy"], unique=True)
    op.create_index("shadow_decision_by_model", "shadow_decision", ["model", "policy", "id"])
