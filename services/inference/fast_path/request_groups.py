"""Requests of one iteration of the loop that have the same plan: read, submitted and answered together.

Sixteen requests of one row then cost one parse, one call in the queue and one text of all answers, instead of sixteen of each.
If they cannot be read or answered together, each is tried alone: one request cannot fail another.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from typing import Protocol

from services.inference.fast_path.number_array import NumberArrays
from services.inference.fast_path.reply import Reply, refusal
from services.inference.metrics import InferenceMetrics
from services.inference.models.input_schema import Batch
from services.inference.models.servable import Servable
from services.inference.models.slot import Slots
from services.inference.prediction.call import Call, Prediction
from services.inference.prediction.full_spool import SpoolFull
from services.inference.prediction.model_queue import SLICE_SECONDS, max_rows_together
from services.inference.prediction.predictor import Predictor
from shared.observability.logs import get_logger

_log = get_logger(__name__)
# Longer texts are read as they arrive, while they are in the cache. Shorter ones are read together, which saves calls, and binary
# numbers just before the model reads them too.
_SHORT_BYTES = 4096


# Receives the reply; None: answer in the ordinary way.
Answer = Callable[[Reply | None], None]


@dataclass(slots=True, eq=False)
class Asked:
    """A request whose numbers are `raw[first:last]`. `batch`: its rows, if they are read already."""

    raw: bytes
    first: int
    last: int
    answer: Answer
    received: float  # by time.perf_counter
    rows: int = 0
    batch: Batch | None = None


class Plan(Protocol):
    """How requests are read and answered that differ in their numbers only. Compared by identity."""

    @property
    def servable(self) -> Servable:
        """The version whose requests these are."""
        ...

    @property
    def is_text(self) -> bool:
        """Whether the numbers are JSON."""
        ...

    @property
    def path(self) -> str:
        """Where such requests are sent to."""
        ...

    def rows(self, raw: bytes, first: int, last: int) -> int:
        """How many rows the numbers `raw[first:last]` are."""
        ...

    def read(self, requests: Sequence[Asked], numbers: NumberArrays) -> list[Batch] | None:
        """Their rows, in one batch or one per request; None: one of them has to be read in another way."""
        ...

    def replies(self, prediction: Prediction, sizes: Sequence[int]) -> list[Reply]:
        """The answers to requests with so many rows each."""
        ...


class RequestGroups:
    """Collects requests, and submits them when the queue looks at what waits."""

    def __init__(
        self,
        slots: Slots[Servable],
        predictor: Predictor,
        metrics: InferenceMetrics,
        numbers: NumberArrays,
        *,
        otherwise: Callable[[Plan, Asked], None],
    ) -> None:
        """`otherwise`: answers a request that its plan does not read, or that the model failed on."""
        self._slots = slots
        self._predictor = predictor
        self._metrics = metrics
        self._numbers = numbers
        self._otherwise = otherwise
        self._waiting: dict[Plan, list[Asked]] = {}
        self._answered: dict[Servable, list[tuple[Sequence[int], Sequence[float]]]] = {}
        predictor.queue.before_flush(self._submit_waiting)
        predictor.queue.on_flushed(self._count)

    def read(self, plan: Plan, raw: bytes, first: int, last: int, answer: Answer) -> Asked | None:
        """The request whose numbers are `raw[first:last]`; None if it has to be read in another way."""
        request = Asked(raw, first, last, answer, time.perf_counter())
        if last - first <= _SHORT_BYTES or not plan.is_text:
            request.rows = plan.rows(raw, first, last)
            return request
        batches = self._batches(plan, [request])
        if batches is None:
            return None
        (request.batch,) = batches
        request.rows = request.batch.rows
        return request

    def add(self, plan: Plan, request: Asked) -> None:
        """Answer the request together with those of its plan that arrive in this iteration."""
        waiting = self._waiting.get(plan)
        if waiting is None:
            self._waiting[plan] = waiting = []
            self._predictor.queue.schedule()
        waiting.append(request)

    def _submit_waiting(self) -> None:
        waiting, self._waiting = self._waiting, {}
        for plan, requests in waiting.items():
            for group in _split(plan.servable, requests):
                self._submit(plan, group)

    def _submit(self, plan: Plan, group: list[Asked]) -> None:
        servable = plan.servable
        # The version may have been replaced since, or the queue be long: the ordinary path decides.
        if self._slots.peek(servable.model) is not servable or not self._predictor.is_ready(servable):
            for request in group:
                answer_safely(request.answer, None)
            return
        batches: list[Batch] | None = [one.batch for one in group if one.batch is not None]
        if batches is None or len(batches) < len(group):
            batches = self._batches(plan, group)
        if batches is None:
            self._try_alone(plan, group)
            return
        self._slots.acquire(servable.model, len(group))
        self._metrics.in_flight += len(group)
        sizes = [request.rows for request in group]

        def done(prediction: Prediction | None, error: Exception | None) -> None:
            self._metrics.in_flight -= len(group)
            self._slots.release(servable, len(group))
            self._answer(plan, group, sizes, prediction, error)

        call = Call(servable, sum(sizes), done, sizes=sizes, requested=group[0].received)
        if len(batches) == 1:
            call.batch = batches[0]
        else:
            call.batches = batches
        self._predictor.queue.submit(call)

    def _batches(self, plan: Plan, group: list[Asked]) -> list[Batch] | None:
        try:
            return plan.read(group, self._numbers)
        except Exception:  # also an unknown one: read alone, the ordinary path answers with the error
            return None

    def _try_alone(self, plan: Plan, group: list[Asked]) -> None:
        if len(group) == 1:
            self._otherwise(plan, group[0])
            return
        for request in group:
            self._submit(plan, [request])

    def _answer(
        self,
        plan: Plan,
        group: list[Asked],
        sizes: Sequence[int],
        prediction: Prediction | None,
        error: Exception | None,
    ) -> None:
        if isinstance(error, SpoolFull):
            for request in group:
                answer_safely(request.answer, self.refused(plan.servable, error, request.received, plan.path))
            return
        if prediction is None:  # the model failed
            if len(group) == 1:  # the ordinary path answers with the error
                answer_safely(group[0].answer, None)
            else:
                self._try_alone(plan, group)
            return
        try:
            replies: Sequence[Reply | None] = plan.replies(prediction, sizes)
        except Exception as problem:  # of ours; the ordinary path gives it an error_id
            _log.error("reply_failed", exc_info=problem)
            replies = [None] * len(group)
        else:
            self.answered(plan.servable, sizes, [request.received for request in group])
        for request, reply in zip(group, replies, strict=True):
            answer_safely(request.answer, reply)

    def answered(self, servable: Servable, sizes: Sequence[int], received: Sequence[float]) -> None:
        """Count requests of so many rows in the metrics, at the end of this iteration: when each was received."""
        self._answered.setdefault(servable, []).append((sizes, received))

    def refused(self, servable: Servable, error: SpoolFull, received: float, path: str) -> Reply:
        """The answer to a request whose rows could not be logged, which is counted here."""
        self._metrics.failed(servable, "failed", error.status, time.perf_counter() - received)
        return refusal(error, path)

    def _count(self) -> None:
        if self._answered:
            now = time.perf_counter()
            for servable, groups in self._answered.items():
                rows = [size for sizes, _ in groups for size in sizes]
                seconds = [now - since for _, received in groups for since in received]
                self._metrics.answered_together(servable, rows, seconds)
            self._answered = {}


def answer_safely(answer: Answer, reply: Reply | None) -> None:
    """Hand out a reply; what is wrong with one connection does not concern the others."""
    try:
        answer(reply)
    except Exception as error:
        asyncio.get_running_loop().call_exception_handler(
            {"message": "a response could not be sent", "exception": error}
        )


def _split(servable: Servable, requests: list[Asked]) -> Iterator[list[Asked]]:
    """Groups that fit into a record, and into a slice of the loop's time."""
    max_rows = max_rows_together(servable, apart=servable.schema.has_tensors and not servable.batches)
    share, group, rows, seconds = 0.0, list[Asked](), 0, 0.0
    last = 0
    for request in requests:
        if request.rows != last:
            last, share = request.rows, servable.share(request.rows)
        if group and (rows + last > max_rows or seconds + share > SLICE_SECONDS):
            yield group
            group, rows, seconds = [], 0, 0.0
        group.append(request)
        rows += last
        seconds += share
    yield group
