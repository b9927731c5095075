from __future__ import annotations

from pathlib import Path

import numpy as np
import pandas as pd
import pytest
import torch
from torch import Tensor, nn

import homeostat
from shared.errors import ExportRefused


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
