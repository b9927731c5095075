from __future__ import annotations

from types import SimpleNamespace
from typing import Any

from services.retraining.tracking.mlflow import MlflowTracker


def test_reported_metrics_of_the_challenger_are_sent() -> None:
    gate: dict[str, Any] = {"challenger_loss": 0.25, "gain": None}
    run: Any = SimpleNamespace(seconds={}, gate=gate)
    assert MlflowTracker._measures(run) == {"challenger_loss": 0.25}
    gate["reported"] = {"champion": {"accuracy": 0.5}, "challenger": {"accuracy": 0.75}}
    assert MlflowTracker._measures(run) == {"challenger_loss": 0.25, "accuracy": 0.75}
