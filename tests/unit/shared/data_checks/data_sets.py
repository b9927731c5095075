"""Seeded data sets for the tests: parcels, good ones, to be spoilt in one way each."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import UTC, date, datetime, timedelta
from typing import Any

import numpy as np
import pyarrow as pa

from shared.contracts.loop_spec import LoopSpec
from shared.contracts.loop_yaml import parse_loop_spec
from shared.data_checks.finding import Finding

START = datetime(2026, 1, 1, tzinfo=UTC)

LOOP = """
model: parcels
features:
  - {name: service, type: category, values: [economy, standard, express]}
  - {name: distance_km, type: number, minimum: 0, maximum: 5000}
  - {name: weight_kg, type: number, nullable: true}
  - {name: parcels_today, type: integer, minimum: 0}
  - {name: customer, type: category, unknown: serve, personal: true}
prediction: {kind: probability}
outcome: {delay: 1d}
metric: {name: log_loss}
drift: {window: {every: 1d, minimum_rows: 50}}
retraining: {command: [python, train.py]}
gate: {holdout: 3d, minimum_rows: 100}
"""


def loop_spec() -> LoopSpec:
    """Its loop.yaml."""
    return parse_loop_spec(LOOP, origin="loop.yaml")


def parcels(rows: int = 1000, seed: int = 1) -> pa.Table:
    """Rows without a fault."""
    random = np.random.default_rng(seed)
    seconds = np.sort(random.uniform(0, 86400, rows))
    distance = random.gamma(2.0, 220.0, rows).clip(1, 4900)
    weight = random.gamma(1.5, 2.0, rows)
    late = random.random(rows) < 1 / (1 + np.exp(-(distance - 440) / 300))
    return pa.table(
        {
            "event_time": pa.array(
                [START + timedelta(seconds=s) for s in seconds], pa.timestamp("us", "UTC")
            ),
            "service": random.choice(["economy", "standard", "express"], rows, p=[0.5, 0.35, 0.15]),
            "distance_km": distance,
            "weight_kg": pa.array(weight, mask=random.random(rows) < 0.03),
            "parcels_today": random.poisson(400, rows),
            "customer": [f"customer {number}" for number in random.integers(0, 20, rows)],
            "outcome": late.astype(float),
        }
    )


def with_column(table: pa.Table, name: str, values: Any) -> pa.Table:
    """The table with another column of that name."""
    column = values if isinstance(values, pa.Array | pa.ChunkedArray) else pa.array(values)
    if name not in table.column_names:
        return table.append_column(name, column)
    return table.set_column(table.column_names.index(name), name, column)


def numbers(table: pa.Table, name: str) -> np.ndarray[Any, np.dtype[np.float64]]:
    """A column as floats."""
    return np.asarray(table[name].to_numpy(), dtype=np.float64)


def kinds(findings: Sequence[Finding]) -> list[tuple[str, str]]:
    """Kind and column of each."""
    return [(finding.kind, finding.column) for finding in findings]


def unusual_types(rows: int) -> dict[str, pa.Array]:
    """Columns of types that Arrow stores, but cannot count, filter or compare."""
    seconds = [timedelta(seconds=place % 7) for place in range(rows)]
    days = [date(2026, 1, 1 + place % 9) for place in range(rows)]
    texts = pa.array(["a" if place % 2 else "b" for place in range(rows)])
    return {
        "duration": pa.array(seconds, pa.duration("us")),
        "interval": pa.array([pa.MonthDayNano([1, place % 3, 0]) for place in range(rows)]),
        "half": pa.array(np.arange(rows, dtype=np.float16) % 50),
        "view": texts.cast(pa.string_view()),
        "binary_view": texts.cast(pa.binary()).cast(pa.binary_view()),
        "dates": pa.array(days).dictionary_encode(),
        "durations": pa.array(seconds, pa.duration("us")).dictionary_encode(),
        "decimal": pa.array(range(rows), pa.decimal128(10, 2)),
    }
