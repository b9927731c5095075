"""Streams of rows for the tests of stream detectors: normal numbers and equally frequent categories, one row a second."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import UTC, datetime, timedelta

import numpy as np
import pyarrow as pa

from services.drift.evaluation.columns import rows_from_table
from services.drift.evaluation.reference_profile import Reference, build_reference
from services.drift.stream.layout import TileLayout
from services.drift.stream.tiles import Tile
from shared.contracts.loop_spec import LoopSpec

START = datetime(2026, 1, 1, tzinfo=UTC)
TILE = timedelta(seconds=50)


def spec(numbers: int, categories: int = 0, levels: int = 5) -> LoopSpec:
    """Features x0, x1, … and c0, c1, …, a probability, windows of a day."""
    features: list[dict[str, object]] = [
        {"name": f"x{place}", "type": "number", "nullable": True} for place in range(numbers)
    ]
    values = [f"v{level}" for level in range(levels)]
    for place in range(categories):
        features.append({"name": f"c{place}", "type": "category", "values": values, "unknown": "serve"})
    return LoopSpec.model_validate(
        {
            "model": "toy",
            "features": features,
            "prediction": {"kind": "probability"},
            "outcome": {"delay": "1d"},
            "metric": {"name": "log_loss"},
            "drift": {"window": {"every": "1d"}},
            "retraining": {"command": ["python", "train.py"]},
            "gate": {"holdout": "1d"},
        }
    )


def table(
    rows: int,
    seed: int,
    *,
    numbers: int,
    categories: int = 0,
    levels: int = 5,
    start: datetime = START,
    prefix: str = "",
    changed: Mapping[str, object] | None = None,
) -> pa.Table:
    """Rows of `spec`; `changed`: columns to use instead, by name."""
    random = np.random.default_rng(seed)
    seconds = np.arange(rows).astype("timedelta64[s]")
    times = np.datetime64(start.replace(tzinfo=None), "us") + seconds
    columns: dict[str, object] = {
        "event_time": pa.array(times, pa.timestamp("us", tz="UTC")),
        "score": random.beta(2, 5, rows),
        "outcome": pa.nulls(rows, pa.float64()),
    }
    for place in range(numbers):
        columns[f"{prefix}x{place}"] = random.normal(10 * place, 1 + place, rows)
    names = np.array([f"v{level}" for level in range(levels)], dtype=object)
    for place in range(categories):
        columns[f"{prefix}c{place}"] = pa.array(names[random.integers(0, levels, rows)], pa.string())
    return pa.table({**columns, **(changed or {})})


def reference(rows: int, seed: int, *, numbers: int, categories: int = 0, levels: int = 5) -> Reference:
    """The reference of a model whose rows are drawn as those of the stream."""
    loop = spec(numbers, categories, levels)
    drawn = table(
        rows,
        seed,
        numbers=numbers,
        categories=categories,
        levels=levels,
        start=START - timedelta(seconds=rows),
    )
    return build_reference("0" * 64, loop, rows_from_table(drawn, loop))


def tiles(layout: TileLayout, rows: pa.Table) -> list[Tile]:
    """Tiles of 50 seconds."""
    loop = layout.reference.loop
    step = int(TILE / timedelta(seconds=1))
    return [
        layout.count(rows_from_table(rows.slice(first, step), loop)) for first in range(0, len(rows), step)
    ]


def shifted(rows: pa.Table, shifts: Mapping[str, float], since: int) -> pa.Table:
    """The numbers of these columns plus a shift, from row `since` on."""
    for name, shift in shifts.items():
        place = rows.schema.get_field_index(name)
        values = rows[name].to_numpy() + shift * (np.arange(len(rows)) >= since)
        rows = rows.set_column(place, name, pa.array(values))
    return rows
