"""Logged predictions and outcomes as Arrow tables, which pandas, Polars and DuckDB read without a copy through rows of Python."""

from __future__ import annotations

from datetime import datetime
from typing import TYPE_CHECKING, Literal

from shared.errors import CallerError, NotFound

if TYPE_CHECKING:
    import pyarrow as pa


def read_log(
    lake: str,
    model: str,
    *,
    table: Literal["predictions", "outcomes"] = "predictions",
    start: datetime | None = None,
    end: datetime | None = None,
) -> pa.Table:
    """Rows of a model with `event_time` (outcomes: `observed_at`) in [start, end), in order of that time; None: no bound.

    `lake`: its folder, such as `.homeostat/lake`, or its URL. Times need an offset. Features are columns `f_<name>`, and have the
    logged values, also where they are marked personal. Needs the extra `prediction_log` (deltalake).
    Raises NotFound where the lake has no such rows yet, CallerError for a time without an offset, DependencyUnavailable.
    """
    import pyarrow as pa

    from shared.stores.lake import Lake
    from shared.stores.queries.row_batches import row_batches

    for name, time in (("start", start), ("end", end)):
        if time is not None and time.tzinfo is None:
            raise CallerError(f"{name} is {time}, which has no offset", hint="datetime(…, tzinfo=UTC)")
    opened = Lake(lake)
    found = row_batches(opened, model, table, start, end)
    if found is None:
        known = ", ".join(opened.models())
        raise NotFound(f"the lake has no {table} of {model}", hint=f"it has {known}" if known else "")
    schema, batches = found
    rows = pa.Table.from_batches(batches, schema)
    return rows.sort_by("event_time" if table == "predictions" else "observed_at")
