"""Version 1: trained on the days before the example begins, as an artifact that `homeostat deploy` takes."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

import numpy as np
import onnxruntime
import pandas as pd

from examples.images.data import LABELS, day_of_pictures
from examples.loop.training import train

PROJECT = Path(__file__).resolve().parent
DAYS, REFERENCE_DAYS = 6, 2


def train_first(folder: Path, rows: int, seed: int) -> Path:
    """Train on `DAYS` days; the unseen days after them are the reference. Returns the artifact's folder. Raises RuntimeError."""
    folder.mkdir(parents=True, exist_ok=True)
    last = -REFERENCE_DAYS
    _write([day_of_pictures(day, rows, seed) for day in range(last - DAYS, last)], folder / "train.parquet")
    _write([day_of_pictures(day, rows, seed) for day in range(last, 0)], folder / "reference.parquet")
    return train(PROJECT, folder, timeout_s=600)


def labels(artifact: Path, days: Mapping[int, pd.DataFrame]) -> dict[int, list[str]]:
    """What version 1 would have answered on each day."""
    session = onnxruntime.InferenceSession(str(artifact / "model.onnx"), providers=["CPUExecutionProvider"])
    answers = {}
    for day, pictures in days.items():
        image = np.stack(pictures.image.to_list()).astype(np.float32)
        places = session.run(["probabilities"], {"image": image})[0].argmax(axis=1)
        answers[day] = [LABELS[place] for place in places]
    return answers


def _write(days: list[pd.DataFrame], path: Path) -> None:
    rows = pd.concat(days, ignore_index=True)
    # Parquet has lists of numbers, but no arrays of several dimensions.
    rows["image"] = [picture.ravel().astype(np.float32) for picture in rows.image]
    rows.to_parquet(path, index=False)
