"""The files that a training command wrote: what is accepted, and what the error says."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from shared.errors import TrainingFailed
from shared.models.training.training_outputs import find_model, read_metrics, read_outputs


def test_missing_model_is_named(tmp_path: Path) -> None:
    with pytest.raises(TrainingFailed, match=r"wrote no model\.onnx"):
        read_outputs(tmp_path)


def test_two_models_are_refused(tmp_path: Path) -> None:
    for name in ("model.onnx", "model.pt2", "metrics.json"):
        (tmp_path / name).write_text("{}")
    with pytest.raises(TrainingFailed, match=r"model\.onnx and model\.pt2; expected one"):
        read_outputs(tmp_path)
    (tmp_path / "model.onnx").unlink()
    assert read_outputs(tmp_path) == {}
    assert find_model(tmp_path).name == "model.pt2"


def test_outputs_are_the_metrics(tmp_path: Path) -> None:
    (tmp_path / "model.onnx").write_bytes(b"x")
    (tmp_path / "metrics.json").write_text('{"mae": 2, "rows": 10.5}')
    assert read_outputs(tmp_path) == {"mae": 2.0, "rows": 10.5}


@pytest.mark.parametrize(
    ("text", "problem"),
    [
        (None, "cannot be read: No such file"),
        ("", "is not valid JSON"),
        ("[1]", "is not a JSON object"),
        ('{"mae": "low"}', 'mae is "low"; expected a finite number'),
        ('{"mae": true}', "mae is true; expected a finite number"),
        ('{"mae": NaN}', "is not valid JSON"),
        ('{"mae": 1e999}', "metrics.json"),
    ],
)
def test_metrics_must_be_finite_numbers(tmp_path: Path, text: str | None, problem: str) -> None:
    if text is not None:
        (tmp_path / "metrics.json").write_text(text)
    with pytest.raises(TrainingFailed) as raised:
        read_metrics(tmp_path / "metrics.json")
    assert problem in raised.value.message


@pytest.mark.parametrize("kind", ["fifo", "link", "large"])
def test_metrics_are_read_from_a_small_regular_file_only(tmp_path: Path, kind: str) -> None:
    path = tmp_path / "metrics.json"
    if kind == "fifo":
        os.mkfifo(path)
    elif kind == "link":
        (tmp_path / "other.json").write_text("{}")
        path.symlink_to(tmp_path / "other.json")
    else:
        path.write_text('{"loss": ' + "1" * (2 << 20) + "}")
    with pytest.raises(TrainingFailed, match="cannot be read"):
        read_metrics(path)
