"""Thirty days of a model with known numbers: 100 rows a day, a log loss of about 0.5, and loops that differ in a few keys."""

from __future__ import annotations

from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from typing import Any

import numpy as np
import pyarrow as pa
import pytest

from cli.deployment.review.deployed_rows import DeployedRows
from shared.contracts.loop_spec import LoopSpec

BEGINS = datetime(2026, 1, 1, tzinfo=UTC)
ROWS, DAYS = 3000, 30

MakeLoop = Callable[..., LoopSpec]


@pytest.fixture
def make_loop() -> MakeLoop:
    def make(*, kind: str = "probability", **changed: Any) -> LoopSpec:
        document: dict[str, Any] = {
            "model": "toy",
            "features": [
                {"name": "size", "type": "number", "nullable": True, "minimum": 0, "maximum": 100},
                {"name": "color", "type": "category", "values": ["red", "blue"]},
                {"name": "note", "type": "text"},
            ],
            "prediction": {"kind": kind},
            "outcome": {"delay": "1h"},
            "metric": {"name": "log_loss" if kind == "probability" else "mae"},
            "drift": {"window": {"every": "4d"}},
            "retraining": {"command": ["python", "train.py"]},
            "gate": {"holdout": "7d"},
            "automation": "observe",
        }
        return LoopSpec.model_validate(document | changed)

    return make


def table(**changed: Any) -> pa.Table:
    """Scores of 0.8 or 0.2 that are right four times in five: a log loss of about 0.5."""
    random = np.random.default_rng(7)
    late = random.random(ROWS) < 0.5
    right = random.random(ROWS) < 0.8
    step = timedelta(days=DAYS) / ROWS
    columns = {
        "event_time": pa.array([BEGINS + place * step for place in range(ROWS)], pa.timestamp("us", "UTC")),
        "size": random.uniform(0, 100, ROWS),
        "color": random.choice(["red", "blue"], ROWS),
        "note": random.choice(["a", "bb", "ccc"], ROWS),
        "outcome": late.astype(float),
        "score": np.where(late == right, 0.8, 0.2),
    }
    return pa.table(columns | changed)


def rows(*, days_trained: int | None = None, **changed: Any) -> DeployedRows:
    made = table(**changed)
    until = None if days_trained is None else BEGINS + timedelta(days=days_trained)
    return DeployedRows(made, made, until)
