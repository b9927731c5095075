"""All rows of a model's table in a range of time, batch by batch: the memory does not depend on their number."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import datetime
from typing import Literal

import pyarrow as pa
import pyarrow.compute as pc

from shared.contracts.lake_schema import PARTITION, TIMESTAMP
from shared.stores.lake import Lake
from shared.stores.lake_errors import raises_dependency_unavailable

_ROWS = 16_384


@raises_dependency_unavailable
def row_batches(
    lake: Lake,
    model: str,
    table: Literal["predictions", "outcomes"],
    start: datetime | None = None,
    end: datetime | None = None,
) -> tuple[pa.Schema, Iterator[pa.RecordBatch]] | None:
    """The schema, and the rows with `event_time` (outcomes: `observed_at`) in [start, end) in no particular order; None without
    a table. Columns are those of the lake without its partition.
    """
    is_predictions = table == "predictions"
    opened = lake.open(lake.predictions(model) if is_predictions else lake.outcomes(model))
    if opened is None:
        return None
    dataset = opened.to_pyarrow_dataset()
    time = pc.field("event_time" if is_predictions else "observed_at")
    condition = pc.scalar(True)
    if start is not None:
        condition = condition & (time >= pa.scalar(start, TIMESTAMP))
    if end is not None:
        condition = condition & (time < pa.scalar(end, TIMESTAMP))
    names = [name for name in dataset.schema.names if name != PARTITION]
    schema = pa.schema([dataset.schema.field(name) for name in names])
    scanner = dataset.scanner(
        columns=names, filter=condition, batch_size=_ROWS, batch_readahead=2, fragment_readahead=1
    )
    return schema, (batch.cast(schema) for batch in scanner.to_batches() if batch.num_rows)
