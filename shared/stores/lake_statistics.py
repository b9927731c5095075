"""Counts and times of a model's tables in the lake, read without its rows or from one column of them."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import UTC, datetime

import pyarrow as pa
import pyarrow.compute as pc

from shared.contracts.lake_schema import FEATURE_PREFIX, SENDER, SOURCE, TIMESTAMP
from shared.stores.lake import Lake
from shared.stores.lake_errors import raises_dependency_unavailable


@raises_dependency_unavailable
def count_predictions(lake: Lake, model: str) -> int:
    """Rows in a model's predictions table."""
    table = lake.open(lake.predictions(model))
    return 0 if table is None else int(table.to_pyarrow_dataset().count_rows())


@raises_dependency_unavailable
def count_observed(
    lake: Lake, model: str, after: datetime | None, excluded_senders: Sequence[str] = ()
) -> int:
    """Predictions with an outcome observed later than `after` (None: with any outcome), without those of `excluded_senders` and
    imported ones: what a person brings in is not new."""
    table = lake.open(lake.outcomes(model))
    if table is None:
        return 0
    dataset = table.to_pyarrow_dataset()
    counted = pc.scalar(True) if after is None else pc.field("observed_at") > pa.scalar(after, TIMESTAMP)
    if (
        excluded_senders and SENDER in dataset.schema.names
    ):  # tables get the column with the first outcome that names its sender
        counted &= ~pc.is_in(pc.field(SENDER), pa.array(excluded_senders, pa.string()))
    if SOURCE in dataset.schema.names:
        counted &= pc.field(SOURCE).is_null()
    rows = dataset.to_table(columns=["prediction_id"], filter=counted)
    return int(pc.count_distinct(rows["prediction_id"]).as_py())


@raises_dependency_unavailable
def last_commit(lake: Lake, model: str) -> datetime | None:
    """Time of the newest commit to a model's predictions; None where nothing was written yet."""
    table = lake.open(lake.predictions(model))
    history = [] if table is None else table.history(1)
    return datetime.fromtimestamp(int(history[0]["timestamp"]) / 1000, UTC) if history else None


@raises_dependency_unavailable
def stored_features(lake: Lake, model: str) -> dict[str, pa.DataType]:
    """The types of the columns that store features in a model's predictions table, by column; see `storing_column`."""
    table = lake.open(lake.predictions(model))
    if table is None:
        return {}
    fields = pa.schema(table.schema().to_arrow())
    return {field.name: field.type for field in fields if field.name.startswith(FEATURE_PREFIX)}
