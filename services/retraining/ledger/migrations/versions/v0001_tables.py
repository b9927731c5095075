"""The first tables."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

# "0001" had other column names, in builds before the first release.
revision = "0101"
down_revision = None
branch_labels = None
depends_on = None


def upgrade() -> None:
    """Create the tables."""
    op.create_table(
        "cause",
        sa.Column("key", sa.String(length=64), nullable=False),
        sa.Column("model", sa.String(length=64), nullable=False),
        sa.Column("source", sa.String(length=16), nullable=False),
        sa.Column("reason", sa.Text(), nullable=False),
        sa.Column("actor", sa.Text(), nullable=False),
        sa.Column("version", sa.String(length=64), nullable=False),
        sa.Column("state", sa.String(length=32), nullable=False),
        sa.Column("window_start", sa.String(27), nullable=True),
        sa.Column("window_end", sa.String(27), nullable=True),
        sa.Column("verdict", sa.JSON(), nullable=True),
        sa.Column("deliveries", sa.Integer(), nullable=False),
        sa.Column("first_seen_at", sa.String(27), nullable=False),
        sa.PrimaryKeyConstraint("key"),
    )
    op.create_index("cause_by_model", "cause", ["model", "window_end"], unique=False)
    op.create_table(
        "outbox",
        sa.Column("id", sa.Integer(), autoincrement=True, nullable=False),
        sa.Column("kind", sa.String(length=16), nullable=False),
        sa.Column("payload", sa.JSON(), nullable=False),
        sa.Column("sent", sa.Boolean(), nullable=False),
        sa.PrimaryKeyConstraint("id"),
    )
    op.create_index("outbox_unsent", "outbox", ["sent", "id"], unique=False)
    op.create_table(
        "project",
        sa.Column("model", sa.String(length=64), nullable=False),
        sa.Column("directory", sa.Text(), nullable=False),
        sa.Column("loop", sa.JSON(), nullable=False),
        sa.Column("version", sa.String(length=64), nullable=False),
        sa.Column("actor", sa.Text(), nullable=False),
        sa.Column("recorded_at", sa.String(27), nullable=False),
        sa.PrimaryKeyConstraint("model"),
    )
    op.create_table(
        "release",
        sa.Column("model", sa.String(length=64), nullable=False),
        sa.Column("generation", sa.Integer(), nullable=False),
        sa.Column("version", sa.String(length=64), nullable=False),
        sa.Column("reason", sa.String(length=16), nullable=False),
        sa.Column("actor", sa.Text(), nullable=False),
        sa.Column("run_id", sa.String(length=80), nullable=False),
        sa.Column("released_at", sa.String(27), nullable=False),
        sa.PrimaryKeyConstraint("model", "generation"),
    )
    op.create_index("release_by_version", "release", ["version"], unique=False)
    op.create_table(
        "decision",
        sa.Column("id", sa.Integer(), autoincrement=True, nullable=False),
        sa.Column("cause_key", sa.String(length=64), nullable=False),
        sa.Column("model", sa.String(length=64), nullable=False),
        sa.Column("action", sa.String(length=16), nullable=False),
        sa.Column("reason_code", sa.String(length=32), nullable=False),
        sa.Column("reason", sa.Text(), nullable=False),
        sa.Column("event_time", sa.String(27), nullable=False),
        sa.Column("decided_at", sa.String(27), nullable=False),
        sa.ForeignKeyConstraint(
            ["cause_key"],
            ["cause.key"],
        ),
        sa.PrimaryKeyConstraint("id"),
        sa.UniqueConstraint("cause_key"),
    )
    op.create_index("decision_by_model", "decision", ["model", "id"], unique=False)
    op.create_table(
        "run",
        sa.Column("run_id", sa.String(length=80), nullable=False),
        sa.Column("cause_key", sa.String(length=64), nullable=False),
        sa.Column("model", sa.String(length=64), nullable=False),
        sa.Column("state", sa.String(length=24), nullable=False),
        sa.Column("event_time", sa.String(27), nullable=False),
        sa.Column("change_since", sa.String(27), nullable=True),
        sa.Column("champion", sa.String(length=64), nullable=False),
        sa.Column("directory", sa.Text(), nullable=False),
        sa.Column("loop", sa.JSON(), nullable=False),
        sa.Column("lake", sa.JSON(), nullable=True),
        sa.Column("snapshot", sa.JSON(), nullable=True),
        sa.Column("version", sa.String(length=64), nullable=False),
        sa.Column("generation", sa.Integer(), nullable=True),
        sa.Column("reason_code", sa.String(length=32), nullable=False),
        sa.Column("reason", sa.Text(), nullable=False),
        sa.Column("attempts", sa.Integer(), nullable=False),
        sa.Column("seconds", sa.JSON(), nullable=False),
        sa.Column("created_at", sa.String(27), nullable=False),
        sa.Column("state_changed_at", sa.String(27), nullable=False),
        sa.Column("ended_at", sa.String(27), nullable=True),
        sa.ForeignKeyConstraint(
            ["cause_key"],
            ["cause.key"],
        ),
        sa.PrimaryKeyConstraint("run_id"),
        sa.UniqueConstraint("cause_key"),
    )
    op.create_index("run_by_model", "run", ["model", "created_at"], unique=False)
    op.create_index("run_by_state", "run", ["state"], unique=False)
    op.create_table(
        "approval",
        sa.Column("id", sa.Integer(), autoincrement=True, nullable=False),
        sa.Column("run_id", sa.String(length=80), nullable=False),
        sa.Column("answer", sa.String(length=8), nullable=False),
        sa.Column("actor", sa.Text(), nullable=False),
        sa.Column("about", sa.String(length=16), nullable=False),
        sa.Column("gate_digest", sa.String(length=64), nullable=False),
        sa.Column("answered_at", sa.String(27), nullable=False),
        sa.ForeignKeyConstraint(
            ["run_id"],
            ["run.run_id"],
        ),
        sa.PrimaryKeyConstraint("id"),
    )
    op.create_table(
        "budget_entry",
        sa.Column("run_id", sa.String(length=80), nullable=False),
        sa.Column("model", sa.String(length=64), nullable=False),
        sa.Column("event_time", sa.String(27), nullable=False),
        sa.Column("state", sa.String(length=8), nullable=False),
        sa.Column("train_seconds", sa.Float(), nullable=True),
        sa.ForeignKeyConstraint(
            ["run_id"],
            ["run.run_id"],
        ),
        sa.PrimaryKeyConstraint("run_id"),
    )
    op.create_index("budget_by_model", "budget_entry", ["model", "event_time"], unique=False)
    op.create_table(
        "gate",
        sa.Column("run_id", sa.String(length=80), nullable=False),
        sa.Column("passed", sa.Boolean(), nullable=False),
        sa.Column("digest", sa.String(length=64), nullable=False),
        sa.Column("result", sa.JSON(), nullable=False),
        sa.Column("evaluated_at", sa.String(27), nullable=False),
        sa.ForeignKeyConstraint(
            ["run_id"],
            ["run.run_id"],
        ),
        sa.PrimaryKeyConstraint("run_id"),
    )
