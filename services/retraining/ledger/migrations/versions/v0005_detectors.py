"""Verdicts of scheduled evaluations name one of the two detectors, `inputs` or `performance`, in place of `evaluation`."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0105"
down_revision = "0104"
branch_labels = None
depends_on = None

_CAUSE = sa.table("cause", sa.column("key", sa.String), sa.column("verdict", sa.JSON))


def upgrade() -> None:
    """Rename the detector in stored verdicts. One that knew a loss of the reference waited for outcomes: `performance`."""
    connection = op.get_bind()
    stored = connection.execute(
        sa.select(_CAUSE.c.key, _CAUSE.c.verdict).where(
            _CAUSE.c.verdict["detector"].as_string() == "evaluation"
        )
    ).all()
    for key, verdict in stored:
        detector = "inputs" if verdict.get("reference_loss") is None else "performance"
        connection.execute(
            sa.update(_CAUSE).where(_CAUSE.c.key == key).values(verdict={**verdict, "detector": detector})
        )
