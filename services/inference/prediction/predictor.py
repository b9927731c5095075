"""Runs the model on checked rows and writes the predictions to the spool; used by all prediction routes."""

from __future__ import annotations

import asyncio
import time
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from datetime import datetime
from typing import Any

import numpy as np
import numpy.typing as npt

from services.inference.metrics import InferenceMetrics
from services.inference.models.input_schema import Batch
from services.inference.models.servable import Servable
from services.inference.prediction.class_scores import most_probable
from services.inference.prediction.recorder import Recorder, as_numbers
from shared.contracts.prediction_id import PredictionIds
from shared.spool.record import Classes


class _Call:
    """One model call, with the times at which it was requested, began and ended."""

    __slots__ = ("_batch", "_servable", "began", "ended", "requested")

    def __init__(self, servable: Servable, batch: Batch) -> None:
        self._servable = servable
        self._batch = batch
        self.requested = time.perf_counter()
        self.began = 0.0
        self.ended = 0.0

    def run(self) -> npt.NDArray[Any]:
        self.began = time.perf_counter()
        try:
            return self._servable.run(self._batch)
        finally:
            self.ended = time.perf_counter()


@dataclass(slots=True)
class Prediction:
    """Prediction ids, the model's output, and its scores as numbers (None where an answer is no single number).

    Of classes: `scores` are the probabilities of the most probable ones, `classes` their places among the labels.
    """

    prediction_ids: list[str]
    output: npt.NDArray[Any]
    scores: list[float] | None
    classes: npt.NDArray[np.intp] | None = None


class Predictor:
    """Runs servables and records their predictions."""

    def __init__(
        self,
        recorder: Recorder,
        ids: PredictionIds,
        metrics: InferenceMetrics,
        *,
        inline_seconds: float,
        threads: int,
    ) -> None:
        self._recorder = recorder
        self._ids = ids
        self._metrics = metrics
        self._inline_seconds = inline_seconds
        self._threads = ThreadPoolExecutor(threads, thread_name_prefix="model-call")
        self._on_threads: set[_Call] = set()
        metrics.watch_queue(self.queued)

    async def predict(
        self, servable: Servable, batch: Batch, *, event_time: datetime, traceparent: str
    ) -> Prediction:
        """Predict with a servable that the caller has acquired. Raises UnservableModel.

        1. run the model: on the event loop if that is quick, else on a thread, so that other requests are not delayed
        2. make an id per row    3. write to the spool    4. return, only now: a response never precedes its record
        """
        call = _Call(servable, batch)
        try:
            if servable.seconds(batch.rows) <= self._inline_seconds:
                output = call.run()
            else:
                output = await self._run_on_thread(call)
        finally:
            if call.ended:
                self._metrics.called(
                    servable, waited=call.began - call.requested, seconds=call.ended - call.began
                )
        prediction_ids = self._ids.make_many(servable.model, batch.rows)
        scores = as_numbers(output) if servable.scores else None
        best = classes = None
        if servable.classes:
            best, scores = most_probable(output)
            texts = servable.labels.texts
            classes = Classes([texts[place] for place in best.tolist()], output)
        vectors = output if servable.is_vector else None
        self._recorder.prediction(
            servable,
            batch,
            prediction_ids=prediction_ids,
            scores=scores,
            event_time=event_time,
            traceparent=traceparent,
            classes=classes,
            vectors=vectors,
        )
        return Prediction(prediction_ids, output, scores, best)

    def queued(self) -> int:
        """Calls waiting for a thread."""
        return sum(1 for call in list(self._on_threads) if not call.began)

    async def _run_on_thread(self, call: _Call) -> npt.NDArray[Any]:
        self._on_threads.add(call)
        try:
            return await asyncio.get_running_loop().run_in_executor(self._threads, call.run)
        finally:
            self._on_threads.discard(call)

    def close(self) -> None:
        """Wait for calls in progress, then end the threads."""
        self._threads.shutdown(wait=True)
