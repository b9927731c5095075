"""Runs an example's training command before there is a stack, with the environment that retraining gives it."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path


def train(project: Path, folder: Path, *, timeout_s: float) -> Path:
    """Run `train.py` on `folder/train.parquet`. Returns the folder, now an artifact. Raises RuntimeError."""
    environment = {
        **os.environ,
        "HOMEOSTAT_TRAIN": str(folder / "train.parquet"),
        "HOMEOSTAT_CHAMPION": "",
        "HOMEOSTAT_OUT": str(folder),
    }
    done = subprocess.run(
        [sys.executable, "train.py"],
        cwd=project,
        env=environment,
        capture_output=True,
        text=True,
        timeout=timeout_s,
    )
    if done.returncode != 0:
        raise RuntimeError(f"train.py ended with status {done.returncode}: {done.stderr.strip()[-500:]}")
    return folder
