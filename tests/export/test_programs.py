"""The programs of the documentation that need XGBoost, LightGBM and CatBoost, as they are written there."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from pathlib import Path

import pyarrow.parquet as pq

from shared.contracts.loop_yaml import read_loop_spec
from shared.models.onnx_runner import OnnxModel
from tests.e2e.walking import program
from tests.export.conftest import LIBRARIES
from tests.waiting import bound

PAGE = "docs/bring-your-own-model.md"
TEMPLATES = Path(__file__).parents[2] / "cli" / "templates"


def test_boosted_trees_become_projects(tmp_path: Path) -> None:
    (tmp_path / "my-model").mkdir()
    shutil.copy(TEMPLATES / "make_data.py", tmp_path / "my-model")
    run(tmp_path / "my-model", "make_data.py")
    said = run(tmp_path, "-c", program(PAGE, "# boosters.py"))
    assert said.count("the rows: ") == said.count("values beyond the range: ") == 3
    # All five sets of each library, but XGBoost refuses unknown categories itself.
    assert said.count("all scores equal") == 14
    for library, unknown in {"xgboost": "refuse", "lightgbm": "serve", "catboost": "serve"}.items():
        folder = tmp_path / f"late-{library}"
        loop = read_loop_spec(folder)
        first = loop.features[0]
        assert (first.name, first.type, first.unknown) == ("service", "category", unknown)
        assert (
            OnnxModel(folder / "model.onnx", loop).score(pq.read_table(folder / "reference.parquet")).std()
            > 0.05
        )


def run(folder: Path, *arguments: str) -> str:
    done = subprocess.run(
        [sys.executable, *arguments],
        cwd=folder,
        env=os.environ | {"PYTHONPATH": str(LIBRARIES)},
        capture_output=True,
        text=True,
        timeout=bound(240),
    )
    assert done.returncode == 0, done.stderr
    return done.stdout
