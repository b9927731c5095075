"""What the lake holds of a model, as far as rehearsals need to know it."""

from __future__ import annotations

import time
from datetime import UTC, datetime, timedelta

import pyarrow as pa
import pyarrow.compute as pc

from local_stack.fault_injection.target import Served
from local_stack.fault_injection.timeline import Known
from shared.stores.lake import Lake

PAUSE_S = 0.25


def known_of(lake: Lake, served: Served) -> Known:
    """Where the model's rows lie in event time."""
    reference = pc.min_max(served.reference.column("event_time")).as_py()
    rows = lake.read_event_times(served.model)
    ours = rows.filter(pc.equal(rows["generation"], served.generation)) if rows.num_rows else rows
    first = pc.min_max(ours["event_time"]).as_py() if ours.num_rows else {"min": None, "max": None}
    return Known(
        reference_start=_aware(reference["min"]),
        reference_end=_aware(reference["max"]),
        reference_rows=served.reference.num_rows,
        newest=pc.max(rows["event_time"]).as_py() if rows.num_rows else None,
        generation_first=first["min"],
        generation_newest=first["max"],
    )


def wait_for_rows(
    lake: Lake, model: str, ids: list[str], start: datetime, end: datetime, *, within_s: float
) -> int:
    """How many of the rows with these ids and event times in [start, end] the lake has, once it has all or the time is over."""
    wanted = pa.array(ids)
    ends = time.monotonic() + within_s
    while True:
        rows = lake.read_predictions(model, start, end + timedelta(microseconds=1), columns=["prediction_id"])
        # Counted over the lake's rows, not the ids: a row that is there twice must show.
        found = int(pc.sum(pc.is_in(rows["prediction_id"], value_set=wanted)).as_py() or 0)
        if found >= len(ids) or time.monotonic() >= ends:
            return found
        time.sleep(PAUSE_S)


def wait_for_outcomes(
    lake: Lake, model: str, start: datetime, end: datetime, wanted: int, *, within_s: float
) -> None:
    """Return once the lake has `wanted` outcomes observed in [start, end], or the time is over."""
    ends = time.monotonic() + within_s
    while time.monotonic() < ends:
        if lake.read_outcomes(model, start, end + timedelta(microseconds=1)).num_rows >= wanted:
            return
        time.sleep(PAUSE_S)


def _aware(moment: datetime) -> datetime:
    return moment if moment.tzinfo is not None else moment.replace(tzinfo=UTC)
