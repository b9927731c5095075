"""Generates example data: thirty days of parcels, the last three as holdout.

python make_data.py [--seed 1] [--rows 6000]
"""

from __future__ import annotations

import argparse
from datetime import UTC, datetime, timedelta

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq

DAYS = 30
HOLDOUT_DAYS = 3
SERVICES = np.array(["economy", "standard", "express"])
LATENESS = np.array([0.3, -0.4, -1.2])


def parcels(rows: int, seed: int) -> pa.Table:
    """Rows in time order; `outcome` is 1.0 if the parcel arrived late."""
    random = np.random.default_rng(seed)
    start = datetime(2026, 1, 1, tzinfo=UTC)
    seconds = np.sort(random.uniform(0, DAYS * 86400, rows))
    service = random.choice(3, rows, p=[0.5, 0.35, 0.15])
    distance = random.gamma(2.0, 220.0, rows).clip(1, 5000)
    weight = random.gamma(1.5, 2.0, rows).clip(0.05, 100)
    today = random.poisson(400, rows)
    logit = LATENESS[service] + 0.0016 * (distance - 440) + 0.05 * (weight - 3) + 0.008 * (today - 400)
    late = random.random(rows) < 1 / (1 + np.exp(-logit))
    return pa.table(
        {
            "event_time": pa.array(
                [start + timedelta(seconds=s) for s in seconds], pa.timestamp("us", tz="UTC")
            ),
            "service": SERVICES[service],
            "distance_km": distance,
            "weight_kg": pa.array(weight, mask=random.random(rows) < 0.03),
            "parcels_today": today,
            "outcome": late.astype(float),
        }
    )


def main() -> None:
    """Write train.parquet and holdout.parquet here."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--rows", type=int, default=6000)
    given = parser.parse_args()
    table = parcels(given.rows, given.seed)
    cut = round(given.rows * (1 - HOLDOUT_DAYS / DAYS))
    pq.write_table(table.slice(0, cut), "train.parquet")
    pq.write_table(table.slice(cut), "holdout.parquet")
    print(f"train.parquet: {cut} rows, holdout.parquet: {given.rows - cut} rows")


if __name__ == "__main__":
    main()
