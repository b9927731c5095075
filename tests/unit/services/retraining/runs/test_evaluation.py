"""Both versions of a model with classes on the same holdout rows, also where the specification changed in between."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from datetime import timedelta
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pytest

from services.retraining.isolated_models import OpenModel
from services.retraining.runs.evaluation import compare, worst_latency
from services.retraining.runs.gate import GateResult, compared
from shared.contracts.loop_spec import LoopSpec
from shared.errors import UnservableModel
from shared.models.runners.model_runner import ModelRunner
from tests.fakes.class_lake import START
from tests.fakes.class_model import ANIMALS, TABLE, class_loop, class_onnx
from tests.fakes.in_process_models import open_in_process
from tests.fakes.toy_model import toy_onnx

# Lines 0, 1 and 2 are answered with cat, dog and bird.
LINES = [0, 1, 2, 2] * 10
OUTCOMES = ["cat", "dog", "bird", "cat"] * 10


def spec_of(labels: tuple[int | str, ...] = ANIMALS, **changes: Any) -> LoopSpec:
    return class_loop(
        labels, gate={"holdout": "1d", "minimum_rows": 20, "maximum_latency_ratio": 1000}, **changes
    )


def holdout(outcomes: list[str] = OUTCOMES) -> pa.Table:
    times = [START + timedelta(hours=row) for row in range(len(LINES))]
    return pa.table(
        {"event_time": pa.array(times, pa.timestamp("us", "UTC")), "line": LINES, "outcome": outcomes}
    )


def gate(
    folder: Path,
    spec: LoopSpec,
    champion_spec: LoopSpec | None,
    *,
    challenger: bytes = class_onnx(),
    champion: bytes = class_onnx(),
    rows: pa.Table | None = None,
    open_model: OpenModel = open_in_process,
) -> GateResult:
    (folder / "new.onnx").write_bytes(challenger)
    (folder / "old.onnx").write_bytes(champion)
    return compare(
        spec,
        holdout() if rows is None else rows,
        version="new",
        challenger=folder / "new.onnx",
        champion_version="old" if champion_spec else "",
        champion=folder / "old.onnx" if champion_spec else None,
        champion_spec=champion_spec,
        calls=1,
        open_model=open_model,
    )


def test_error_rate_is_gated_and_accuracy_and_macro_f1_are_reported(tmp_path: Path) -> None:
    spec = spec_of(metric={"name": "error_rate"})
    worse = np.ascontiguousarray(TABLE[[0, 0, 2]])
    result = gate(tmp_path, spec, spec, champion=class_onnx(worse))
    assert (result.champion_loss, result.challenger_loss) == (0.5, 0.25)
    # cat: 10 of 20 found, none wrong; dog: all right; bird: 10 right, 10 wrong.
    assert result.reported.challenger == pytest.approx(
        {"accuracy": 0.75, "macro_f1": (2 / 3 + 1 + 2 / 3) / 3}
    )
    assert result.reported.champion == pytest.approx({"accuracy": 0.5, "macro_f1": (0.5 + 0 + 2 / 3) / 3})
    assert "; accuracy 0.500 → 0.750; macro_f1 0.389 → 0.778" in result.reason
    assert result.to_json()["reported"]["challenger"]["accuracy"] == 0.75


def test_label_that_the_champion_lacks_has_probability_zero(tmp_path: Path) -> None:
    pair = np.array([[0.75, 0.25], [0.25, 0.75], [0.5, 0.5]], np.float32)
    result = gate(tmp_path, spec_of(), spec_of(ANIMALS[:2]), champion=class_onnx(pair))
    losses = [-np.log(0.75), -np.log(0.75), -np.log(1e-7), -np.log(0.5)]
    assert result.champion_loss == pytest.approx(np.mean(losses))
    assert result.reported.champion is not None
    assert result.reported.champion["accuracy"] == 0.75


def test_labels_in_another_order_are_the_same_labels(tmp_path: Path) -> None:
    turned = np.ascontiguousarray(TABLE[:, ::-1])
    result = gate(tmp_path, spec_of(), spec_of(ANIMALS[::-1]), champion=class_onnx(turned))
    assert result.champion_loss == result.challenger_loss


def test_champion_of_another_kind_is_not_compared(tmp_path: Path) -> None:
    changes: dict[str, Any] = {"prediction": {"kind": "value"}, "metric": {"name": "mae"}}
    result = gate(tmp_path, spec_of(), spec_of(**changes), champion=toy_onnx(1.0))
    assert not compared(result.to_json())
    assert "has another kind of prediction" in result.reason
    assert result.reported.champion is None


def test_probabilities_that_do_not_sum_to_one_fail_the_contract(tmp_path: Path) -> None:
    result = gate(tmp_path, spec_of(), None, challenger=class_onnx(TABLE * 2))
    assert [(check.name, check.passed) for check in result.checks] == [("contract", False)]
    assert "sum to 2" in result.reason


class TimedModel:
    """Takes as long as it is told, per call and per row."""

    def __init__(self, per_call: float, per_row: float = 0.0) -> None:
        self._per_call, self._per_row = per_call, per_row

    def feeds(self, rows: pa.Table) -> Any:
        return rows.num_rows

    def seconds(self, rows: Any) -> float:
        return self._per_call + self._per_row * float(rows - 1)


@pytest.mark.parametrize(("challenger", "rows"), [(TimedModel(0.001, 0.001), 64), (TimedModel(0.05), 1)])
def test_latency_is_that_of_the_worse_of_one_row_and_many(challenger: Any, rows: int) -> None:
    champion: Any = TimedModel(0.001, 0.0002)
    table = pa.table({"line": list(range(100))})
    worst = worst_latency(champion, challenger, table, calls=3)
    assert worst.rows == rows
    assert worst.ratio > 2
    alone = worst_latency(None, challenger, table, calls=1)
    assert (alone.champion, alone.rows) == (None, 1)


def limit_of(broken: str) -> OpenModel:
    """Opens models; the one in the file `broken` breaks a limit of the isolated process."""

    @contextmanager
    def open_model(path: Path, spec: LoopSpec, doing: str) -> Iterator[ModelRunner]:
        with open_in_process(path, spec, doing) as opened:
            if path.name == broken:
                raise UnservableModel(f"{doing} and needed more than 9 MiB", hint="train a smaller model")
            yield opened

    return open_model


def test_challenger_that_breaks_a_limit_is_refused_with_what_to_do(tmp_path: Path) -> None:
    result = gate(tmp_path, spec_of(), spec_of(), open_model=limit_of("new.onnx"))
    assert not result.passed
    assert result.reason == "the model was evaluated and needed more than 9 MiB (train a smaller model)"


def test_champion_that_breaks_a_limit_is_named(tmp_path: Path) -> None:
    with pytest.raises(UnservableModel, match="the champion was evaluated and needed more than 9 MiB"):
        gate(tmp_path, spec_of(), spec_of(), open_model=limit_of("old.onnx"))


def test_latency_of_both_models_is_checked(tmp_path: Path) -> None:
    result = gate(tmp_path, spec_of(), spec_of())
    assert result.latency_ratio is not None
    assert [check.name for check in result.checks] == ["rows", "gain", "latency", "robustness"]
    assert gate(tmp_path, spec_of(), None).latency_ratio is None
