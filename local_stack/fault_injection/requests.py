"""Sends rows and outcomes to a local inference service as a client would: at a rate, in small requests."""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any

import numpy as np
import numpy.typing as npt
import pyarrow as pa

from shared.contracts.event_time import from_micros, to_micros
from shared.contracts.loop_spec import LoopSpec
from shared.errors import CallerError, DependencyUnavailable, HomeostatError
from shared.http.service_client import ServiceClient
from shared.models.feature_arrays import micros_of

ROWS_PER_REQUEST = 10
MAX_OUTCOMES = 5000
MAX_FAILURES_SHOWN = 3


@dataclass
class Responses:
    """For each row: the prediction id (empty if not answered), the score (NaN if not answered) and the event time.

    `by_label`: probabilities by label, of a model with classes; `by_name`: the numbers of several values.
    """

    ids: list[str]
    scores: npt.NDArray[np.float64]
    event_times: list[datetime]
    by_label: dict[int, dict[str, float]] = field(default_factory=dict)
    by_name: dict[int, dict[str, float]] = field(default_factory=dict)
    failed: int = 0
    failures: list[str] = field(default_factory=list)

    @property
    def answered(self) -> int:
        """Number of rows that were answered."""
        return sum(1 for one in self.ids if one)

    def fail(self, rows: int, error: HomeostatError) -> None:
        """Record that a request for `rows` rows failed."""
        self.failed += rows
        if len(self.failures) < MAX_FAILURES_SHOWN:
            self.failures.append(error.message)


def as_rows(table: pa.Table, loop: LoopSpec, event_times: Sequence[datetime]) -> list[dict[str, Any]]:
    """The table's rows as /predict takes them, happening at `event_times`. Timestamps keep their age, which is no drift."""
    columns = {}
    for feature in loop.features:
        values = table.column(feature.name).to_pylist()
        if feature.type == "tensor":
            values = [np.asarray(value, np.float32).reshape(feature.shape).tolist() for value in values]
        elif feature.type == "timestamp":
            values = _moved_times(table, feature.name, event_times)
        elif feature.type == "number":
            values = [None if value is None or not np.isfinite(value) else float(value) for value in values]
        columns[feature.name] = values
    return [dict(zip(columns, row, strict=True)) for row in zip(*columns.values(), strict=True)]


def _moved_times(table: pa.Table, name: str, event_times: Sequence[datetime]) -> list[str]:
    ages = micros_of(table.column("event_time")) - micros_of(table.column(name))
    return [
        from_micros(to_micros(moment) - int(age)).isoformat(timespec="microseconds")
        for moment, age in zip(event_times, ages, strict=True)
    ]


def send_rows(
    inference: ServiceClient,
    model: str,
    rows: Sequence[dict[str, Any]],
    event_times: Sequence[datetime],
    *,
    rate: float,
    seconds: float,
    on_progress: Callable[[int], None] = lambda _: None,
    clock: Callable[[], float] = time.monotonic,
    pause: Callable[[float], None] = time.sleep,
) -> Responses:
    """Send every row, `rate` rows per second, for at most `seconds`; `on_progress` receives the number of rows of each request.

    The rows of one request share the event time of its first row. A failed request is counted and not repeated, since the
    scenario shows what a client sees during a fault.
    """
    responses = Responses([""] * len(rows), np.full(len(rows), np.nan), list(event_times))
    began = clock()
    per_request = max(1, min(ROWS_PER_REQUEST, round(rate)))
    for start in range(0, len(rows), per_request):
        ahead = start / rate - (clock() - began)
        if ahead > 0:
            pause(ahead)
        if clock() - began > seconds:
            break
        batch = rows[start : start + per_request]
        body: dict[str, object] = {
            "model": model,
            "event_time": event_times[start].isoformat(),
            "rows": list(batch),
        }
        try:
            reply = inference.post("/predict", body)
        except CallerError:  # the rows are invalid, and so would the next be
            raise
        except HomeostatError as error:
            responses.fail(len(batch), error)
        else:
            for place, item in enumerate(reply["predictions"], start=start):
                responses.ids[place] = str(item["prediction_id"])
                responses.event_times[place] = event_times[start]
                responses.scores[place] = item.get("score", np.nan)
                if "scores" in item:
                    responses.by_label[place] = item["scores"]
                if "values" in item:
                    responses.by_name[place] = item["values"]
        on_progress(len(batch))
    return responses


def send_outcomes(inference: ServiceClient, items: Sequence[dict[str, Any]], *, tries: int = 3) -> int:
    """Send outcomes; repeat a request that fails, since a repeated outcome counts once. Returns how many were accepted."""
    accepted = 0
    for start in range(0, len(items), MAX_OUTCOMES):
        batch = list(items[start : start + MAX_OUTCOMES])
        for attempt in range(tries):
            try:
                inference.post("/outcomes", {"outcomes": batch})
                accepted += len(batch)
                break
            except DependencyUnavailable:
                if attempt == tries - 1:
                    raise
                time.sleep(1.0)
    return accepted
