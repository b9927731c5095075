from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import cast

import numpy as np
import onnx
import pandas as pd
import pytest

from homeostat.model_export.columns import Column, infer_columns
from homeostat.model_export.comparison import Comparison
from homeostat.model_export.loop_yaml import write_loop_yaml
from homeostat.model_export.named_graph import Graph
from homeostat.model_export.prediction_kind import VALUE, Floats, PredictionKind
from homeostat.model_export.source_model import SourceModel
from homeostat.model_export.verification import original_scores, precision_hint, verify
from shared.contracts.loop_yaml import parse_loop_spec
from shared.errors import ExportRefused, UnservableModel

ROWS = pd.DataFrame({"plan": np.arange(40) % 3, "amount": np.linspace(0, 10, 40)})
COLUMNS = infer_columns(ROWS, list(ROWS.columns))


class Doubling:
    """A model that predicts twice the amount and refuses unknown plans."""

    library = "test"
    kind: PredictionKind = VALUE
    notes: Sequence[str] = ()
    warnings: Sequence[str] = ()
    classes: Sequence[int] = ()

    def score(self, rows: pd.DataFrame) -> Floats:
        if not rows["plan"].isin([0, 1, 2]).all():
            raise ValueError("unknown plan")
        return np.asarray(2.0 * rows["amount"], np.float64)

    def column_names(self, rows: pd.DataFrame, candidates: Sequence[str]) -> Sequence[str]:
        return candidates

    def text_columns(self, names: Sequence[str]) -> Sequence[str]:
        return ()

    def listed_columns(self, names: Sequence[str]) -> Sequence[str]:
        return ()

    def conversions(self, columns: Sequence[Column], rows: pd.DataFrame) -> Iterator[onnx.ModelProto]:
        yield converted()


def converted(most: float = 1e9, *, plans: int = 3, over_the_batch: bool = False) -> onnx.ModelProto:
    """Twice the amount, at most `most`; fails for another plan than 0 to `plans` - 1."""
    graph = Graph(COLUMNS)
    zero = graph.node("Gather", [graph.constant(np.zeros(plans, np.float32)), "plan"])
    amount = graph.node("Mul", ["amount", graph.constant(np.float32(2))])
    if over_the_batch:
        mean = graph.node("ReduceMean", [amount], keepdims=1)
        amount = graph.node("Sub", [amount, mean])
        amount = graph.node("Add", [amount, graph.constant(np.float32(ROWS["amount"].mean() * 2))])
    limited = graph.node("Min", [amount, graph.constant(np.float32(most))])
    return graph.finish(graph.node("Add", [zero, limited]))


def verified(model: onnx.ModelProto, source: Doubling) -> list[Comparison]:
    text = write_loop_yaml(
        model="fraud",
        library="test",
        columns=COLUMNS,
        kind=VALUE,
        event_times=None,
        rows=len(ROWS),
        outcome_delay="1d",
    )
    loop = parse_loop_spec(text)
    original = original_scores(source, ROWS)
    found = verify(source, model, COLUMNS, ROWS, loop, original=original, tolerance=1e-4)
    return list(found.comparisons)


def test_column_that_the_original_refuses_hides_no_other() -> None:
    rows, beyond = verified(converted(), Doubling())
    assert (rows.differing, beyond.differing, beyond.rows) == (0, 0, 40)
    assert "not compared where plan is changed: the original model refuses it: unknown plan" in str(beyond)
    assert (beyond.compared("amount"), beyond.compared("plan"), beyond.is_complete) == (True, False, False)
    _, beyond = verified(converted(most=100), Doubling())
    assert beyond.differing == 10
    assert "amount" in beyond.table


def test_export_that_fails_on_rows_of_a_probe_differs(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(Doubling, "score", lambda self, rows: np.asarray(2.0 * rows["amount"], np.float64))
    _, beyond = verified(converted(), Doubling())
    assert (beyond.differing, beyond.rows, beyond.accepted(0.5)) == (80, 80, False)
    assert "the model failed on valid rows" in str(beyond)


def test_score_that_depends_on_other_rows_is_refused() -> None:
    with pytest.raises(UnservableModel, match="depends on other rows in the batch"):
        verified(converted(over_the_batch=True), Doubling())


def test_original_must_return_finite_scores(monkeypatch: pytest.MonkeyPatch) -> None:
    scores = np.where(np.arange(len(ROWS)) == 7, np.nan, 1.0)
    monkeypatch.setattr(Doubling, "score", lambda self, rows: scores)
    with pytest.raises(ExportRefused, match="returns nan for row 7"):
        original_scores(Doubling(), ROWS)


def test_columns_that_float32_rounds_too_much_are_named() -> None:
    random = np.random.default_rng(1)
    rows = pd.DataFrame({"usual": random.normal(size=100), "tiny": 1 + 1e-5 * random.normal(size=100)})
    columns = infer_columns(rows, ["usual", "tiny"])
    assert "different values of tiny are the same number" in precision_hint(columns, rows)
    assert precision_hint(columns[:1], rows) == ""


def test_outlier_does_not_hide_what_float32_loses() -> None:
    random = np.random.default_rng(1)
    seconds = 1.7e9 + random.integers(0, 3600, 500).astype(float)
    rows = pd.DataFrame({"created_at": np.where(np.arange(500) == 5, 0.0, seconds)})
    assert "different values of created_at are the same number" in precision_hint(
        infer_columns(rows, ["created_at"]), rows
    )
    # One large number is rounded; the others are not.
    rows = pd.DataFrame({"amount": np.where(np.arange(500) == 5, 1e12 + 1, random.normal(size=500))})
    assert precision_hint(infer_columns(rows, ["amount"]), rows) == ""
    rows = pd.DataFrame({"constant": np.full(50, 0.1)})
    assert precision_hint(infer_columns(rows, ["constant"]), rows) == ""


class Fails:
    def score(self, rows: pd.DataFrame) -> None:
        raise ValueError("no")


def test_columns_of_a_wide_table_are_counted() -> None:
    rows = pd.DataFrame(np.zeros((3, 23)), columns=[f"c{number}" for number in range(23)])
    with pytest.raises(ExportRefused) as refused:
        original_scores(cast(SourceModel, Fails()), rows)
    assert refused.value.message == "the original model fails on the rows: ValueError: no"
    assert refused.value.hint.endswith("c18 (float64), c19 (float64) and 3 more")
