"""Writes rows.parquet: parcels of 60 days; in the last five, most are of a new customer. Give the folder of the model project.

python examples/evidently/make_rows.py my-model [--seed 2]
"""

from __future__ import annotations

import argparse
import runpy
from datetime import UTC, datetime, timedelta
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq

DAYS = 60
CHANGE_AFTER_DAYS = 55
ECONOMY = 0.9
MORE_PARCELS_A_DAY = 40
ROWS_A_DAY = 150
START = datetime(2026, 2, 1, tzinfo=UTC)
CHANGE_AT = START + timedelta(days=CHANGE_AFTER_DAYS)


def rows(project: Path, seed: int) -> pa.Table:
    """Rows as the project's make_data.py draws them, spread over `DAYS`. From `CHANGE_AT` on, a share `ECONOMY` of them and more
    are of a new customer, who sends by economy only. Outcomes stay as they were drawn."""
    parcels = runpy.run_path(str(project / "make_data.py"))["parcels"]
    table: pa.Table = parcels(DAYS * ROWS_A_DAY, seed)
    random = np.random.default_rng(seed)
    places = np.arange(len(table))
    changed = places >= CHANGE_AFTER_DAYS * ROWS_A_DAY
    service = np.array(table["service"].to_pylist())
    service[changed & (random.random(len(table)) < ECONOMY)] = "economy"
    today = table["parcels_today"].to_numpy() + MORE_PARCELS_A_DAY * changed
    times = [START + place * timedelta(days=1) / ROWS_A_DAY for place in places.tolist()]
    columns = {
        "event_time": pa.array(times, pa.timestamp("us", tz="UTC")),
        "service": pa.array(service),
        "parcels_today": pa.array(today),
    }
    for name, column in columns.items():
        table = table.set_column(table.column_names.index(name), name, column)
    return table


def main() -> None:
    """Write rows.parquet into the project."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("project", type=Path)
    parser.add_argument("--seed", type=int, default=2)
    given = parser.parse_args()
    table = rows(given.project, given.seed)
    pq.write_table(table, given.project / "rows.parquet")
    print(f"{given.project / 'rows.parquet'}: {len(table)} rows, changed from {CHANGE_AT:%Y-%m-%d} on")


if __name__ == "__main__":
    main()
