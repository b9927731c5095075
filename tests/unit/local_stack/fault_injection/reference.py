"""A reference and its specification, as the project of `homeostat init` has them."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

import numpy as np
import pyarrow as pa

from shared.contracts.loop_spec import LoopSpec
from shared.contracts.loop_yaml import parse_loop_spec

START = datetime(2026, 1, 1, tzinfo=UTC)
LOOP = """
model: parcels
features:
  - {name: service, type: category, values: [economy, standard, express]}
  - {name: distance_km, type: number, minimum: 0, maximum: 5000}
  - {name: weight_kg, type: number, minimum: 0, maximum: 100, nullable: true}
  - {name: parcels_today, type: integer, minimum: 0}
  - {name: fragile, type: boolean}
  - {name: picture, type: tensor, shape: [2, 2]}
prediction: {kind: probability}
outcome: {delay: 3d}
metric: {name: log_loss}
drift: {window: {every: 1d, minimum_rows: 200}}
retraining: {command: [python, train.py]}
gate: {holdout: 3d}
"""


def loop() -> LoopSpec:
    return parse_loop_spec(LOOP)


def reference(rows: int = 3000, seed: int = 1) -> pa.Table:
    """Thirty days of rows in time order; a tenth of the weights is missing."""
    random = np.random.default_rng(seed)
    days = np.linspace(0, 30, rows, endpoint=False)
    return pa.table(
        {
            "event_time": pa.array([START + timedelta(days=day) for day in days], pa.timestamp("us", "UTC")),
            "service": random.choice(["economy", "standard", "express"], rows, p=[0.5, 0.35, 0.15]),
            "distance_km": random.gamma(2.0, 220.0, rows).clip(1, 5000),
            "weight_kg": pa.array(random.gamma(1.5, 2.0, rows), mask=random.random(rows) < 0.1),
            "parcels_today": random.poisson(400, rows),
            "fragile": random.random(rows) < 0.2,
            "picture": pa.array(list(random.normal(0, 1, (rows, 4)).tolist())),
            "outcome": (random.random(rows) < 0.4).astype(float),
            "score": random.random(rows),
        }
    )
