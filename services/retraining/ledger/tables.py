"""The ledger's tables, for SQLite and Postgres. Migrations create them; queries use these definitions.

project   cause ─1:1─ decision   cause ─1:n─ revision   cause ─1:0..1─ acknowledgement
            cause ─1:0..1─ run ─ gate, approval, budget_entry, phase, snapshot_marks
            cause ─1:n─ shadow_decision
release   watch   first_comparison   outbox   delegation
"""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Any

from sqlalchemy import JSON, Boolean, Column, Float, ForeignKey, Index, Integer, MetaData, String, Table, Text
from sqlalchemy.engine import Dialect
from sqlalchemy.types import TypeDecorator


class UtcTimestamp(TypeDecorator[datetime]):
    """A UTC timestamp stored as text of fixed width, so that it sorts the same in every database."""

    impl = String(27)
    cache_ok = True

    def process_bind_param(self, value: datetime | None, dialect: Dialect) -> str | None:
        """To text."""
        return None if value is None else value.astimezone(UTC).strftime("%Y-%m-%dT%H:%M:%S.%fZ")

    def process_result_value(self, value: Any | None, dialect: Dialect) -> datetime | None:
        """From text."""
        return (
            None if value is None else datetime.strptime(value, "%Y-%m-%dT%H:%M:%S.%fZ").replace(tzinfo=UTC)
        )


metadata = MetaData()

project = Table(
    "project",
    metadata,
    Column("model", String(64), primary_key=True),
    Column("directory", Text, nullable=False),
    Column("loop", JSON, nullable=False),
    Column("version", String(64), nullable=False),
    Column("actor", Text, nullable=False),
    Column("recorded_at", UtcTimestamp, nullable=False),
)

# Who let a model's training command be read from which folder.
project_folder = Table(
    "project_folder",
    metadata,
    Column("id", Integer, primary_key=True, autoincrement=True),
    Column("model", String(64), nullable=False),
    Column("directory", Text, nullable=False),
    Column("before", Text, nullable=False),
    Column("actor", Text, nullable=False),
    Column("changed_at", UtcTimestamp, nullable=False),
)
Index("project_folder_by_model", project_folder.c.model, project_folder.c.id)

cause = Table(
    "cause",
    metadata,
    Column("key", String(64), primary_key=True),
    Column("model", String(64), nullable=False),
    Column("source", String(16), nullable=False),
    Column("reason", Text, nullable=False),
    Column("actor", Text, nullable=False),
    Column("version", String(64), nullable=False),
    Column("state", String(32), nullable=False),
    Column("window_start", UtcTimestamp),
    Column("window_end", UtcTimestamp),
    Column("verdict", JSON),
    Column("deliveries", Integer, nullable=False),
    Column("first_seen_at", UtcTimestamp, nullable=False),
)
Index("cause_by_model", cause.c.model, cause.c.window_end)

decision = Table(
    "decision",
    metadata,
    Column("id", Integer, primary_key=True, autoincrement=True),
    Column("cause_key", String(64), ForeignKey("cause.key"), nullable=False, unique=True),
    Column("model", String(64), nullable=False),
    Column("action", String(16), nullable=False),
    Column("reason_code", String(32), nullable=False),
    Column("reason", Text, nullable=False),
    Column("event_time", UtcTimestamp, nullable=False),
    Column("decided_at", UtcTimestamp, nullable=False),
)
Index("decision_by_model", decision.c.model, decision.c.id)

# Verdicts that late or corrected outcomes changed; `cause` has the latest. One row per revision received.
revision = Table(
    "revision",
    metadata,
    Column("cause_key", String(64), ForeignKey("cause.key"), primary_key=True),
    Column("revision", Integer, primary_key=True),
    Column("state", String(32), nullable=False),
    Column("state_before", String(32), nullable=False),
    Column("reason", Text, nullable=False),
    Column("decision_before", String(32), nullable=False),
    Column("received_at", UtcTimestamp, nullable=False),
)

acknowledgement = Table(
    "acknowledgement",
    metadata,
    Column("cause_key", String(64), ForeignKey("cause.key"), primary_key=True),
    Column("actor", Text, nullable=False),
    Column("note", Text, nullable=False),
    Column("acknowledged_at", UtcTimestamp, nullable=False),
)

run = Table(
    "run",
    metadata,
    Column("run_id", String(80), primary_key=True),
    Column("cause_key", String(64), ForeignKey("cause.key"), nullable=False, unique=True),
    Column("model", String(64), nullable=False),
    Column("state", String(24), nullable=False),
    Column("event_time", UtcTimestamp, nullable=False),
    Column("change_since", UtcTimestamp),
    Column("champion", String(64), nullable=False),
    Column("directory", Text, nullable=False),
    Column("loop", JSON, nullable=False),
    Column("lake", JSON),
    Column("snapshot", JSON),
    Column("version", String(64), nullable=False),
    Column("generation", Integer),
    Column("reason_code", String(32), nullable=False),
    Column("reason", Text, nullable=False),
    Column("attempts", Integer, nullable=False),
    Column("step_starts", Integer, nullable=False, server_default="0"),
    Column("seconds", JSON, nullable=False),
    Column("created_at", UtcTimestamp, nullable=False),
    Column("state_changed_at", UtcTimestamp, nullable=False),
    Column("ended_at", UtcTimestamp),
)
Index("run_by_model", run.c.model, run.c.created_at)
Index("run_by_state", run.c.state)

gate = Table(
    "gate",
    metadata,
    Column("run_id", String(80), ForeignKey("run.run_id"), primary_key=True),
    Column("passed", Boolean, nullable=False),
    Column("digest", String(64), nullable=False),
    Column("result", JSON, nullable=False),
    Column("evaluated_at", UtcTimestamp, nullable=False),
)

release = Table(
    "release",
    metadata,
    Column("model", String(64), primary_key=True),
    Column("generation", Integer, primary_key=True),
    Column("version", String(64), nullable=False),
    Column("reason", String(16), nullable=False),
    Column("actor", Text, nullable=False),
    Column("run_id", String(80), nullable=False),
    Column("released_at", UtcTimestamp, nullable=False),
    Column("note", Text, nullable=False, server_default=""),
)
Index("release_by_version", release.c.version)

# A release whose version is compared with the one before it, on the rows it answers. One row per release, so one outcome.
watch = Table(
    "watch",
    metadata,
    Column("model", String(64), primary_key=True),
    Column("generation", Integer, primary_key=True),
    Column("version", String(64), nullable=False),
    Column("former", String(64), nullable=False),
    Column("former_generation", Integer, nullable=False),
    Column("release_reason", String(16), nullable=False),
    Column("run_id", String(80), nullable=False),
    Column("metric", String(16), nullable=False),
    Column("tolerance", Float, nullable=False),
    Column("state", String(16), nullable=False),
    Column("reason_code", String(32), nullable=False),
    Column("reason", Text, nullable=False),
    Column("began_at", UtcTimestamp, nullable=False),
    Column("rows_from", UtcTimestamp),
    Column("rows_until", UtcTimestamp),
    Column("blocks", JSON, nullable=False),
    Column("rollback_generation", Integer),
    Column("ended_at", UtcTimestamp),
)

# Evidence that the served version is worse than the first one. One row per live generation.
first_comparison = Table(
    "first_comparison",
    metadata,
    Column("model", String(64), primary_key=True),
    Column("generation", Integer, primary_key=True),
    Column("rows_until", UtcTimestamp, nullable=False),
    Column("threshold", Float, nullable=False),
    Column("evidence", JSON, nullable=False),
)

# How far each stream of rows was stored when the run's snapshot was taken: see shared/stores/as_of/.
snapshot_marks = Table(
    "snapshot_marks",
    metadata,
    Column("run_id", String(80), ForeignKey("run.run_id"), primary_key=True),
    Column("marks", JSON, nullable=False),
)

# What a policy of `shadow_policies` would have decided on a cause. It starts nothing.
shadow_decision = Table(
    "shadow_decision",
    metadata,
    Column("id", Integer, primary_key=True, autoincrement=True),
    Column("cause_key", String(64), ForeignKey("cause.key"), nullable=False),
    Column("model", String(64), nullable=False),
    Column("policy", String(64), nullable=False),
    Column("policy_digest", String(64), nullable=False),
    Column("version", String(64), nullable=False),
    Column("action", String(16), nullable=False),
    Column("reason_code", String(32), nullable=False),
    Column("reason", Text, nullable=False),
    Column("event_time", UtcTimestamp, nullable=False),
    Column("decided_at", UtcTimestamp, nullable=False),
)
Index("shadow_decision_once", shadow_decision.c.cause_key, shadow_decision.c.policy, unique=True)
Index("shadow_decision_by_model", shadow_decision.c.model, shadow_decision.c.policy, shadow_decision.c.id)

# A challenger in a slot beside the live version, between gate and promotion. One row per run and slot, so one outcome.
phase = Table(
    "phase",
    metadata,
    Column("run_id", String(80), ForeignKey("run.run_id"), primary_key=True),
    Column("slot", String(8), primary_key=True),
    Column("model", String(64), nullable=False),
    Column("version", String(64), nullable=False),
    Column("champion", String(64), nullable=False),
    Column("metric", String(16), nullable=False),
    Column("tolerance", Float, nullable=False),
    Column("began_at", UtcTimestamp, nullable=False),
    Column("rows_from", UtcTimestamp),
    Column("rows_until", UtcTimestamp),
    Column("blocks", JSON, nullable=False),
    Column("guard", JSON, nullable=False),
    Column("looks", Integer, nullable=False),
    Column("outcome", String(16), nullable=False),
    Column("reason", Text, nullable=False),
    Column("ended_at", UtcTimestamp),
)
Index("phase_by_model", phase.c.model, phase.c.began_at)

approval = Table(
    "approval",
    metadata,
    Column("id", Integer, primary_key=True, autoincrement=True),
    Column("run_id", String(80), ForeignKey("run.run_id"), nullable=False),
    Column("answer", String(8), nullable=False),
    Column("actor", Text, nullable=False),
    Column("on_behalf_of", Text, nullable=False, server_default=""),
    Column("about", String(16), nullable=False),
    Column("gate_digest", String(64), nullable=False),
    Column("answered_at", UtcTimestamp, nullable=False),
)

budget_entry = Table(
    "budget_entry",
    metadata,
    Column("run_id", String(80), ForeignKey("run.run_id"), primary_key=True),
    Column("model", String(64), nullable=False),
    Column("event_time", UtcTimestamp, nullable=False),
    Column("state", String(8), nullable=False),
    Column("train_seconds", Float),
)
Index("budget_by_model", budget_entry.c.model, budget_entry.c.event_time)

outbox = Table(
    "outbox",
    metadata,
    Column("id", Integer, primary_key=True, autoincrement=True),
    Column("kind", String(16), nullable=False),
    Column("payload", JSON, nullable=False),
    Column("sent", Boolean, nullable=False),
)
Index("outbox_unsent", outbox.c.sent, outbox.c.id)

# One row. `token` grows with each holder, `beat` with each renewal.
leader_lease = Table(
    "leader_lease",
    metadata,
    Column("name", String(16), primary_key=True),
    Column("holder", Text, nullable=False),
    Column("token", Integer, nullable=False),
    Column("beat", Integer, nullable=False),
)
