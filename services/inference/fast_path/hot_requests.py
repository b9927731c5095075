"""Takes requests for predictions and submits them to the model queue; what is not plainly right is left to the ordinary path.

1. find the plan for the body (`InferReader`, `PredictReader`): requests of one plan are read and answered together
   (`RequestGroups`)
2. without one read the body alone, and submit it: it is answered together with what else arrived in this iteration of the loop
3. hand the reply to the connection once the rows are on the spool
4. after any problem hand the request back: the ordinary path words every error, but for that of a full spool

While a model has a canary the ordinary path answers all of its requests.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable, Iterator, Sequence
from typing import Protocol

from uvicorn.protocols.http.httptools_impl import STATUS_LINE

from services.inference.fast_path.admission import Admission
from services.inference.fast_path.header_layout import HeaderLayout, HeaderLayouts, Headers
from services.inference.fast_path.infer_plan import InferPlan
from services.inference.fast_path.infer_reader import InferReader, Write
from services.inference.fast_path.liveness_probes import LivenessProbes
from services.inference.fast_path.number_array import NumberArrays
from services.inference.fast_path.predict_reader import PredictReader
from services.inference.fast_path.reading_slices import ReadingSlices
from services.inference.fast_path.reply import Reply
from services.inference.fast_path.request_groups import Answer, Asked, Plan, RequestGroups, answer_safely
from services.inference.fast_path.tensor_rows import TensorRowsPlan
from services.inference.http.predict import write_predictions
from services.inference.metrics import InferenceMetrics
from services.inference.models.servable import Servable
from services.inference.models.slot import Slots
from services.inference.prediction.call import Call, Prediction
from services.inference.prediction.full_spool import SpoolFull
from services.inference.prediction.predictor import Predictor
from services.inference.tracing.request_trace import Tracing
from shared.access.directness import is_direct
from shared.errors import HomeostatError
from shared.http.connections import CLOSE
from shared.observability.logs import get_logger

_log = get_logger(__name__)
SWEEPS = 8  # per timeout for bodies
_SWEEP_SECONDS = 0.001


class Connection(Protocol):
    """A connection as the sweep sees it."""

    def sweep(self, now: float) -> None:
        """Close it, or go on in the ordinary way, if it has taken too long."""
        ...

    def give_way(self) -> bool:
        """Close it if a request is due of which not even the headers are complete; whether it was closed."""
        ...


class HotRequests:
    """The part of the fast path that all connections share."""

    def __init__(
        self,
        slots: Slots[Servable],
        predictor: Predictor,
        metrics: InferenceMetrics,
        admission: Admission,
        *,
        maximum_rows: int,
        maximum_body_bytes: int,
        maximum_buffered_bytes: int,
        receive_seconds: float,
        maximum_connections: int = 50_000,
        tracing: Tracing | None = None,
    ) -> None:
        """`admission`: who may be answered here. `tracing`: decides which requests the ordinary path answers to trace them."""
        self.admission = admission
        self.layouts = HeaderLayouts()
        self.probes = LivenessProbes()
        self.reading = ReadingSlices()
        self.maximum_body_bytes = maximum_body_bytes
        self.maximum_buffered_bytes = maximum_buffered_bytes
        self.receive_seconds = receive_seconds
        self.buffered = 0  # declared bytes of unfinished bodies
        self.draining = False
        self.maximum_connections = maximum_connections
        self.connections: dict[Connection, None] = {}  # in order of time
        # uvicorn's, and with them the beginnings of replies, by their own header lines.
        self._default_headers: Sequence[tuple[bytes, bytes]] = ()
        self._reply_heads: dict[tuple[int, bytes], bytes] = {}
        self._slots = slots
        self._canaries = slots.sides.canaries
        self._predictor = predictor
        self._metrics = metrics
        self._tracing = tracing
        self._maximum_rows = maximum_rows
        self._infer = InferReader(maximum_rows=maximum_rows)
        self._predict = PredictReader(self._acquire, slots.release, maximum_rows=maximum_rows)
        self._groups = RequestGroups(slots, predictor, metrics, NumberArrays(), otherwise=self._submit_alone)
        slots.on_unload(self._forget)

    def add(self, connection: Connection) -> None:
        """A new connection. If there are too many, the oldest one that owes headers is closed, so that others are served."""
        self.connections[connection] = None
        if len(self.connections) > self.maximum_connections:
            oldest = next((one for one in self.connections if one.give_way()), None)
            if oldest is not None:
                del self.connections[oldest]

    def learn(self, data: bytes, url: bytes, headers: Headers, *, anonymous: bool) -> HeaderLayout | None:
        """Remember the header block at the start of `data`, if requests with it may be answered here; `anonymous`: also without
        credentials.
        """
        has_credentials, grant = self.admission.of_credentials(headers)
        if grant is None and (has_credentials or not anonymous or not is_direct("POST", headers)):
            return None
        return self.layouts.learn(data, url, headers, grant)

    def reply_head(self, reply: Reply, default: Sequence[tuple[bytes, bytes]]) -> bytes:
        """The reply up to the length of its body. The `default` headers, those that uvicorn adds, change once a second.

        Whether the connection ends is the connection's to say.
        """
        if self._default_headers is not default:
            self._default_headers, self._reply_heads = default, {}
        status, headers = reply.status, reply.headers
        head = self._reply_heads.get((status, headers))
        if head is None:
            lines = b"".join(b"%b: %b\r\n" % header for header in default if header != CLOSE)
            head = STATUS_LINE[status] + lines + headers + b"content-length: "
            self._reply_heads[status, headers] = head
        return head

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
        servable = self._slots.peek(model)
        if servable is None or model in self._canaries or self._is_to_be_traced():
            return False
        plan = self._infer.find(servable, raw, start, end, head_bytes)
        if plan is None:
            return self._submit_infer_alone(model, raw, start, end, head_bytes, answer)
        request = self._groups.read(plan, raw, start + len(plan.before), end - len(plan.after), answer)
        if request is None:
            return self._submit_infer_alone(model, raw, start, end, head_bytes, answer)
        return self._add(plan, request)

    def submit_predict(self, raw: bytes, start: int, end: int, answer: Answer) -> bool:
        """Take a request to `/predict`; False as for infer."""
        if self._is_to_be_traced():
            return False
        plan = self._predict.find(raw, start, end)
        if plan is not None and plan.servable.model in self._canaries:
            return False
        if plan is None or not self._is_live(plan.servable, plan.model):
            return self._submit_predict_alone(raw, start, end, answer)
        request = self._groups.read(plan, raw, start + len(plan.before), end - len(plan.after), answer)
        if request is None:
            return self._submit_predict_alone(raw, start, end, answer)
        return self._add(plan, request)

    def _add(self, plan: Plan, request: Asked) -> bool:
        rows = request.rows
        # One row is quick enough if the servable is ready, which is asked per group.
        if rows > 1 and (rows > self._maximum_rows or not self._predictor.is_inline(plan.servable, rows)):
            return False
        self._groups.add(plan, request)
        return True

    def _submit_alone(self, plan: Plan, asked: Asked) -> None:
        """Answer a request that its plan does not read."""
        raw, answer, taken = asked.raw, asked.answer, False
        if isinstance(plan, InferPlan):
            start, end = asked.first - len(plan.before), asked.last + len(plan.after)
            taken = self._submit_infer_alone(plan.servable.model, raw, start, end, plan.head_bytes, answer)
        elif isinstance(plan, TensorRowsPlan):
            start, end = asked.first - len(plan.before), asked.last + len(plan.after)
            taken = self._submit_predict_alone(raw, start, end, answer)
        if not taken:
            answer_safely(answer, None)

    def _submit_infer_alone(
        self, model: str, raw: bytes, start: int, end: int, head_bytes: int | None, answer: Answer
    ) -> bool:
        servable = self._acquire(model)
        if servable is None:
            return False
        try:
            found = self._infer.read(servable, raw, start, end, head_bytes)
        except Exception:  # also an unknown one: the ordinary path answers with the error
            found = None
        if found is None or not self._predictor.is_inline(servable, found.batch.rows):
            self._slots.release(servable)
            return False
        rows = found.batch.rows
        done = self._done(servable, rows, found.write, answer, f"/v2/models/{model}/infer")
        self._submit(
            Call(servable, rows, done, batch=found.batch, event_time=found.event_time, key=found.key)
        )
        return True

    def _submit_predict_alone(self, raw: bytes, start: int, end: int, answer: Answer) -> bool:
        """The rows are checked with those of other requests."""
        found = self._predict.read(raw, start, end)
        if found is None:
            return False
        servable = found.servable
        if not self._predictor.is_inline(servable, found.rows):
            self._slots.release(servable)
            return False

        def write(prediction: Prediction) -> Reply:
            return Reply(write_predictions(servable, prediction))

        call = Call(
            servable,
            found.rows,
            self._done(servable, found.rows, write, answer, "/predict"),
            documents=found.documents,
            check=found.check,
            event_time=found.event_time,
            key=found.key,
        )
        self._submit(call)
        return True

    def _forget(self, model: str) -> None:
        self._infer.forget(model)
        self._predict.forget(model)

    def _is_to_be_traced(self) -> bool:
        return self._tracing is not None and self._tracing.takes_next()

    def _is_live(self, servable: Servable, model: str | None) -> bool:
        """Whether a request that names `model`, or none, means this version."""
        try:
            return self._slots.peek(model or self._slots.resolve(None)) is servable
        except HomeostatError:  # none is named, and there are several
            return False

    def _acquire(self, model: str | None) -> Servable | None:
        """The servable, if the ordinary path would answer on the loop and without a long wait."""
        try:
            servable = self._slots.acquire(model)
        except HomeostatError:
            return None
        if servable.model not in self._canaries and self._predictor.is_ready(servable):
            return servable
        self._slots.release(servable)
        return None

    def _submit(self, call: Call) -> None:
        self._metrics.in_flight += 1
        self._predictor.queue.submit(call)

    def _done(
        self, servable: Servable, rows: int, write: Write, answer: Answer, path: str
    ) -> Callable[[Prediction | None, Exception | None], None]:
        received = time.perf_counter()

        def done(prediction: Prediction | None, error: Exception | None) -> None:
            self._metrics.in_flight -= 1
            reply = None
            try:
                if prediction is not None:
                    reply = write(prediction)
                    self._groups.answered(servable, (rows,), (received,))
                elif isinstance(error, SpoolFull):
                    reply = self._groups.refused(servable, error, received, path)
            except Exception as problem:  # of ours; the ordinary path gives it an error_id
                _log.error("reply_failed", exc_info=problem)
            finally:
                self._slots.release(servable)
            answer(reply)

        return done
