from __future__ import annotations

from pathlib import Path

import numpy as np
import pandas as pd
import pyarrow.parquet as pq
import pytest
import torch
from torch import Tensor, nn

import homeostat
from shared.contracts.loop_yaml import read_loop_spec
from shared.errors import ExportRefused
from shared.models.onnx_runner import OnnxModel


@pytest.fixture(scope="module")
def rows() -> pd.DataFrame:
    random = np.random.default_rng(5)
    rows = pd.DataFrame({"amount": random.normal(size=200), "age": random.integers(0, 5, 200)})
    rows["outcome"] = (rows["amount"] > 0).astype(float)
    rows["event_time"] = pd.date_range("2026-01-01", periods=200, freq="h", tz="UTC")
    return rows


class PerColumn(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.embedding = nn.Embedding(6000, 1)

    def forward(self, amount: Tensor, age: Tensor) -> Tensor:
        shift: Tensor = self.embedding(torch.clamp(age, 0, 5999)).squeeze(1)
        return amount + shift


def test_module_on_one_matrix_is_exported_without_dropout(rows: pd.DataFrame, tmp_path: Path) -> None:
    torch.manual_seed(1)
    module = nn.Sequential(nn.Linear(2, 8), nn.ReLU(), nn.Dropout(0.5), nn.Linear(8, 1), nn.Sigmoid())
    report = homeostat.export(module, rows, tmp_path)
    assert (report.kind.name, [one.differing for one in report.comparisons]) == ("probability", [0, 0])
    assert module.training


def test_module_with_a_tensor_per_column(rows: pd.DataFrame, tmp_path: Path) -> None:
    torch.manual_seed(2)
    report = homeostat.export(PerColumn(), rows, tmp_path, outcome="amount", features=["amount", "age"])
    assert (report.kind.name, report.comparisons[0].differing) == ("value", 0)
    assert [column.feature.type for column in report.columns] == ["number", "integer"]


def test_module_for_other_columns_is_refused(rows: pd.DataFrame, tmp_path: Path) -> None:
    with pytest.raises(ExportRefused, match="takes 2 tensors for 3 columns"):
        homeostat.export(PerColumn(), rows.assign(more=1.0), tmp_path)


def test_texts_are_refused(rows: pd.DataFrame, tmp_path: Path) -> None:
    with pytest.raises(ExportRefused, match="column 'shop', which is not numeric"):
        homeostat.export(nn.Linear(3, 1), rows.assign(shop="web"), tmp_path)


def test_images_are_refused_with_the_way_to_serve_them(rows: pd.DataFrame, tmp_path: Path) -> None:
    images = rows.assign(image=pd.Series([[[0.0, 1.0]]] * len(rows), index=rows.index))
    with pytest.raises(ExportRefused, match="the column 'image' holds lists") as refused:
        homeostat.export(nn.Linear(3, 1), images[["image"]], tmp_path)
    assert "type: tensor" in refused.value.hint


class WithTime(nn.Module):
    """An amount, and more in the first half of an hour."""

    def forward(self, amount: Tensor, ordered_at: Tensor) -> Tensor:
        minute = ordered_at // 60_000_000 % 60
        return torch.where(minute < 30, amount + 1, amount)


def test_times_are_microseconds_to_a_tensor_per_column(rows: pd.DataFrame, tmp_path: Path) -> None:
    ordered = pd.date_range("2026-01-01", periods=len(rows), freq="17min", tz="Asia/Kolkata")
    timed = rows.assign(ordered_at=ordered, outcome=rows["amount"] * 3)
    report = homeostat.export(WithTime(), timed, tmp_path, features=["amount", "ordered_at"])
    assert [column.feature.type for column in report.columns] == ["number", "timestamp"]
    assert "type: timestamp" in (tmp_path / "loop.yaml").read_text()
    assert report.comparisons[0].differing == 0
    reference = pq.read_table(tmp_path / "reference.parquet")
    assert str(reference.schema.field("ordered_at").type) == "timestamp[us, tz=UTC]"
    loaded = OnnxModel(tmp_path / "model.onnx", read_loop_spec(tmp_path))
    minutes = ordered.tz_convert("UTC").minute
    wanted = np.where(minutes < 30, rows["amount"] + 1, rows["amount"])
    assert loaded.score(reference) == pytest.approx(wanted, abs=1e-5)


@pytest.mark.parametrize(
    ("times", "module", "said"),
    [
        (pd.Timestamp("2026-01-01"), WithTime(), "column 'ordered_at' has times without a time zone"),
        (
            pd.Timestamp("2026-01-01", tz="UTC"),
            nn.Linear(2, 1),
            "one matrix, and the column 'ordered_at' holds times",
        ),
    ],
)
def test_times_that_the_module_cannot_take_are_refused(
    rows: pd.DataFrame, times: pd.Timestamp, module: nn.Module, said: str, tmp_path: Path
) -> None:
    timed = rows.assign(ordered_at=times)
    with pytest.raises(ExportRefused, match=said):
        homeostat.export(module, timed, tmp_path, features=["amount", "ordered_at"])


def test_missing_times_are_refused(rows: pd.DataFrame, tmp_path: Path) -> None:
    ordered = pd.Series(pd.Timestamp("2026-01-01", tz="UTC"), index=rows.index).where(rows.index > 0)
    with pytest.raises(ExportRefused, match="column 'ordered_at' has missing times"):
        homeostat.export(
            WithTime(), rows.assign(ordered_at=ordered), tmp_path, features=["amount", "ordered_at"]
        )
