"""The page on bringing a model: its way of giving names to a matrix works on a file that knows none, as written there."""

from __future__ import annotations

import re
import subprocess
import sys
from pathlib import Path

import numpy as np
import onnxruntime
import pyarrow as pa
import pytest
from skl2onnx import to_onnx
from sklearn.linear_model import LogisticRegression

from shared.contracts.loop_spec import parse_loop_spec
from shared.errors import UnservableModel
from shared.models.onnx_runner import OnnxModel

PAGE = (Path(__file__).parents[2] / "docs" / "bring-your-own-model.md").read_text(encoding="utf-8")
LOOP = """
model: fraud
features:
  - {name: amount, type: number}
  - {name: account_age_days, type: integer}
prediction: {kind: probability}
outcome: {delay: 1d}
metric: {name: log_loss}
drift: {window: {every: 1d}}
retraining: {command: [python, train.py]}
gate: {holdout: 1d}
"""


def test_a_graph_in_front_gives_names_to_a_matrix(tmp_path: Path) -> None:
    random = np.random.default_rng(3)
    rows = np.column_stack([random.gamma(2, 50, 500), random.integers(0, 3000, 500)]).astype(np.float32)
    outcome = (rows[:, 0] > 100).astype(np.int64)
    fitted = LogisticRegression(max_iter=500).fit(rows, outcome)
    existing = to_onnx(fitted, rows[:1], options={"zipmap": False}, target_opset={"": 17, "ai.onnx.ml": 3})
    (tmp_path / "existing.onnx").write_bytes(existing.SerializeToString())
    spec = parse_loop_spec(LOOP)
    with pytest.raises(UnservableModel, match="inputs differ from the features"):
        OnnxModel(tmp_path / "existing.onnx", spec)

    program = re.search(r"^```python\n(import onnx\n.*?)^```$", PAGE, re.MULTILINE | re.DOTALL)
    assert program is not None
    done = subprocess.run(
        [sys.executable, "-c", program[1]], cwd=tmp_path, capture_output=True, text=True, timeout=60
    )
    assert done.returncode == 0, done.stderr

    table = pa.table({"amount": rows[:, 0], "account_age_days": rows[:, 1].astype(np.int64)})
    scores = OnnxModel(tmp_path / "model.onnx", spec).score(table)
    session = onnxruntime.InferenceSession(existing.SerializeToString(), providers=["CPUExecutionProvider"])
    np.testing.assert_allclose(scores, session.run(None, {"X": rows})[1][:, 1], atol=1e-6)
    assert scores.std() > 0.1
