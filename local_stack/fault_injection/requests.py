"""Rows as a client sends them, to a local server: paced, in small requests, with what became of each row."""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any

import numpy as np
import numpy.typing as npt
import pyarrow as pa

from shared.contracts.loop_spec import LoopSpec
from shared.errors import CallerError, DependencyUnavailable, HomeostatError
from shared.http.service_client import ServiceClient

ROWS_PER_REQUEST = 10
MOST_OUTCOMES = 5000
SHOWN_FAILURES = 3


@dataclass
class Answers:
    """What became of the rows, by their place: id (empty: not answered), score (NaN) and moment."""

    ids: list[str]
    scores: npt.NDArray[np.float64]
    moments: list[datetime]
    failed: int = 0
    failures: list[str] = field(default_factory=list)

    @property
    def answered(self) -> int:
        """Rows that have an answer."""
        return sum(1 for identity in self.ids if identity)

    def fail(self, rows: int, error: HomeostatError) -> None:
        """Note that a request for `rows` rows failed."""
        self.failed += rows
        if len(self.failures) < SHOWN_FAILURES:
            self.failures.append(error.message)


def as_rows(table: pa.Table, loop: LoopSpec) -> list[dict[str, Any]]:
    """The table's rows as /predict takes them."""
    columns = {}
    for feature in loop.features:
        values = table.column(feature.name).to_pylist()
        if feature.type == "tensor":
            values = [np.asarray(value, np.float32).reshape(feature.shape).tolist() for value in values]
        elif feature.type == "number":
            values = [None if value is None or not np.isfinite(value) else float(value) for value in values]
        columns[feature.name] = values
    return [dict(zip(columns, row, strict=True)) for row in zip(*columns.values(), strict=True)]


def ask(
    inference: ServiceClient,
    model: str,
    rows: Sequence[dict[str, Any]],
    moments: Sequence[datetime],
    *,
    rate: float,
    seconds: float,
    on_progress: Callable[[int], None] = lambda _: None,
    clock: Callable[[], float] = time.monotonic,
    pause: Callable[[float], None] = time.sleep,
) -> Answers:
    """Ask for every row, `rate` rows a second, for at most `seconds`; `on_progress` hears how many rows each request had.

    Neighbouring rows share a request and its first row's moment. A failed request is counted, not sent again: what a client sees
    during a fault is what is rehearsed.
    """
    answers = Answers([""] * len(rows), np.full(len(rows), np.nan), list(moments))
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
            "event_time": moments[start].isoformat(),
            "rows": list(batch),
        }
        try:
            reply = inference.post("/predict", body)
        except CallerError:  # our rows are wrong, and so would the next be
            raise
        except HomeostatError as error:
            answers.fail(len(batch), error)
        else:
            for place, item in enumerate(reply["predictions"], start=start):
                answers.ids[place] = str(item["prediction_id"])
                answers.moments[place] = moments[start]
                answers.scores[place] = item.get("score", np.nan)
        on_progress(len(batch))
    return answers


def tell(inference: ServiceClient, items: Sequence[dict[str, Any]], *, tries: int = 3) -> int:
    """Tell outcomes, again where a request fails: the same outcome twice counts once. How many were taken."""
    taken = 0
    for start in range(0, len(items), MOST_OUTCOMES):
        batch = list(items[start : start + MOST_OUTCOMES])
        for attempt in range(tries):
            try:
                inference.post("/outcomes", {"outcomes": batch})
                taken += len(batch)
                break
            except DependencyUnavailable:
                if attempt == tries - 1:
                    raise
                time.sleep(1.0)
    return taken
