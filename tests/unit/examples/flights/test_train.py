from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

from tests.unit.examples.flights.rows import made_flights
from tests.waiting import time_factor

PROJECT = Path(__file__).resolve().parents[4] / "examples" / "flights"


# A fifth of the steps: enough to learn from a few rows.
PROGRAM = "import train; train.MAX_STEPS = 300; train.main()"


def _train(folder: Path) -> bytes:
    folder.mkdir()
    rows = made_flights(3000)
    rows.iloc[:2500].to_parquet(folder / "train.parquet")
    environment = {
        **os.environ,
        "HOMEOSTAT_TRAIN": str(folder / "train.parquet"),
        "HOMEOSTAT_CHAMPION": "",
        "HOMEOSTAT_OUT": str(folder),
    }
    subprocess.run(
        [sys.executable, "-c", PROGRAM], cwd=PROJECT, env=environment, check=True, timeout=120 * time_factor()
    )
    return (folder / "model.onnx").read_bytes()


def test_the_training_command_learns_and_gives_the_same_model_twice(tmp_path: Path) -> None:
    first, second = _train(tmp_path / "one"), _train(tmp_path / "two")
    assert first == second
    metrics = json.loads((tmp_path / "one" / "metrics.json").read_text())
    assert metrics["rows"] == 2500
    # Always answering the mean rate loses about 0.66; the hour of the day alone brings it below 0.58.
    assert metrics["log_loss"] < 0.60
