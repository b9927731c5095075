"""The table of delegations."""

from __future__ import annotations

from sqlalchemy import Column, Index, Integer, String, Table, Text

from services.retraining.ledger.tables import UtcTimestamp, metadata

# `delegator` as recorded for an action, `delegate` an authenticated name; `model` is empty for all models.
delegation = Table(
    "delegation",
    metadata,
    Column("id", Integer, primary_key=True, autoincrement=True),
    Column("delegator", Text, nullable=False),
    Column("delegate", String(100), nullable=False),
    Column("model", String(64), nullable=False),
    Column("note", Text, nullable=False),
    Column("created_at", UtcTimestamp, nullable=False),
    Column("ends_at", UtcTimestamp, nullable=False),
    Column("revoked_at", UtcTimestamp),
    Column("revoked_by", Text, nullable=False),
)
Index("delegation_by_delegate", delegation.c.delegate, delegation.c.ends_at)
