"""Copies of answered requests for the shadows, answered by a thread off the requests' path. Nobody receives these answers, and
they are not logged: what is measured of them is in `SlotMetrics`.

1. once the answers of an iteration were handed out, those of a live version with a shadow are copied by reference
2. a copy beyond the bound of waiting rows or bytes is dropped and counted: a shadow holds nothing up
3. the thread works at most a fifth of the time, so that it takes little of the interpreter from the event loop
4. a call that does not end in time fails, and so do all copies for its shadow until it ends. A thread that is started for the
next copy answers those of the other shadows; at most one thread per shadow is in such a call
"""

from __future__ import annotations

import threading
import time
from collections import deque
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from services.inference.models.input_schema import Batch
from services.inference.models.servable import Servable
from services.inference.models.slot import Slots
from services.inference.prediction.call_group import CallGroup
from services.inference.rollout.canary import result_of
from services.inference.rollout.metrics import SlotMetrics
from services.inference.rollout.shadow_copies import Copy, batch_for, copies_of, goes_with
from shared.observability.logs import get_logger, log_unknown_error

_log = get_logger(__name__)

MAX_ROWS = 4096
MAX_BYTES = 32 << 20
MAX_SECONDS = 5.0
_CLOSE_SECONDS = 2.0
_PAUSE_SECONDS = 0.005
_REST = 4.0  # seconds of rest per second of work


@dataclass(eq=False)
class _Call:
    """In progress: its shadow, the requests in it, and until when it should end, by time.monotonic."""

    shadow: Servable
    requests: int
    until: float


class _GivenUp(BaseException):
    """A call ended after it was given up: another thread answers the copies by now."""


class Shadows:
    """The copies that wait, and the thread that answers them. `copy` belongs to the event loop."""

    def __init__(
        self,
        slots: Slots[Servable],
        metrics: SlotMetrics,
        *,
        maximum_rows: int = MAX_ROWS,
        maximum_bytes: int = MAX_BYTES,
        maximum_seconds: float = MAX_SECONDS,
    ) -> None:
        """`maximum_seconds`: how long a call may take at least; one that is measured as slow may take ten times as long."""
        self._sides = slots.sides
        self._metrics = metrics
        self._maximum_rows = maximum_rows
        self._maximum_bytes = maximum_bytes
        self._maximum_seconds = maximum_seconds
        self._waiting: deque[Copy] = deque()
        self._rows = 0
        self._bytes = 0
        self._changed = threading.Condition()
        self._stop = threading.Event()
        self._thread: threading.Thread | None = None
        self._call: _Call | None = None
        self._hanging: set[Servable] = set()
        metrics.watch_queue(lambda: self._rows)

    def copy(self, groups: Sequence[CallGroup]) -> None:
        """Let the shadows answer what was answered live, later and as far as there is room."""
        shadows = self._sides.shadows
        if not shadows:
            return
        for group in groups:
            shadow = shadows.get(group.servable.model)
            if shadow is not None and group.servable.release.slot == "live":
                try:
                    for one in copies_of(group, shadow):
                        self._add(one)
                except (
                    Exception
                ) as error:  # of ours: the requests are answered, and their metrics still to be counted
                    log_unknown_error(_log, error)

    def close(self) -> None:
        """End the thread, unless it is in a call that does not end; copies that wait are forgotten."""
        self._stop.set()
        with self._changed:
            self._changed.notify()
        if self._thread is not None:
            self._thread.join(timeout=_CLOSE_SECONDS)

    def answer_waiting(self) -> None:
        """Answer the copies that wait now, by as few calls as their shadows make of them."""
        with self._changed:
            left = len(self._waiting)
        while left > 0 and not self._stop.is_set():
            calls = self._take()
            if not calls:
                return
            left -= len(calls)
            self._answer(calls)

    def _add(self, one: Copy) -> None:
        with self._changed:
            self._give_up_late_call()
            if one.shadow in self._hanging:
                self._metrics.not_answered(one.shadow, "shadow", "failed", requests=one.requests)
                return
            if (
                self._rows + one.rows > self._maximum_rows
                or self._bytes + one.size > self._maximum_bytes
                or self._stop.is_set()
            ):
                self._metrics.not_answered(one.shadow, "shadow", "dropped", requests=one.requests)
                return
            self._waiting.append(one)
            self._rows += one.rows
            self._bytes += one.size
            self._wake()

    def _wake(self) -> None:
        if self._thread is None:
            self._thread = threading.Thread(target=self._run, name="shadow", daemon=True)
            self._thread.start()
        self._changed.notify()

    def _give_up_late_call(self) -> None:
        call = self._call
        if call is None or time.monotonic() <= call.until:
            return
        waiting = [one for one in self._waiting if one.shadow is call.shadow]
        if not call.shadow.retired:
            failed = call.requests + sum(one.requests for one in waiting)
            self._metrics.not_answered(call.shadow, "shadow", "failed", requests=failed)
        self._waiting = deque(one for one in self._waiting if one.shadow is not call.shadow)
        self._rows -= sum(one.rows for one in waiting)
        self._bytes -= sum(one.size for one in waiting)
        self._hanging.add(call.shadow)
        self._call = self._thread = None
        _log.warning("shadow_hangs", model=call.shadow.model, version=call.shadow.version_short)
        if self._waiting:
            self._wake()

    def _run(self) -> None:
        try:
            while not self._stop.is_set():
                with self._changed:
                    while not self._waiting and not self._stop.is_set():
                        self._changed.wait()
                began = time.perf_counter()
                self.answer_waiting()
                self._stop.wait(max(_PAUSE_SECONDS, _REST * (time.perf_counter() - began)))
        except _GivenUp:
            return

    def _take(self) -> list[Copy]:
        """The copies of the next call."""
        taken: list[Copy] = []
        with self._changed:
            while self._waiting and (not taken or goes_with(self._waiting[0], taken)):
                taken.append(self._waiting.popleft())
            self._rows -= sum(one.rows for one in taken)
            self._bytes -= sum(one.size for one in taken)
        return taken

    def _answer(self, copies: Sequence[Copy]) -> None:
        """One call for copies of one shadow; if that fails for several, each alone, so that one cannot fail another."""
        shadow = copies[0].shadow
        call = self._begin(copies)
        try:
            batch = Batch.concatenate(
                [batch_for(shadow, one.live, part) for one in copies for part in one.batches]
            )
            began = time.perf_counter()
            output = shadow.run(batch)
            seconds = time.perf_counter() - began
        except Exception as error:
            self._end(call)
            if len(copies) > 1:
                for one in copies:
                    self._answer([one])
            elif not shadow.retired:  # else it ended and was unloaded, which is no failure
                self._metrics.not_answered(shadow, "shadow", result_of(error), requests=copies[0].requests)
            return
        self._end(call)
        self._metrics.answered(shadow, "shadow", seconds, requests=sum(one.requests for one in copies))
        start = 0
        for one in copies:
            answered = output[start : start + one.rows]
            start += one.rows
            if answered.shape == one.output.shape:
                self._metrics.differed(shadow, float(np.abs(answered - one.output).max(initial=0.0)))

    def _begin(self, copies: Sequence[Copy]) -> _Call:
        shadow = copies[0].shadow
        seconds = max(self._maximum_seconds, 10 * shadow.seconds(sum(one.rows for one in copies)))
        call = _Call(shadow, sum(one.requests for one in copies), time.monotonic() + seconds)
        with self._changed:
            self._call = call
        return call

    def _end(self, call: _Call) -> None:
        """Raises _GivenUp if that was given up: then its copies are counted, and this thread has to end."""
        with self._changed:
            if self._call is call:
                self._call = None
                return
            self._hanging.discard(call.shadow)
        raise _GivenUp
