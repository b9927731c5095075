"""Runs the model on checked rows and writes the predictions to the spool; used by all prediction routes."""

from __future__ import annotations

import asyncio
import time
from datetime import datetime

from services.inference.metrics import InferenceMetrics
from services.inference.models.input_schema import Batch
from services.inference.models.servable import Servable
from services.inference.prediction.call import Call, Prediction
from services.inference.prediction.call_threads import CallThreads, Finished
from services.inference.prediction.loop_watchdog import LoopWatchdog
from services.inference.prediction.model_queue import ModelQueue
from services.inference.prediction.recorder import Recorder
from services.inference.runtimes.stopped_call import CallStopped
from services.inference.tracing.request_trace import current_trace
from shared.contracts.prediction_id import IdBlock, PredictionIds
from shared.errors import OperatorError
from shared.observability.logs import get_logger

_log = get_logger(__name__)
_CLOSE_SECONDS = (
    5.0  # all requests are answered when it is closed: what is left are calls that nobody waits for
)


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
        maximum_batch_rows: int = 256,
        batch_delay_seconds: float = 0.0,
    ) -> None:
        """`threads`: for models on the CPU; a device has one of its own, since it makes one call at a time."""
        self.watchdog = LoopWatchdog(inline_seconds)
        self.queue = ModelQueue(recorder, ids, metrics, self.watchdog)
        self._metrics = metrics
        self._inline_seconds = inline_seconds
        self._queue_seconds = queue_seconds
        self._threads = {
            device: CallThreads(
                device,
                threads=number,
                maximum_rows=maximum_batch_rows,
                delay_seconds=batch_delay_seconds,
                finished=self._finished,
            )
            for device, number in (("cpu", threads), ("cuda", 1))
        }
        metrics.watch_queue(self.queued)

    async def predict(
        self,
        servable: Servable,
        batch: Batch,
        *,
        event_time: datetime | None,
        traceparent: str,
        first_id: IdBlock | None = None,
        key: str | None = None,
    ) -> Prediction:
        """Predict with a servable that the caller has acquired. Raises UnservableModel, and OperatorError if the queue is long.

        `first_id`: the id of the first row, if it was made before. `key`: that of the request.
        1. run the model: on the event loop if that is quick, else on a thread, with what else waits for the model; a call that
           had to be stopped on the loop is made again on a thread
        2. answer together with what else is ready in this iteration of the loop (`ModelQueue`)
        """
        self.check_queue(servable)
        future: asyncio.Future[Prediction] = asyncio.get_running_loop().create_future()
        threads = self._threads[servable.device]
        on_loop = self.is_inline(servable, batch.rows)

        def done(prediction: Prediction | None, error: Exception | None) -> None:
            nonlocal on_loop
            if future.done():  # the request was cancelled
                return
            if prediction is not None:
                future.set_result(prediction)
            elif on_loop and isinstance(error, CallStopped):
                on_loop = False
                threads.submit(call)
            else:
                future.set_exception(error or RuntimeError("no prediction"))

        call = Call(servable, batch.rows, done, batch=batch, event_time=event_time, traceparent=traceparent)
        call.first_id, call.key = first_id, key
        if servable.release.slot == "canary":
            call.is_withdrawn = future.cancelled
        call.trace = current_trace.get()
        if on_loop:
            self.queue.submit(call)
        else:
            threads.submit(call)
        try:
            return await future
        except asyncio.CancelledError:
            if call.is_withdrawn and future.done() and not future.cancelled():
                return future.result()  # it is logged: no other version may answer
            threads.discard(call)
            raise

    def is_inline(self, servable: Servable, rows: int) -> bool:
        """Whether a call with this many rows is quick enough for the event loop, which would wait for a device."""
        return (
            servable.device == "cpu"
            and not servable.was_stopped
            and servable.seconds(rows) <= self._inline_seconds
        )

    def is_ready(self, servable: Servable) -> bool:
        """Whether a call of one row is made on the event loop, and would not wait for long."""
        return self.is_inline(servable, 1) and self.queue.expected_seconds() <= self._queue_seconds

    def check_queue(self, servable: Servable) -> None:
        """Raises OperatorError if a call would wait longer than a client should."""
        seconds = (
            self.queue.expected_seconds()
            if self.is_inline(servable, 1)
            else self._threads[servable.device].expected_seconds(servable)
        )
        if seconds > self._queue_seconds:
            raise OperatorError(
                f"queued model calls are expected to take {seconds:.1f} s",
                hint="retry after a second; add servers, or raise HOMEOSTAT_INFERENCE_QUEUE_SECONDS",
            )

    def queued(self) -> int:
        """Calls waiting for a thread."""
        return sum(threads.waiting() for threads in self._threads.values())

    def _finished(self, finished: Finished) -> None:
        first = finished.calls[0]
        self._metrics.called(
            first.servable, waited=finished.began - first.requested, seconds=finished.ended - finished.began
        )
        for call, result in zip(finished.calls, finished.results, strict=True):
            if isinstance(result, Exception):
                call.done(None, result)
            else:
                call.output, call.began, call.ended = result, finished.began, finished.ended
                self.queue.submit(call)

    def close(self, seconds: float = _CLOSE_SECONDS) -> None:
        """Wait for calls in progress, then end the threads. A call that hangs ends with the process."""
        self.watchdog.stop()
        until = time.monotonic() + seconds
        left = sum(threads.close(max(0.0, until - time.monotonic())) for threads in self._threads.values())
        if left:
            _log.warning("model_calls_do_not_end", calls=left, seconds=seconds)
