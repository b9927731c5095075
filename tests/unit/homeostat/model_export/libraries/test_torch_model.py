from __future__ import annotations

import warnings
from collections.abc import Iterator
from functools import cache
from pathlib import Path

import numpy as np
import pandas as pd
import pyarrow.parquet as pq
import pytest
import torch
from sklearn.datasets import load_digits
from torch import Tensor, nn

import homeostat
from shared.contracts.loop_yaml import read_loop_spec
from shared.errors import ExportRefused
from shared.models.onnx_runner import OnnxModel


@pytest.fixture(scope="module", autouse=True)
def registry_read_once() -> Iterator[None]:
    """torch.onnx reads the sources of all operators for every export, which takes as long as the export of a small module."""
    from torch.onnx._internal.exporter._registration import ONNXRegistry

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(ONNXRegistry, "from_torchlib", staticmethod(cache(ONNXRegistry.from_torchlib)))
        yield


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


def test_frozen_part_stays_in_evaluation_mode(rows: pd.DataFrame, tmp_path: Path) -> None:
    module = nn.Sequential(nn.Linear(2, 4), nn.BatchNorm1d(4), nn.Linear(4, 1), nn.Sigmoid())
    module[1].eval()
    homeostat.export(module, rows, tmp_path)
    assert [part.training for part in module] == [True, False, True, True]


class OverTheBatch(nn.Module):
    def forward(self, given: Tensor) -> Tensor:
        return torch.sigmoid((given - given.mean(dim=0)).sum(dim=1))


def test_module_that_normalises_over_the_batch_is_refused(rows: pd.DataFrame, tmp_path: Path) -> None:
    with pytest.raises(ExportRefused, match="depends on other rows in the batch"):
        homeostat.export(OverTheBatch(), rows, tmp_path / "project")
    assert not (tmp_path / "project").exists()


def test_module_with_a_tensor_per_column(rows: pd.DataFrame, tmp_path: Path) -> None:
    torch.manual_seed(2)
    measured = rows.assign(cost=rows["amount"])
    report = homeostat.export(PerColumn(), measured, tmp_path, outcome="cost", features=["amount", "age"])
    assert (report.kind.name, report.comparisons[0].differing) == ("value", 0)
    assert [column.feature.type for column in report.columns] == ["number", "integer"]


class Less(nn.Module):
    """Whether `a` is above `b`."""

    def forward(self, b: Tensor, a: Tensor) -> Tensor:
        return torch.sigmoid(9 * (a - b))


@pytest.mark.parametrize("given", ["module", "program"])
def test_columns_are_fed_by_the_names_of_the_parameters(tmp_path: Path, given: str) -> None:
    random = np.random.default_rng(1)
    pairs = pd.DataFrame({"a": random.random(200), "b": random.random(200)})
    pairs["outcome"] = (pairs["a"] > pairs["b"]).astype(int)
    axes = ({0: torch.export.Dim.DYNAMIC},) * 2
    program = torch.export.export(Less().eval(), (torch.zeros(3), torch.ones(3)), dynamic_shapes=axes)
    report = homeostat.export(Less() if given == "module" else program, pairs, tmp_path)
    assert [column.source for column in report.columns] == ["b", "a"]
    reference = pq.read_table(tmp_path / "reference.parquet")
    scores = OnnxModel(tmp_path / "model.onnx", read_loop_spec(tmp_path)).score(reference)
    assert ((scores > 0.5) == pairs["outcome"]).all()
    assert not any("order" in note for note in report.notes)


def test_order_of_columns_with_other_names_is_reported(tmp_path: Path) -> None:
    pairs = pd.DataFrame({"low": np.linspace(0, 1, 50), "high": np.linspace(1, 0, 50)})
    pairs["outcome"] = (pairs["low"] > pairs["high"]).astype(int)
    report = homeostat.export(Less(), pairs, tmp_path)
    assert report.notes == ("forward() takes the columns in this order: b is 'low', a is 'high'",)


@pytest.mark.parametrize("classes", [1, 2])
def test_scores_that_are_probabilities_on_the_rows_only_are_refused(tmp_path: Path, classes: int) -> None:
    net = nn.Linear(2, classes)
    signs = torch.tensor([[0.4, -0.4], [-0.4, 0.4]])
    with torch.no_grad():
        net.weight[:], net.bias[:] = signs[:classes], 0.5
    random = np.random.default_rng(1)
    pairs = pd.DataFrame({"a": random.random(200), "b": random.random(200)})
    pairs["outcome"] = (pairs["a"] > pairs["b"]).astype(int)
    with pytest.raises(ExportRefused) as refused:
        homeostat.export(net, pairs, tmp_path / "linear")
    assert refused.value.message.startswith(
        "the model's scores are between 0 and 1 on the rows only: for values beyond the range it returns "
    )
    assert "end the model with a sigmoid" in refused.value.hint
    assert not (tmp_path / "linear").exists()
    if classes == 1:
        assert homeostat.export(net, pairs, tmp_path / "values", kind="value").kind.name == "value"


@pytest.mark.parametrize("given", ["program", "its module", "its file"])
def test_program_of_torch_export_is_exported(rows: pd.DataFrame, tmp_path: Path, given: str) -> None:
    """`torch.export.load` returns a program, `mlflow.pytorch.load_model` its module."""
    torch.manual_seed(1)
    module = nn.Sequential(nn.Linear(2, 4), nn.BatchNorm1d(4), nn.Dropout(), nn.Linear(4, 1), nn.Sigmoid())
    rows_axis = ({0: torch.export.Dim.DYNAMIC},)
    saved = torch.export.export(module.eval(), (torch.zeros(3, 2),), dynamic_shapes=rows_axis)
    torch.export.save(saved, tmp_path / "net.pt2")
    forms = {"program": saved, "its module": saved.module(), "its file": tmp_path / "net.pt2"}
    with warnings.catch_warnings():
        warnings.simplefilter("error", UserWarning)
        report = homeostat.export(forms[given], rows, tmp_path / "project")
    assert (report.library, report.kind.name) == ("torch", "probability")
    assert [one.differing for one in report.comparisons] == [0, 0]


def test_program_in_training_mode_is_refused(rows: pd.DataFrame, tmp_path: Path) -> None:
    module = nn.Sequential(nn.Linear(2, 1), nn.Dropout())
    saved = torch.export.export(module, (torch.zeros(3, 2),), dynamic_shapes=({0: torch.export.Dim.DYNAMIC},))
    with pytest.raises(ExportRefused, match="in training mode, with dropout"):
        homeostat.export(saved, rows, tmp_path)


def test_module_for_other_columns_is_refused(rows: pd.DataFrame, tmp_path: Path) -> None:
    with pytest.raises(ExportRefused, match="takes 2 tensors for 3 columns"):
        homeostat.export(PerColumn(), rows.assign(more=1.0), tmp_path)


def test_single_logit_is_refused_with_the_line_to_add(rows: pd.DataFrame, tmp_path: Path) -> None:
    torch.manual_seed(1)
    model = nn.Linear(2, 1)
    with pytest.raises(ExportRefused) as refused:
        homeostat.export(model, rows, tmp_path / "a")
    assert refused.value.hint == (
        "if they are logits, export torch.nn.Sequential(model, torch.nn.Sigmoid()); "
        "if they are values, pass kind='value'"
    )
    assert refused.value.message.startswith("the outcomes are 0 and 1, and the model returns scores from -")
    sigmoid = torch.nn.Sequential(model, torch.nn.Sigmoid())
    assert homeostat.export(sigmoid, rows, tmp_path / "b").kind.name == "probability"
    with pytest.raises(ExportRefused, match="if they are logits, return torch.sigmoid.logit. from forward"):
        homeostat.export(PerColumn(), rows, tmp_path / "c")
    with pytest.raises(ExportRefused, match="^kind='probability', and the model returns scores from -"):
        homeostat.export(model, rows, tmp_path / "d", kind="probability")


def test_texts_are_refused(rows: pd.DataFrame, tmp_path: Path) -> None:
    with pytest.raises(ExportRefused, match="column 'shop', which is not numeric"):
        homeostat.export(nn.Linear(3, 1), rows.assign(shop="web"), tmp_path)


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


@pytest.fixture(scope="module")
def digits() -> pd.DataFrame:
    given = load_digits()
    return pd.DataFrame(
        {
            "event_time": pd.date_range("2026-01-01", periods=300, freq="h", tz="UTC"),
            "image": [image[None] for image in given.images[:300]],
            "outcome": given.target[:300],
        }
    )


def network() -> nn.Module:
    torch.manual_seed(3)
    return nn.Sequential(
        nn.Conv2d(1, 4, 3), nn.ReLU(), nn.MaxPool2d(2), nn.Dropout(0.2), nn.Flatten(), nn.Linear(36, 10)
    )


def test_images_become_a_tensor_and_logits_classes(digits: pd.DataFrame, tmp_path: Path) -> None:
    module = network()
    with pytest.warns(homeostat.ExportWarning, match="check the order of the labels"):
        report = homeostat.export(module, digits, tmp_path, name="digits")
    assert [one.differing for one in report.comparisons] == [0, 0]
    loop = read_loop_spec(tmp_path)
    [feature] = loop.features
    assert (feature.type, feature.shape) == ("tensor", (1, 8, 8))
    assert (loop.prediction.kind, loop.prediction.labels) == ("classes", tuple(range(10)))
    assert report.notes[0] == "labels in the order of the output: 0 to 9, like the outcomes"
    assert "so a softmax was added: row 0 is " in report.notes[1]
    images = torch.from_numpy(np.stack(digits["image"].tolist()).astype(np.float32))
    with torch.no_grad():
        expected = torch.softmax(module.eval()(images), dim=1).numpy()
    right = int((expected.argmax(axis=1) == digits["outcome"]).sum())
    assert report.notes[2] == f"the most probable label equals the outcome in {right} of 300 rows"
    reference = pq.read_table(tmp_path / "reference.parquet")
    np.testing.assert_allclose(OnnxModel(tmp_path / "model.onnx", loop).score(reference), expected, atol=1e-6)
    # What was written can be exported again, as after reading it from Parquet.
    again = digits.assign(image=[image.tolist() for image in digits["image"]])
    assert homeostat.export(module, again, tmp_path).columns == report.columns


def test_softmax_of_a_module_is_kept_as_it_is(digits: pd.DataFrame, tmp_path: Path) -> None:
    module = nn.Sequential(network(), nn.Softmax(dim=1))
    with pytest.warns(homeostat.ExportWarning, match="check the order of the labels"):
        report = homeostat.export(module, digits, tmp_path)
    assert not any("softmax" in note for note in report.notes)
    images = torch.from_numpy(np.stack(digits["image"].tolist()).astype(np.float32))
    with torch.no_grad():
        expected = module.eval()(images).numpy()
    reference = pq.read_table(tmp_path / "reference.parquet")
    served = OnnxModel(tmp_path / "model.onnx", read_loop_spec(tmp_path)).score(reference)
    np.testing.assert_allclose(served, expected, atol=1e-6)


def test_shape_that_the_module_does_not_take_is_named(digits: pd.DataFrame, tmp_path: Path) -> None:
    flat = digits.assign(image=[image[0] for image in digits["image"]])
    with pytest.raises(
        ExportRefused, match=r"the module fails on tensors of shape \[N, 8, 8\]: Given groups=1"
    ):
        homeostat.export(network(), flat, tmp_path)
    with pytest.raises(ExportRefused, match="takes one tensor, and the rows have the columns image, more"):
        homeostat.export(network(), digits.assign(more=1.0), tmp_path)


class Beside(nn.Module):
    """An image, and a number that shifts its mean."""

    def forward(self, image: Tensor, shift: Tensor) -> Tensor:
        return image.mean(dim=(1, 2, 3)) + shift


def test_tensor_beside_a_number(digits: pd.DataFrame, tmp_path: Path) -> None:
    rows = digits.assign(shift=np.linspace(0, 1, 300), outcome=np.linspace(0, 5, 300))
    report = homeostat.export(Beside(), rows, tmp_path)
    assert [column.feature.type for column in report.columns] == ["tensor", "number"]
    assert [one.differing for one in report.comparisons] == [0, 0]
