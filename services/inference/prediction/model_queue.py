"""Calls made on the event loop: what arrived in one iteration is checked, answered and written to the spool together.

1. run the models of the calls that wait, those of a servable that `batches` as one call, for at most SLICE_SECONDS
2. make ids   3. append everything to the spool, in one write   4. hand out the answers, only now: none precedes its record
5. if calls are left, let the loop serve other connections first

There is no window: a call never waits for others to come.
"""

from __future__ import annotations

import asyncio
import time
from collections import deque
from collections.abc import Callable
from datetime import UTC, datetime
from itertools import chain
from typing import Any

import numpy as np
import numpy.typing as npt

from services.inference.metrics import InferenceMetrics
from services.inference.models.input_schema import Batch
from services.inference.models.servable import Servable
from services.inference.prediction.call import Call, Check, Prediction
from services.inference.prediction.call_group import MAX_RECORD_BYTES, CallGroup, merged
from services.inference.prediction.full_spool import SpoolFull, calls_without_record
from services.inference.prediction.loop_watchdog import LoopWatchdog
from services.inference.prediction.recorder import Answered, Recorder
from services.inference.runtimes.stopped_call import CallStopped
from shared.contracts.prediction_id import PredictionIds

# Longest work before the loop looks at its other connections, such as that of a liveness probe.
SLICE_SECONDS = 0.005
# Rows and bytes that are put together to one array and one record.
_MAX_ROWS = 1024
_MAX_BYTES = 256 << 10
# Bytes that are put together for the record only: with more, copies cost more than they save.
_MAX_COPIED_BYTES = 64 << 10

Array = npt.NDArray[Any]
_Key = tuple[Servable, Check | None, bool]


class ModelQueue:
    """The calls that wait for this iteration of the loop, in the order they came per servable."""

    def __init__(
        self, recorder: Recorder, ids: PredictionIds, metrics: InferenceMetrics, watchdog: LoopWatchdog
    ) -> None:
        self._recorder = recorder
        self._ids = ids
        self._metrics = metrics
        self._watchdog = watchdog
        self._waiting: dict[_Key, deque[Call]] = {}
        self._scheduled = False
        self._expected = 0.0
        self._scored = (0.0, 0.0)
        self._traced = 0
        self.waiting = 0
        self._timings: dict[Servable, list[tuple[float, float]]] = {}
        self._before: Callable[[], None] = lambda: None
        self._flushed: Callable[[], None] = lambda: None
        self._handed_out: Callable[[list[CallGroup]], None] = lambda groups: None

    def schedule(self) -> None:
        """Look at what waits in the next iteration of the running loop."""
        if not self._scheduled:
            self._scheduled = True
            asyncio.get_running_loop().call_soon(self._flush)

    def submit(self, call: Call) -> None:
        """Answer the call in the next iteration of the running loop."""
        key = (call.servable, call.check, call.output is not None)
        waiting = self._waiting.get(key)
        if waiting is None:
            waiting = self._waiting[key] = deque()
        waiting.append(call)
        self.waiting += 1
        if call.trace is not None:
            self._traced += 1
        if call.output is None:
            share = call.servable.share
            call.expected = sum(map(share, call.sizes)) if call.sizes else share(call.rows)
            self._expected += call.expected
        self.schedule()

    def expected_seconds(self) -> float:
        """Expected time until the calls that wait are answered."""
        return self._expected

    def before_flush(self, submit: Callable[[], None]) -> None:
        """Set what is called first in each iteration: it may submit calls."""
        self._before = submit

    def on_flushed(self, flushed: Callable[[], None]) -> None:
        """Set what is called after the answers of an iteration were handed out."""
        self._flushed = flushed

    def on_handed_out(self, copy: Callable[[list[CallGroup]], None]) -> None:
        """Set what receives the calls of an iteration after their answers were handed out; it must not wait."""
        self._handed_out = copy

    def _flush(self) -> None:
        end = time.perf_counter() + SLICE_SECONDS
        self._before()
        groups: list[CallGroup] = []
        while self._waiting and (not groups or time.perf_counter() < end):
            calls = self._take()
            if calls[0].is_withdrawn is not None:
                calls = [call for call in calls if call.is_withdrawn is None or not call.is_withdrawn()]
            if calls:
                self._answer(calls, groups)
        # Before answers are handed out: a receiver may submit the next call.
        self._scheduled = bool(self._waiting)
        if self._scheduled:
            asyncio.get_running_loop().call_soon(self._flush)
        else:
            self._expected = 0.0
        if groups:
            self._hand_out(merged(groups))
        for servable, timings in self._timings.items():
            self._metrics.called_together(servable, timings)
        self._timings = {}
        self._flushed()

    def _take(self) -> list[Call]:
        """The next calls of one servable, as many as fit into a slice; then it is the others' turn."""
        key, waiting = next(iter(self._waiting.items()))
        calls = [waiting.popleft()]
        max_rows = max_rows_together(key[0], apart=_stay_apart(calls[0]))
        rows, seconds = calls[0].rows, calls[0].expected
        while waiting:
            following = waiting[0]
            if rows + following.rows > max_rows or seconds + following.expected > SLICE_SECONDS:
                break
            rows += following.rows
            seconds += following.expected
            calls.append(waiting.popleft())
        self.waiting -= len(calls)
        del self._waiting[key]
        if waiting:
            self._waiting[key] = waiting
        self._expected = max(0.0, self._expected - seconds)
        return calls

    def _answer(self, calls: list[Call], groups: list[CallGroup]) -> None:
        """Check and run; if that fails for several calls, for each alone, so that one cannot fail another."""
        try:
            batches = _batches(calls)
            self._scored = (0.0, 0.0)
            output = self._run(calls, batches)
            group = CallGroup.of(calls, batches, output)
            group.scored = self._scored
            groups.append(group)
        except CallStopped as error:  # alone, each would be stopped again
            for call in calls:
                call.done(None, error)
        except Exception as error:
            if len(calls) == 1:
                calls[0].done(None, error)
                return
            for call in calls:
                self._answer([call], groups)

    def _run(self, calls: list[Call], batches: list[Batch]) -> Array:
        servable = calls[0].servable
        if calls[0].output is not None:
            outputs = [call.output for call in calls if call.output is not None]
            return outputs[0] if len(outputs) == 1 else np.concatenate(outputs)
        if servable.batches or (len(calls) == 1 and len(calls[0].sizes) <= 1):
            return self._timed(servable, batches[0], calls[0].requested)
        outputs, start = [], 0
        for call in calls:
            whole = call.batch or (None if call.batches else batches[0].part(start, start + call.rows))
            for part in call.batches if whole is None else call.parts(whole):
                outputs.append(self._timed(servable, part, call.requested))
            start += call.rows
        return outputs[0] if len(outputs) == 1 else np.concatenate(outputs)

    def _timed(self, servable: Servable, batch: Batch, requested: float) -> Array:
        clock = servable.estimate.began(batch.rows)
        began = time.perf_counter()
        self._watchdog.began(servable)
        try:
            output = servable.run(batch)
            if clock is not None:
                servable.estimate.ended(batch.rows, clock)
            return output
        finally:
            self._watchdog.ended()
            ended = time.perf_counter()
            self._scored = (self._scored[0] or began, ended)
            self._timings.setdefault(servable, []).append((began - requested, ended - began))

    def _hand_out(self, groups: list[CallGroup]) -> None:
        answers: list[tuple[Call, Prediction]] = []
        try:
            records: list[Answered] = []
            callers: list[list[Call]] = []  # of each record
            now = datetime.now(UTC)
            for group in groups:
                ids = group.take_ids(self._ids)
                answers += group.predictions(ids)
                made = group.records(ids, now)
                records += made
                callers += [group.calls] if len(made) == 1 else [[call] for call in group.calls]
            began = time.perf_counter()
            kept = self._recorder.predictions(records, answered_at=now)
            if self._traced:
                self._note(groups, (began, time.perf_counter()))
        except Exception as error:  # never before a record: no answer is handed out
            for group in groups:
                for call in group.calls:
                    call.done(None, error)
            return
        refused = () if all(kept) or not self._recorder.refuses else calls_without_record(callers, kept)
        for call, prediction in answers:
            try:
                if call in refused:
                    call.done(None, SpoolFull())
                else:
                    call.done(prediction, None)
            except Exception as error:  # of one connection; the others get their answers
                asyncio.get_running_loop().call_exception_handler(
                    {"message": "a response could not be sent", "exception": error}
                )
        self._handed_out(groups)

    def _note(self, groups: list[CallGroup], appended: tuple[float, float]) -> None:
        """Record when the model ran for each traced request, alone or with others, and when the log was written."""
        for group in groups:
            for call in group.calls:
                if call.trace is not None:
                    own = (call.began, call.ended)
                    call.trace.called(own if call.output is not None else group.scored, appended, call.rows)
        self._traced = sum(call.trace is not None for calls in self._waiting.values() for call in calls)


def max_rows_together(servable: Servable, *, apart: bool) -> int:
    """Rows that are put together to one array; `apart`: to one record only."""
    max_bytes = MAX_RECORD_BYTES if apart else _MAX_BYTES
    return min(_MAX_ROWS, max_bytes // servable.schema.row_bytes)


def _stay_apart(call: Call) -> bool:
    """Whether the rows of such calls are not put together where that copies much: the model is called for each alone."""
    return call.is_checked and not call.servable.batches and call.servable.schema.has_tensors


def _batches(calls: list[Call]) -> list[Batch]:
    """The rows of all calls, checked, in one batch or one per call. Raises InvalidRequest if those of some call are invalid."""
    rows = sum(call.rows for call in calls)
    if _stay_apart(calls[0]) and rows * calls[0].servable.schema.row_bytes > _MAX_COPIED_BYTES:
        return [batch for call in calls for batch in call.checked()]
    return [_check(calls)]


def _check(calls: list[Call]) -> Batch:
    """The rows of all calls, checked. Raises InvalidRequest if those of some call are invalid."""
    schema = calls[0].servable.schema
    if calls[0].is_checked:
        return Batch.concatenate([batch for call in calls for batch in call.checked()])
    if len(calls) == 1 or schema.has_tensors:
        # numpy reads a list of numbers as a whole: whether one fits can depend on its neighbours.
        return Batch.concatenate([_checked(call.documents or [], call.check) for call in calls])
    return _checked(list(chain.from_iterable(call.documents or () for call in calls)), calls[0].check)


def _checked(rows: list[Any], check: Check | None) -> Batch:
    assert check is not None
    return check(rows)
