"""Version 1: trained on the first two weeks of January, as an artifact that `homeostat deploy` takes."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from pathlib import Path

import pandas as pd

from examples.flights.data import FEATURES
from examples.loop.training import train

PROJECT = Path(__file__).resolve().parent
BEGINS = datetime(2013, 1, 15, 5, tzinfo=UTC)  # midnight in New York after two weeks
REFERENCE = timedelta(days=5)


def train_first(flights: pd.DataFrame, folder: Path) -> Path:
    """Train on all rows before `BEGINS`. Returns the artifact's folder. Raises RuntimeError with the command's output."""
    folder.mkdir(parents=True, exist_ok=True)
    rows = flights[(flights.event_time < BEGINS) & flights.outcome.notna()]
    rows = rows[["event_time", *FEATURES, "outcome"]]
    rows.to_parquet(folder / "train.parquet", index=False)
    # The reference is the last days of these rows, which cover the weekly pattern well enough.
    rows[rows.event_time >= BEGINS - REFERENCE].to_parquet(folder / "reference.parquet", index=False)
    return train(PROJECT, folder, timeout_s=300)
