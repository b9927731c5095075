"""Counts and times of a model's tables in the lake, read without its rows or from one column of them."""

from __future__ import annotations

from datetime import UTC, datetime

import pyarrow as pa
import pyarrow.compute as pc

from shared.contracts.lake_schema import TIMESTAMP
from shared.stores.lake import Lake
from shared.stores.lake_errors import raises_dependency_unavailable


@raises_dependency_unavailable
def count_predictions(lake: Lake, model: str) -> int:
    """Rows in a model's predictions table."""
    table = lake.open(lake.predictions(model))
    return 0 if table is None else int(table.to_pyarrow_dataset().count_rows())


@raises_dependency_unavailable
def count_observed(lake: Lake, model: str, after: datetime | None) -> int:
    """Predictions with an outcome observed later than `after`; None: with any outcome."""
    table = lake.open(lake.outcomes(model))
    if table is None:
        return 0
    later = None if after is None else pc.field("observed_at") > pa.scalar(after, TIMESTAMP)
    rows = table.to_pyarrow_dataset().to_table(columns=["prediction_id"], filter=later)
    return int(pc.count_distinct(rows["prediction_id"]).as_py())


@raises_dependency_unavailable
def last_commit(lake: Lake, model: str) -> datetime | None:
    """Time of the newest commit to a model's predictions; None where nothing was written yet."""
    table = lake.open(lake.predictions(model))
    history = [] if table is None else table.history(1)
    return datetime.fromtimestamp(int(history[0]["timestamp"]) / 1000, UTC) if history else None
