"""Queries of the lake: the event times of a model's rows, and waiting for injected rows and outcomes."""

from __future__ import annotations

import time
from datetime import UTC, datetime, timedelta

import pyarrow as pa
import pyarrow.compute as pc

from local_stack.fault_injection.target import Target
from local_stack.fault_injection.timeline import EventRange
from shared.stores.lake import Lake

PAUSE_S = 0.25


def read_event_range(lake: Lake, target: Target) -> EventRange:
    """The event times of the model's rows in the reference and in the lake."""
    reference = pc.min_max(target.reference.column("event_time")).as_py()
    rows = lake.read_event_times(target.model)
    ours = rows.filter(pc.equal(rows["generation"], target.generation)) if rows.num_rows else rows
    first = pc.min_max(ours["event_time"]).as_py() if ours.num_rows else {"min": None, "max": None}
    return EventRange(
        reference_start=_aware(reference["min"]),
        reference_end=_aware(reference["max"]),
        reference_rows=target.reference.num_rows,
        newest=pc.max(rows["event_time"]).as_py() if rows.num_rows else None,
        generation_first=first["min"],
        generation_newest=first["max"],
    )


def wait_for_rows(
    lake: Lake, model: str, ids: list[str], start: datetime, end: datetime, *, within_s: float
) -> int:
    """Wait until the lake has the rows with these ids and event times in [start, end]. Returns their number."""
    wanted = pa.array(ids)
    ends = time.monotonic() + within_s
    while True:
        rows = lake.read_predictions(model, start, end + timedelta(microseconds=1), columns=["prediction_id"])
        # Counts rows of the lake, not ids, so that a duplicate row is noticed.
        found = int(pc.sum(pc.is_in(rows["prediction_id"], value_set=wanted)).as_py() or 0)
        if found >= len(ids) or time.monotonic() >= ends:
            return found
        time.sleep(PAUSE_S)


def wait_for_outcomes(
    lake: Lake, model: str, start: datetime, end: datetime, wanted: int, *, within_s: float
) -> None:
    """Wait until the lake has `wanted` outcomes observed in [start, end], at most `within_s` seconds."""
    ends = time.monotonic() + within_s
    while time.monotonic() < ends:
        if lake.read_outcomes(model, start, end + timedelta(microseconds=1)).num_rows >= wanted:
            return
        time.sleep(PAUSE_S)


def _aware(timestamp: datetime) -> datetime:
    return timestamp if timestamp.tzinfo is not None else timestamp.replace(tzinfo=UTC)
