"""Programs of torch.export that torch serves as they are."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pyarrow.parquet as pq
import pytest
import torch
from torch import Tensor, nn

import homeostat
from shared.contracts.loop_yaml import read_loop_spec
from shared.contracts.manifest import REFERENCE
from shared.contracts.version_files.names import ARCHIVE, MODEL
from shared.errors import ExportRefused, UnservableModel
from shared.models.runners.loading import load_model

FREE = {0: torch.export.Dim.DYNAMIC}


@pytest.fixture(scope="module")
def rows() -> pd.DataFrame:
    random = np.random.default_rng(5)
    rows = pd.DataFrame({"age": random.integers(0, 5, 60), "amount": random.normal(size=60), "note": "text"})
    rows["outcome"] = (rows["amount"] > 0).astype(float)
    rows["event_time"] = pd.date_range("2026-01-01", periods=60, freq="h", tz="UTC")
    return rows


class Logistic(nn.Module):
    """Not in the order of the columns, and with an operator of its own order: floor division of negative numbers."""

    def forward(self, amount: Tensor, age: Tensor) -> Tensor:
        return torch.sigmoid(2 * amount + (age // 2).float())


class InDictionary(nn.Module):
    def forward(self, features: dict[str, Tensor]) -> dict[str, Tensor]:
        score = torch.sigmoid(features["amount"])
        return {"score": score, "twice": 2 * score}


class TwoLogits(nn.Module):
    def forward(self, amount: Tensor) -> Tensor:
        return torch.stack([-3 * amount, 3 * amount], dim=1)


class Softmax(TwoLogits):
    def forward(self, amount: Tensor) -> Tensor:
        return torch.softmax(super().forward(amount), dim=1)


class OneNumber(nn.Module):
    def forward(self, amount: Tensor) -> Tensor:
        return torch.sigmoid(amount)


def program(module: nn.Module, *inputs: Any) -> Any:
    axes = dict.fromkeys(inputs[0], FREE) if isinstance(inputs[0], dict) else FREE
    return torch.export.export(module.eval(), inputs, dynamic_shapes=tuple(axes for _ in inputs))


NUMBERS = torch.tensor([0.5, -1.5, 3.0])
COUNTS = torch.tensor([1, -3, 4])


def export(given: Any, rows: pd.DataFrame, project: Path, **options: Any) -> Any:
    return homeostat.export(given, rows, project, runtime="torch", **options)


def test_program_is_kept_and_scores_as_torch_does(rows: pd.DataFrame, tmp_path: Path) -> None:
    torch.export.save(program(Logistic(), NUMBERS, COUNTS), tmp_path / "net.pt2")
    project = tmp_path / "project"
    project.mkdir()
    (project / MODEL).write_bytes(b"of an earlier export")
    report = export(tmp_path / "net.pt2", rows, project)
    assert (report.kind.name, {one.differing for one in report.comparisons}) == ("probability", {0})
    assert not (project / MODEL).exists(), "a project has one model"
    served = load_model(project / ARCHIVE, read_loop_spec(project))
    scores = served.score(pq.read_table(project / REFERENCE))
    amount, age = torch.tensor(rows["amount"], dtype=torch.float32), torch.tensor(rows["age"])
    np.testing.assert_allclose(scores, Logistic()(amount, age).numpy(), rtol=1e-6)


def test_program_may_take_a_dictionary(rows: pd.DataFrame, tmp_path: Path) -> None:
    given = program(InDictionary(), {"amount": NUMBERS})
    with pytest.raises(ExportRefused, match="the program returns score, twice"):
        export(given, rows, tmp_path)
    report = export(given, rows, tmp_path, output="score")
    assert [column.name for column in report.columns] == ["amount"]


@pytest.mark.parametrize(
    ("given", "options", "message"),
    [
        (OneNumber(), {}, "runtime='torch' is for programs of torch.export"),
        (program(TwoLogits(), NUMBERS), {"labels": [0, 1]}, "output needs a softmax"),
        (program(Softmax(), NUMBERS), {}, "output needs a column of two"),
        (torch.export.export(OneNumber(), (NUMBERS,)), {}, r"saved by torch\.export for 3 rows"),
        (program(OneNumber(), COUNTS), {}, r"input amount is tensor\(int64\)"),
    ],
)
def test_what_would_have_to_be_converted_is_refused(
    given: Any, options: dict[str, Any], message: str, rows: pd.DataFrame, tmp_path: Path
) -> None:
    with pytest.raises((ExportRefused, UnservableModel), match=message):
        export(given, rows, tmp_path / "project", **options)
    assert not (tmp_path / "project").exists()


def test_missing_column_is_named(rows: pd.DataFrame, tmp_path: Path) -> None:
    with pytest.raises(ExportRefused, match="amount"):
        export(program(OneNumber(), NUMBERS), rows.drop(columns="amount"), tmp_path)


def test_other_libraries_are_not_kept(rows: pd.DataFrame, tmp_path: Path) -> None:
    from sklearn.linear_model import LinearRegression

    fitted = LinearRegression().fit(rows[["amount"]], rows["outcome"])
    with pytest.raises(
        ExportRefused, match=r"runtime='torch' is for programs of torch\.export; this model is of"
    ):
        export(fitted, rows, tmp_path)
    with pytest.raises(ExportRefused, match="runtime='jax' is unknown"):
        homeostat.export(fitted, rows, tmp_path, runtime="jax")
