"""The newest predictions of a model, without reading its whole table."""

from __future__ import annotations

from datetime import timedelta
from typing import Final

import pyarrow as pa

from shared.contracts.lake_schema import PREDICTION_COLUMNS
from shared.stores.lake import Lake
from shared.stores.lake_scan import empty_rows

_FIRST: Final = timedelta(minutes=1)
_LONGEST: Final = timedelta(days=3650)
_FACTOR: Final = 8
# Statistics of files are cut to milliseconds.
_SLACK: Final = timedelta(seconds=1)


def newest_predictions(lake: Lake, model: str, count: int) -> pa.Table:
    """The last `count` rows by event time, in order; fewer where ten years have fewer. Rows set aside are left out.

    Reads a minute before the newest event time, then eight times as much, until there are enough rows.
    """
    newest = lake.latest_event_time(model)
    if newest is None:
        return empty_rows(PREDICTION_COLUMNS, None)
    span = _FIRST
    while True:
        rows = lake.read_predictions(model, newest - span, newest + _SLACK)
        if rows.num_rows >= count or span >= _LONGEST:
            return rows.slice(max(0, rows.num_rows - count))
        span = min(span * _FACTOR, _LONGEST)
