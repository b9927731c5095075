"""The monitor, the gate and the baseline comparison compute the same loss from the same rows."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pytest

from services.drift.evaluation.performance import measure_loss
from services.retraining.rollout import baseline_comparison
from services.retraining.runs import evaluation
from shared.contracts.loop_spec import LoopSpec
from shared.models.losses import MetricName
from tests.unit.services.drift.world import loop

SCORES = np.array([0.0, 1.0, 0.0, 1.0, 0.25, 0.9, 1e-9, 1 - 1e-9] * 10)
OUTCOMES = np.array([0.0, 1.0, 1.0, 0.0, 1.0, 0.0, 1.0, 0.0] * 10)


class ColumnModel:
    """A model whose score is the feature x."""

    def __init__(self, _: Path, spec: LoopSpec) -> None:
        self.spec = spec

    def score(self, rows: pa.Table) -> npt.NDArray[np.float64]:
        scores: npt.NDArray[np.float64] = np.nan_to_num(rows["x"].to_numpy().astype(np.float64))
        return scores

    def feeds(self, rows: pa.Table) -> dict[str, Any]:
        return {}

    def run(self, feeds: dict[str, Any]) -> None: ...


@pytest.mark.parametrize("metric", ["log_loss", "brier", "mae", "rmse"])
def test_monitor_and_gate_compute_the_same_loss(metric: MetricName, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(evaluation, "OnnxModel", ColumnModel)
    kind = "probability" if metric in ("log_loss", "brier") else "value"
    spec = loop(metric={"name": metric}, prediction={"kind": kind})
    start = datetime(2026, 1, 1, tzinfo=UTC)
    rows = pa.table(
        {
            "event_time": pa.array(
                [start + timedelta(hours=row) for row in range(SCORES.size)], pa.timestamp("us", "UTC")
            ),
            "x": SCORES,
            "c": ["a"] * SCORES.size,
            "outcome": OUTCOMES,
        }
    )
    gate = evaluation.compare(
        spec,
        rows,
        version="new",
        challenger=Path("new"),
        champion_version="old",
        champion=Path("old"),
        champion_spec=spec,
        calls=1,
    )
    monitored = measure_loss(metric, SCORES, OUTCOMES)
    assert monitored is not None
    assert gate.challenger_loss == gate.champion_loss == monitored.value
    assert baseline_comparison._mean(metric, SCORES, OUTCOMES) == monitored.value
