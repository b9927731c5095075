"""The data that this model is trained on must fit loop.yaml, and new rows must look like earlier ones."""

from __future__ import annotations

import subprocess
from pathlib import Path

HERE = Path(__file__).parent


def check(file: str, *options: str) -> None:
    """Run `homeostat check`; its output shows every finding."""
    done = subprocess.run(
        ["homeostat", "check", str(HERE / file), "--project", str(HERE), *options],
        capture_output=True,
        text=True,
    )
    assert done.returncode == 0, done.stdout + done.stderr


def test_training_rows_fit_the_model() -> None:
    """Columns, types, ranges, categories and outcomes are those of loop.yaml."""
    check("train.parquet")


def test_holdout_looks_like_the_training_rows() -> None:
    """No other unit, no swapped columns, no new categories, no more missing values."""
    check("holdout.parquet", "--reference", str(HERE / "train.parquet"))
