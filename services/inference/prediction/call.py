"""One call of a model on its way: what is asked, and who receives the answer."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from itertools import accumulate
from typing import Any

import numpy as np
import numpy.typing as npt

from services.inference.models.input_schema import Batch
from services.inference.models.servable import Servable
from services.inference.tracing.request_trace import RequestTrace
from shared.contracts.prediction_id import IdBlock


@dataclass(slots=True)
class Prediction:
    """Prediction ids, the model's output, and its scores as numbers (None where an answer is no single number).

    Of classes: `scores` are the probabilities of the most probable ones, `classes` their places among the labels.
    """

    prediction_ids: IdBlock
    output: npt.NDArray[Any]
    scores: list[float] | None
    classes: npt.NDArray[np.intp] | None = None

    def part(self, start: int, end: int) -> Prediction:
        """Of rows `start` to `end`, without the last."""
        return Prediction(
            self.prediction_ids.part(start, end),
            self.output[start:end],
            None if self.scores is None else self.scores[start:end],
            None if self.classes is None else self.classes[start:end],
        )

    def split(self, sizes: Sequence[int]) -> list[Prediction]:
        """The predictions of requests with so many rows each."""
        if len(sizes) == 1:
            return [self]
        return [self.part(end - size, end) for size, end in zip(sizes, accumulate(sizes), strict=True)]


Done = Callable[[Prediction | None, Exception | None], None]
Check = Callable[[list[Any]], Batch]


@dataclass(slots=True, eq=False)
class Call:
    """Rows for one servable: checked (`batch`), or decoded only (`documents`) and checked together with others.

    `sizes`: of a call for several requests, the rows of each. `batches`: these rows one by one, where there is no common `batch`.
    `check`: turns the decoded rows of one or more calls into a batch; raises InvalidRequest.
    `event_time`: None is the time of the answer. `output` is set if the model ran already. `done` receives the prediction once
    it is on the spool, or an error. `first_id`: the id of its first row, where that was made before. `key`: that of its request.
    `is_withdrawn`: of a canary: whether another version answers its request, so that it must not be logged.
    """

    servable: Servable
    rows: int
    done: Done
    batch: Batch | None = None
    documents: list[Any] | None = None
    check: Check | None = None
    event_time: datetime | None = None
    traceparent: str = ""
    output: npt.NDArray[Any] | None = None
    trace: RequestTrace | None = None
    sizes: Sequence[int] = ()
    batches: Sequence[Batch] = ()
    expected: float = 0.0  # seconds that it adds to the calls before it; set by the queue
    requested: float = field(default_factory=time.perf_counter)
    first_id: IdBlock | None = None
    key: str | None = None
    is_withdrawn: Callable[[], bool] | None = None
    began: float = 0.0  # of a call on a thread, like `ended`
    ended: float = 0.0

    @property
    def is_checked(self) -> bool:
        """Whether its rows are in batches."""
        return self.batch is not None or bool(self.batches)

    def checked(self) -> Sequence[Batch]:
        """Its batches: one, or one per request."""
        return self.batches or (() if self.batch is None else (self.batch,))

    def parts(self, rows: Batch) -> Iterator[Batch]:
        """The rows of each request, of the call's `rows`."""
        start = 0
        for size in self.sizes or (self.rows,):
            yield rows.part(start, start + size)
            start += size
