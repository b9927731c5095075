"""The monitor, the gate and the baseline comparison compute the same loss from the same rows."""

from __future__ import annotations

from contextlib import nullcontext
from datetime import UTC, datetime, timedelta
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from sklearn.metrics import mean_absolute_error, mean_squared_error

from services.drift.evaluation.performance import measure_loss
from services.drift.monitoring.lake_reader import DeltaLakeReader
from services.drift.windows import Span
from services.retraining.rollout import baseline_comparison
from services.retraining.rollout.baseline_comparison import compare_with_first
from services.retraining.rollout.stored_model import StoredModel
from services.retraining.runs import evaluation
from services.retraining.runs.data_snapshot import take_snapshot
from services.retraining.runs.workspace import RunFolder
from services.retraining.snapshots.pin import pin_lake
from shared.contracts.loop_spec import LoopSpec
from shared.errors import UnservableModel
from shared.models.losses import MetricName, row_losses
from shared.models.onnx_runner import OnnxModel
from shared.stores.lake import Lake
from tests.fakes.class_lake import START, fill_class_lake
from tests.fakes.class_model import TABLE, class_loop, class_onnx
from tests.fakes.in_process_models import open_in_process
from tests.fakes.values_lake import fill_values_lake
from tests.fakes.vector_model import LINES, NAMES, values_loop
from tests.unit.services.drift.world import loop

SCORES = np.array([0.0, 1.0, 0.0, 1.0, 0.25, 0.9, 1e-9, 1 - 1e-9] * 10)
OUTCOMES = np.array([0.0, 1.0, 1.0, 0.0, 1.0, 0.0, 1.0, 0.0] * 10)


class ColumnModel:
    """A model whose score is the feature x."""

    memory_bytes = 1 << 20

    def __init__(self, _: Path, spec: LoopSpec) -> None:
        self.spec = spec

    def score(self, rows: pa.Table) -> npt.NDArray[np.float64]:
        scores: npt.NDArray[np.float64] = np.nan_to_num(rows["x"].to_numpy().astype(np.float64))
        return scores

    outputs = score

    def feeds(self, rows: pa.Table) -> dict[str, Any]:
        return {}

    def seconds(self, feeds: dict[str, Any]) -> float:
        return 1.0


def open_column_model(path: Path, spec: LoopSpec, _: str) -> Any:
    return nullcontext(ColumnModel(path, spec))


@pytest.mark.parametrize("metric", ["log_loss", "brier", "mae", "rmse"])
def test_monitor_and_gate_compute_the_same_loss(metric: MetricName, tmp_path: Path) -> None:
    for name in ("new", "old"):
        (tmp_path / name).touch()
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
        challenger=tmp_path / "new",
        champion_version="old",
        champion=tmp_path / "old",
        champion_spec=spec,
        calls=1,
        open_model=open_column_model,
    )
    monitored = measure_loss(metric, row_losses(metric, SCORES, OUTCOMES))
    assert monitored is not None
    assert gate.challenger_loss == gate.champion_loss == monitored.value
    assert baseline_comparison._mean(metric, SCORES, OUTCOMES) == monitored.value


def losses(
    lake: Lake, spec: LoopSpec, model: Path, older: Path, older_spec: LoopSpec, folder: Path
) -> tuple[Any, Any, Any]:
    """Of the same rows of a lake: the monitor's loss, the gate's of `model` against `older`, and the comparison with `older`."""
    end = START + timedelta(days=1)
    rows = DeltaLakeReader(lake).rows(spec.model, spec, Span(START, end), 1)
    monitored = measure_loss(spec.require_performance().metric.name, rows.loss)

    pin = pin_lake(lake, spec.model, (), end)
    assert pin is not None
    run = RunFolder(folder)
    run.root.mkdir()
    take_snapshot(lake, spec, pin, None, run)
    gate = evaluation.compare(
        spec,
        pq.read_table(run.holdout),
        version="new",
        challenger=model,
        champion_version="old",
        champion=older,
        champion_spec=older_spec,
        calls=1,
        open_model=open_in_process,
    )
    verdict: Any = SimpleNamespace(model=spec.model, window_start=START, window_end=end, generation=1)
    first = StoredModel("0" * 64, older_spec, OnnxModel(older, older_spec))
    compared = compare_with_first(lake, first, spec, verdict, max_rows=1000)
    assert monitored is not None
    assert compared is not None
    return monitored, gate, compared


@pytest.mark.parametrize("labels", [("cat", "dog", "bird"), (3, 5, 8)])
@pytest.mark.parametrize("metric", ["log_loss", "error_rate"])
def test_losses_of_classes_are_the_same_from_the_lake_to_the_gate(
    metric: MetricName, labels: tuple[int | str, ...], tmp_path: Path
) -> None:
    """Rows of the lake: the monitor's loss of the window, the baseline comparison's, and the gate's of the holdout."""
    spec = class_loop(labels, metric={"name": metric}, outcome={"delay": "0s"}, gate={"holdout": "40d"})
    random = np.random.default_rng(3)
    lines = random.integers(0, 3, 400).tolist()
    outcomes = [labels[random.choice(3, p=TABLE[line])] for line in lines]
    lake = Lake(str(tmp_path / "lake"))
    fill_class_lake(lake, spec, lines, outcomes)
    path = tmp_path / "model.onnx"
    path.write_bytes(class_onnx())
    monitored, gate, compared = losses(lake, spec, path, path, spec, tmp_path / "run")
    assert monitored.rows == gate.rows == compared.rows == 400
    assert gate.challenger_loss == gate.champion_loss == monitored.value
    assert compared.served_loss == compared.baseline_loss == monitored.value


@pytest.mark.parametrize("metric", ["mae", "rmse"])
def test_losses_of_values_are_the_same_from_the_lake_to_the_gate(metric: MetricName, tmp_path: Path) -> None:
    """Of a champion with the same names in another order as well; scikit-learn gives the same number."""
    spec = values_loop(metric={"name": metric}, outcome={"delay": "0s"}, gate={"holdout": "40d"})
    turned = values_loop(NAMES[::-1], metric={"name": metric})
    random = np.random.default_rng(5)
    lines = random.integers(0, 3, 400).tolist()
    true = LINES[lines] + random.normal(0, [1.0, 2.0, 5.0], (400, 3))
    lake = Lake(str(tmp_path / "lake"))
    outcomes = [dict(zip(NAMES, row, strict=True)) for row in true.tolist()]
    fill_values_lake(lake, spec, lines, LINES[lines], outcomes)
    path, older = tmp_path / "model.onnx", tmp_path / "older.onnx"
    path.write_bytes(class_onnx(LINES, name="numbers"))
    older.write_bytes(class_onnx(LINES[:, ::-1].copy(), name="numbers"))
    monitored, gate, compared = losses(lake, spec, path, older, turned, tmp_path / "run")
    assert monitored.rows == gate.rows == compared.rows == 400
    assert gate.challenger_loss == compared.served_loss == monitored.value
    assert gate.champion_loss == compared.baseline_loss == pytest.approx(monitored.value, rel=1e-12)
    error = mean_absolute_error if metric == "mae" else mean_squared_error
    mean = error(true, LINES[lines], multioutput="uniform_average")
    assert monitored.value == pytest.approx(mean if metric == "mae" else mean**0.5, rel=1e-12)


def test_versions_with_other_names_are_not_compared(tmp_path: Path) -> None:
    """A mean over other names is another loss: a person decides."""
    spec, before = values_loop(outcome={"delay": "0s"}), values_loop(("low", "mid", "top"))
    path = tmp_path / "model.onnx"
    path.write_bytes(class_onnx(LINES, name="numbers"))
    holdout = pa.table(
        {
            "event_time": pa.array([START, START + timedelta(hours=1)], pa.timestamp("us", "UTC")),
            "line": [0, 1],
            "outcome": [dict.fromkeys(NAMES, 1.0)] * 2,
        }
    )
    gate = evaluation.compare(
        spec,
        holdout,
        version="new",
        challenger=path,
        champion_version="old",
        champion=path,
        champion_spec=before,
        calls=1,
        open_model=open_in_process,
    )
    assert (gate.gain, gate.champion_loss) == (None, None)
    first = StoredModel("0" * 64, before, OnnxModel(path, before))
    verdict: Any = SimpleNamespace(model=spec.model, window_start=START, window_end=START, generation=1)
    with pytest.raises(
        UnservableModel, match="are of kind values, those of the served one of kind values of other names"
    ):
        compare_with_first(Lake(str(tmp_path / "lake")), first, spec, verdict, max_rows=10)
