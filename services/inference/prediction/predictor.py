"""Runs the model on checked rows and writes the predictions to the spool; used by all prediction routes."""

from __future__ import annotations

import asyncio
from concurrent.futures import ThreadPoolExecutor
from datetime import datetime

from services.inference.metrics import InferenceMetrics
from services.inference.models.input_schema import Batch
from services.inference.models.servable import Servable
from services.inference.prediction.call import Call, Prediction
from services.inference.prediction.model_queue import ModelQueue
from services.inference.prediction.recorder import Recorder
from services.inference.tracing.request_trace import current_trace
from shared.contracts.prediction_id import PredictionIds
from shared.errors import OperatorError


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
        queue_seconds: float,
    ) -> None:
        self.queue = ModelQueue(recorder, ids, metrics)
        self._metrics = metrics
        self._inline_seconds = inline_seconds
        self._queue_seconds = queue_seconds
        self._number_of_threads = threads
        self._threads = ThreadPoolExecutor(threads, thread_name_prefix="model-call")
        self._on_threads: set[Call] = set()
        metrics.watch_queue(self.queued)

    async def predict(
        self, servable: Servable, batch: Batch, *, event_time: datetime | None, traceparent: str
    ) -> Prediction:
        """Predict with a servable that the caller has acquired. Raises UnservableModel, and OperatorError if the queue is long.

        1. run the model: on the event loop if that is quick, else on a thread, so that other requests are not delayed
        2. answer together with what else is ready in this iteration of the loop (`ModelQueue`)
        """
        self.check_queue(servable)
        future: asyncio.Future[Prediction] = asyncio.get_running_loop().create_future()

        def done(prediction: Prediction | None, error: Exception | None) -> None:
            if future.done():  # the request was cancelled
                return
            if prediction is not None:
                future.set_result(prediction)
            else:
                future.set_exception(error or RuntimeError("no prediction"))

        call = Call(servable, batch.rows, done, batch=batch, event_time=event_time, traceparent=traceparent)
        call.trace = current_trace.get()
        if not self.is_inline(servable, batch.rows):
            await self._run_on_thread(call)
        self.queue.submit(call)
        return await future

    def is_inline(self, servable: Servable, rows: int) -> bool:
        """Whether a call with this many rows is quick enough for the event loop."""
        return servable.seconds(rows) <= self._inline_seconds

    def is_ready(self, servable: Servable) -> bool:
        """Whether a call of one row is made on the event loop, and would not wait for long."""
        return (
            servable.seconds(1) <= self._inline_seconds
            and self.queue.expected_seconds() <= self._queue_seconds
        )

    def check_queue(self, servable: Servable) -> None:
        """Raises OperatorError if a call would wait longer than a client should."""
        waiting = [call.servable.seconds(call.rows) for call in list(self._on_threads) if not call.began]
        seconds = (
            sum(waiting) / self._number_of_threads
            if not self.is_inline(servable, 1)
            else self.queue.expected_seconds()
        )
        if seconds > self._queue_seconds:
            raise OperatorError(
                f"queued model calls are expected to take {seconds:.1f} s",
                hint="retry after a second; add servers, or raise HOMEOSTAT_INFERENCE_QUEUE_SECONDS",
            )

    def queued(self) -> int:
        """Calls waiting for a thread."""
        return sum(1 for call in list(self._on_threads) if not call.began)

    async def _run_on_thread(self, call: Call) -> None:
        self._on_threads.add(call)
        try:
            call.output = await asyncio.get_running_loop().run_in_executor(self._threads, call.run)
        finally:
            self._on_threads.discard(call)
            if call.ended:
                self._metrics.called(
                    call.servable, waited=call.began - call.requested, seconds=call.ended - call.began
                )

    def close(self) -> None:
        """Wait for calls in progress, then end the threads."""
        self._threads.shutdown(wait=True)
