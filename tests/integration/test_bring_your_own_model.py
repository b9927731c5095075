"""The page on bringing a model: its programs work as written there."""

from __future__ import annotations

import json
import os
import re
import shutil
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import onnxruntime
import pandas as pd
import pyarrow.parquet as pq
import pytest
from skl2onnx import to_onnx
from sklearn.linear_model import LogisticRegression

from shared.contracts.loop_yaml import read_loop_spec
from shared.models.onnx_runner import OnnxModel
from tests.e2e.walking import program
from tests.waiting import bound

PAGE = "docs/bring-your-own-model.md"
ROOT = Path(__file__).parents[2]


@dataclass(frozen=True)
class Fitted:
    """A folder in which `fit.py` ran, with the folder `my-model` of the quickstart in it, and what it said."""

    folder: Path
    said: str


@pytest.fixture(scope="module")
def fitted(tmp_path_factory: pytest.TempPathFactory) -> Fitted:
    folder = tmp_path_factory.mktemp("fitted")
    data = folder / "my-model"
    data.mkdir()
    shutil.copy(ROOT / "cli" / "templates" / "make_data.py", data)
    run(data, "make_data.py")
    return Fitted(folder, run(folder, "-W", "error::UserWarning", "-c", program(PAGE, "# fit.py")))


def run(folder: Path, *arguments: str, **more: str) -> str:
    done = subprocess.run(
        [sys.executable, *arguments],
        cwd=folder,
        env=os.environ | more,
        capture_output=True,
        text=True,
        timeout=bound(120),
    )
    assert done.returncode == 0, done.stderr
    return done.stdout


def test_fitted_pipeline_becomes_a_project(fitted: Fitted) -> None:
    assert fitted.said.count("all scores equal") == 5
    project = fitted.folder / "late"
    loop = read_loop_spec(project)
    assert [(feature.name, feature.type) for feature in loop.features] == [
        ("service", "category"),
        ("distance_km", "number"),
        ("weight_kg", "number"),
        ("parcels_today", "integer"),
    ]
    assert (loop.prediction.kind, loop.automation) == ("probability", "observe")
    reference = pq.read_table(project / "reference.parquet")
    assert reference.num_rows == pq.read_table(fitted.folder / "my-model" / "holdout.parquet").num_rows
    assert OnnxModel(project / "model.onnx", loop).score(reference).std() > 0.1


def test_training_command_exports_what_the_project_serves(fitted: Fitted, tmp_path: Path) -> None:
    out = tmp_path / "out"
    out.mkdir()
    train = fitted.folder / "my-model" / "train.parquet"
    environment = {"HOMEOSTAT_TRAIN": str(train), "HOMEOSTAT_OUT": str(out)}
    run(fitted.folder, "-c", program(PAGE, "# train.py"), **environment)
    assert set(json.loads((out / "metrics.json").read_text())) == {"log_loss"}
    loop = read_loop_spec(fitted.folder / "late")
    reference = pq.read_table(fitted.folder / "late" / "reference.parquet")
    assert OnnxModel(out / "model.onnx", loop).score(reference).std() > 0.1


def test_file_with_one_matrix_gets_names(tmp_path: Path) -> None:
    random = np.random.default_rng(3)
    rows = np.column_stack([random.gamma(2, 50, 500), random.integers(0, 3000, 500)]).astype(np.float32)
    outcome = (rows[:, 0] > 100).astype(np.int64)
    fitted = LogisticRegression(max_iter=500).fit(rows, outcome)
    existing = to_onnx(fitted, rows[:1], target_opset={"": 17, "ai.onnx.ml": 3})
    (tmp_path / "existing.onnx").write_bytes(existing.SerializeToString())

    [block] = [one for one in programs() if "existing.onnx" in one]
    run(tmp_path, "-c", block)

    frame = pd.DataFrame({"amount": rows[:, 0], "account_age_days": rows[:, 1].astype(np.int64)})
    feeds = {name: frame[[name]].to_numpy() for name in frame}
    session = onnxruntime.InferenceSession(tmp_path / "model.onnx", providers=["CPUExecutionProvider"])
    np.testing.assert_allclose(session.run(["score"], feeds)[0], fitted.predict_proba(rows)[:, 1], atol=1e-6)


def test_images_become_a_project_with_classes(tmp_path: Path) -> None:
    said = run(tmp_path, "-W", "ignore::homeostat.ExportWarning", "-c", program(PAGE, "# digits.py"))
    text = (ROOT / PAGE).read_text(encoding="utf-8")
    *shown, hits = text.partition("```text\nlabels in")[2].partition("```")[0].splitlines()
    # Training in torch depends on the machine; the page shows typical numbers.
    lines = {without_numbers(line) for line in said.splitlines()}
    assert [line for line in (f"labels in{shown[0]}", *shown[1:]) if without_numbers(line) not in lines] == []
    loop = read_loop_spec(tmp_path / "digits")
    assert [(one.name, one.shape) for one in loop.features] == [("image", (1, 8, 8))]
    reference = pq.read_table(tmp_path / "digits" / "reference.parquet")
    labels = OnnxModel(tmp_path / "digits" / "model.onnx", loop).score(reference).argmax(axis=1)
    right = int((labels == reference["outcome"].to_numpy()).sum())
    assert f"outcome in {right} of 1797 rows" in said
    assert abs(right - int(hits.split()[-4])) < 120


def without_numbers(line: str) -> str:
    return re.sub(r"-?\d[\d.]*(e-?\d+)?", "#", line)


def programs() -> list[str]:
    text = (ROOT / PAGE).read_text(encoding="utf-8")
    return [block.split("```")[0] for block in text.split("```python\n")[1:]]


def test_text_model_becomes_a_project(tmp_path: Path) -> None:
    said = run(tmp_path, "-W", "error::UserWarning", "-c", program(PAGE, "# text.py"))
    assert said.count("all scores equal") == 3
    loop = read_loop_spec(tmp_path / "reviews")
    assert [(one.name, one.type) for one in loop.features] == [("review", "text"), ("nights", "integer")]
    reference = pq.read_table(tmp_path / "reviews" / "reference.parquet")
    assert OnnxModel(tmp_path / "reviews" / "model.onnx", loop).score(reference).std() > 0.1
