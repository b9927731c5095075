"""Reads requests for predictions and submits them to the model queue; what is not plainly right is left to the ordinary path.

1. read and check with the ordinary path's functions, or by a plan made from what they read before
2. submit, so that it is answered together with what else arrived in this iteration of the loop
3. hand the reply to the connection once the rows are on the spool
4. after any problem hand the request back: the ordinary path words every error
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable, Iterator, Sequence
from typing import Any, Protocol

import orjson

from services.inference.fast_path.header_layout import HeaderLayouts
from services.inference.fast_path.infer_plan import InferPlan, Reply, plan_binary, plan_json, write_reply
from services.inference.fast_path.number_array import NumberArrays
from services.inference.http.predict import write_predictions
from services.inference.http.timestamps import parse_given_timestamp
from services.inference.metrics import InferenceMetrics
from services.inference.models.input_schema import Batch
from services.inference.models.servable import Servable
from services.inference.models.slot import Slots
from services.inference.open_inference.codec import read_request
from services.inference.open_inference.features import read_batch
from services.inference.open_inference.outputs import requested_outputs
from services.inference.open_inference.versions import check_named_model
from services.inference.prediction.call import Call, Prediction
from services.inference.prediction.predictor import Predictor
from services.inference.tracing.request_trace import Tracing
from shared.errors import HomeostatError
from shared.observability.logs import get_logger

_log = get_logger(__name__)
_PREDICT_KEYS = frozenset({"model", "event_time", "rows"})
_MOST_PLANS = 256
_LARGEST_SURROUNDINGS = 2048
SWEEPS = 8  # per timeout for bodies
_SWEEP_SECONDS = 0.001

# Receives the reply; None: answer in the ordinary way.
Answer = Callable[[Reply | None], None]
Write = Callable[[Prediction], Reply]


class Connection(Protocol):
    """A connection as the sweep sees it."""

    def sweep(self, now: float) -> None:
        """Close it, or go on in the ordinary way, if it has taken too long."""
        ...


class HotRequests:
    """The part of the fast path that all connections share."""

    def __init__(
        self,
        slots: Slots[Servable],
        predictor: Predictor,
        metrics: InferenceMetrics,
        *,
        maximum_rows: int,
        maximum_body_bytes: int,
        maximum_buffered_bytes: int,
        receive_seconds: float,
        tracing: Tracing | None = None,
    ) -> None:
        """`tracing`: decides which requests the ordinary path answers to trace them."""
        self.layouts = HeaderLayouts()
        self.maximum_body_bytes = maximum_body_bytes
        self.maximum_buffered_bytes = maximum_buffered_bytes
        self.receive_seconds = receive_seconds
        self.buffered = 0  # declared bytes of unfinished bodies
        self.draining = False
        self.connections: set[Connection] = set()
        # uvicorn's list of them, and its bytes.
        self.default_headers: tuple[Sequence[tuple[bytes, bytes]], bytes] = ((), b"")
        self._slots = slots
        self._predictor = predictor
        self._metrics = metrics
        self._maximum_rows = maximum_rows
        self._tracing = tracing
        self._numbers = NumberArrays()
        self._plans: dict[str, tuple[Servable, dict[tuple[bytes, bytes], InferPlan]]] = {}
        self._answered: dict[Servable, list[tuple[int, float]]] = {}
        predictor.queue.on_flushed(self._count)
        slots.on_unload(lambda model: self._plans.pop(model, None))

    def start_sweeping(self) -> None:
        """Look at all connections from now on, on the running loop."""
        asyncio.get_running_loop().call_later(min(1.0, self.receive_seconds / SWEEPS), self._sweep)

    def _sweep(self) -> None:
        self._sweep_some(iter(list(self.connections)))

    def _sweep_some(self, connections: Iterator[Connection]) -> None:
        """Sweep for a millisecond: thousands of clients whose time is over must not hold up the others."""
        loop, end = asyncio.get_running_loop(), time.perf_counter() + _SWEEP_SECONDS
        now = loop.time()
        for connection in connections:
            connection.sweep(now)
            if time.perf_counter() > end:
                loop.call_soon(self._sweep_some, connections)
                return
        self.start_sweeping()

    def submit_infer(
        self, model: str, raw: bytes, start: int, end: int, head_bytes: int | None, answer: Answer
    ) -> bool:
        """Take an infer request whose body is `raw[start:end]`; False: answer it in the ordinary way."""
        servable = self._acquire(model)
        if servable is None:
            return False
        try:
            found = (
                self._read_json(servable, raw, start, end)
                if head_bytes is None
                else self._read_binary(servable, raw, start, end, head_bytes)
            )
        except Exception:  # also an unknown one: the ordinary path answers with the error
            found = None
        # One row is quick enough: `_acquire` has asked.
        if (
            found is None
            or (found[0].rows > 1 and not self._predictor.is_inline(servable, found[0].rows))
            or (self._tracing is not None and self._tracing.takes_next())
        ):
            self._slots.release(servable)
            return False
        batch, write, event_time = found
        call = Call(
            servable,
            batch.rows,
            self._done(servable, batch.rows, write, answer),
            batch=batch,
            event_time=event_time,
        )
        self._submit(call)
        return True

    def submit_predict(self, raw: bytes, start: int, end: int, answer: Answer) -> bool:
        """Take a request to `/predict`; the rows are checked with those of other requests. False as for infer."""
        body = memoryview(raw)[start:end]
        try:
            document = orjson.loads(body)
            if not isinstance(document, dict) or not document.keys() <= _PREDICT_KEYS:
                return False
            rows, model = document.get("rows"), document.get("model")
            if not isinstance(rows, list) or not 0 < len(rows) <= self._maximum_rows:
                return False
            if model is not None and not isinstance(model, str):
                return False
            event_time = parse_given_timestamp(document.get("event_time"), field="event_time")
        except (orjson.JSONDecodeError, HomeostatError):
            return False
        servable = self._acquire(model)
        if servable is None:
            return False
        if not self._predictor.is_inline(servable, len(rows)) or (
            self._tracing is not None and self._tracing.takes_next()
        ):
            self._slots.release(servable)
            return False

        def write(prediction: Prediction) -> Reply:
            return Reply(write_predictions(servable, prediction))

        text = raw if end == len(raw) else bytes(body)
        call = Call(
            servable,
            len(rows),
            self._done(servable, len(rows), write, answer),
            documents=rows,
            may_hold_booleans=b"true" in text or b"false" in text,
            event_time=event_time,
        )
        self._submit(call)
        return True

    def _acquire(self, model: str | None) -> Servable | None:
        """The servable, if the ordinary path would answer on the loop and without a long wait."""
        try:
            servable = self._slots.acquire(model)
        except HomeostatError:
            return None
        if self._predictor.is_ready(servable):
            return servable
        self._slots.release(servable)
        return None

    def _submit(self, call: Call) -> None:
        self._metrics.in_flight += 1
        self._predictor.queue.submit(call)

    def _done(
        self, servable: Servable, rows: int, write: Write, answer: Answer
    ) -> Callable[[Prediction | None, Exception | None], None]:
        received = time.perf_counter()

        def done(prediction: Prediction | None, error: Exception | None) -> None:
            self._metrics.in_flight -= 1
            reply = None
            try:
                if prediction is not None:
                    reply = write(prediction)
            except Exception as problem:  # of ours; the ordinary path gives it an error_id
                _log.error("reply_failed", exc_info=problem)
            finally:
                self._slots.release(servable)
            if reply is not None:
                self._answered.setdefault(servable, []).append((rows, received))
            answer(reply)

        return done

    def _count(self) -> None:
        if self._answered:
            now = time.perf_counter()
            for servable, requests in self._answered.items():
                self._metrics.answered_together(servable, [(rows, now - since) for rows, since in requests])
            self._answered = {}

    def _known(self, servable: Servable) -> dict[tuple[bytes, bytes], InferPlan]:
        found = self._plans.get(servable.model)
        if found is None or found[0] is not servable:
            found = self._plans[servable.model] = (servable, {})
        plans = found[1]
        if len(plans) >= _MOST_PLANS:
            plans.clear()
        return plans

    def _read_json(self, servable: Servable, raw: bytes, start: int, end: int) -> Any:
        data = raw.find(b'"data"', start, end)
        opening = raw.find(b"[", data, end) if data > 0 else -1
        closing = raw.find(b"]", opening, end) + 1 if opening > 0 else 0
        may_be_known = closing > 0 and opening - start + end - closing <= _LARGEST_SURROUNDINGS
        plans = self._known(servable)
        surroundings = (bytes(raw[start:opening]), bytes(raw[closing:end])) if may_be_known else (b"", b"")
        plan = plans.get(surroundings) if may_be_known else None
        if plan is not None:
            batch = plan.read_json(raw[opening:closing], self._numbers)
            if batch is not None:
                return batch, plan.reply, None
        wire, requested, batch = self._read(servable, bytes(raw[start:end]), None)
        if plan is None and may_be_known:
            plan = plan_json(servable, wire, requested, *surroundings)
            if plan is not None:
                plans[surroundings] = plan
        return self._ordinarily(servable, wire, requested, batch)

    def _read_binary(self, servable: Servable, raw: bytes, start: int, end: int, head_bytes: int) -> Any:
        tail = start + head_bytes
        plans = self._known(servable)
        # An empty head is none, so it is no key of JSON requests either.
        may_be_known = 0 < head_bytes <= _LARGEST_SURROUNDINGS and tail <= end
        surroundings = (bytes(raw[start:tail]), b"binary") if may_be_known else (b"", b"")
        plan = plans.get(surroundings) if may_be_known else None
        if plan is not None:
            batch = plan.read_binary(raw, tail, end)
            if batch is not None:
                return batch, plan.reply, None
        wire, requested, batch = self._read(servable, bytes(raw[start:end]), head_bytes)
        if plan is None and may_be_known:
            plan = plan_binary(servable, wire, requested, end - tail)
            if plan is not None:
                plans[surroundings] = plan
        return self._ordinarily(servable, wire, requested, batch)

    def _read(self, servable: Servable, body: bytes, head_bytes: int | None) -> tuple[Any, Any, Batch]:
        wire = read_request(body, head_bytes)
        check_named_model(servable, wire)
        return (
            wire,
            requested_outputs(servable, wire),
            read_batch(servable, wire, maximum_rows=self._maximum_rows),
        )

    def _ordinarily(self, servable: Servable, wire: Any, requested: Any, batch: Batch) -> Any:
        event_time = parse_given_timestamp(wire.parameters.get("event_time"), field="event_time")
        return (
            batch,
            lambda prediction: write_reply(servable, wire, requested, prediction),
            event_time,
        )
