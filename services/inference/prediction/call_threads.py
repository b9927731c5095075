"""The threads that call the models of one device: a thread that becomes free takes what waits for one servable as its next batch.

1. a call waits in the queue of its servable   2. a free thread takes calls of one servable, if it `batches` as many as fit into a
batch; it is then the turn of the other servables   3. runs them as one call   4. gives each its rows of the output, on the loop

The threads do not wait for the event loop between two batches: a device would idle while the loop reads requests.
A canary is on trial and may hang: where there are several threads, one is left to the others.
"""

from __future__ import annotations

import asyncio
import threading
import time
from collections import deque
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from services.inference.models.input_schema import Batch
from services.inference.models.servable import Servable
from services.inference.prediction.call import Call

Array = npt.NDArray[Any]


@dataclass(frozen=True)
class Finished:
    """A model call that ended: the requests in it, and the output or the error of each; times of `time.perf_counter`."""

    calls: list[Call]
    results: list[Array | Exception]
    began: float
    ended: float


class CallThreads:
    """The threads of one device. `submit`, `discard` and `finished` belong to the event loop."""

    def __init__(
        self,
        name: str,
        *,
        threads: int,
        maximum_rows: int,
        delay_seconds: float,
        finished: Callable[[Finished], None],
    ) -> None:
        """`maximum_rows`: of a batch; `delay_seconds`: how long the first call of a batch waits for others at most."""
        self._name = name
        self._number = threads
        self._maximum_rows = maximum_rows
        self._delay_seconds = delay_seconds
        self._finished = finished
        self._changed = threading.Condition()
        self._waiting: dict[Servable, deque[Call]] = {}
        self._canary_calls = 0  # in progress
        self._threads: list[threading.Thread] = []
        self._loop: asyncio.AbstractEventLoop | None = None
        self._is_closing = False

    def submit(self, call: Call) -> None:
        """Let the next free thread make the call; `finished` gets it on the running loop."""
        with self._changed:
            self._loop = asyncio.get_running_loop()
            self._waiting.setdefault(call.servable, deque()).append(call)
            if len(self._threads) < self._number:
                thread = threading.Thread(
                    target=self._run, name=f"model-call-{self._name}-{len(self._threads)}", daemon=True
                )
                self._threads.append(thread)
                thread.start()
            self._changed.notify()

    def discard(self, call: Call) -> None:
        """Forget a call that nobody waits for any more, if no thread has taken it."""
        with self._changed:
            waiting = self._waiting.get(call.servable)
            if waiting is not None and call in waiting:
                waiting.remove(call)
                if not waiting:
                    del self._waiting[call.servable]

    def waiting(self) -> int:
        """Calls that no thread has taken."""
        with self._changed:
            return sum(len(calls) for calls in self._waiting.values())

    def expected_seconds(self, servable: Servable) -> float:
        """Expected time until those are made that are before a new call of this servable; a canary's hold up no other."""
        counts_all = _is_canary(servable)
        with self._changed:
            calls = [
                call
                for one, waiting in self._waiting.items()
                if counts_all or not _is_canary(one)
                for call in waiting
            ]
        return sum(call.servable.share(call.rows) for call in calls) / self._number

    def close(self, seconds: float) -> int:
        """Make the calls that wait, then end the threads, for at most so many seconds; the threads that have not ended."""
        with self._changed:
            self._is_closing = True
            self._changed.notify_all()
        until = time.monotonic() + seconds
        for thread in self._threads:
            thread.join(max(0.0, until - time.monotonic()))
        return sum(thread.is_alive() for thread in self._threads)

    def _run(self) -> None:
        while (taken := self._take()) is not None:
            calls, loop = taken
            began = time.perf_counter()
            finished = Finished(calls, _results(calls), began, time.perf_counter())
            if _is_canary(calls[0].servable):
                with self._changed:
                    self._canary_calls -= 1
                    self._changed.notify()
            try:
                loop.call_soon_threadsafe(self._finished, finished)
            except RuntimeError:  # the loop was closed: nobody waits
                return

    def _take(self) -> tuple[list[Call], asyncio.AbstractEventLoop] | None:
        """The next batch, once there is one; None to end."""
        with self._changed:
            while True:
                servable = self._next()
                if servable is not None and self._loop is not None:
                    pause = self._pause(servable)
                    if pause <= 0:
                        return self._pop(servable), self._loop
                    self._changed.wait(pause)
                elif self._is_closing:
                    return None
                else:
                    self._changed.wait()

    def _next(self) -> Servable | None:
        """The servable whose turn it is."""
        room = self._canary_calls < max(1, self._number - 1)
        return next((one for one in self._waiting if room or not _is_canary(one)), None)

    def _pause(self, servable: Servable) -> float:
        """Seconds that its next batch still waits for more calls."""
        calls = self._waiting[servable]
        if not self._delay_seconds or not servable.batches or self._is_closing:
            return 0.0
        if sum(call.rows for call in calls) >= self._maximum_rows:
            return 0.0
        return calls[0].requested + self._delay_seconds - time.perf_counter()

    def _pop(self, servable: Servable) -> list[Call]:
        waiting = self._waiting[servable]
        calls = [waiting.popleft()]
        if _is_canary(servable):
            self._canary_calls += 1
        rows = calls[0].rows
        # After a call that hung, each is made alone: one that hangs again has no others with it.
        together = servable.batches and not servable.was_stopped
        while together and waiting and rows + waiting[0].rows <= self._maximum_rows:
            rows += waiting[0].rows
            calls.append(waiting.popleft())
        del self._waiting[servable]
        if waiting:  # behind the other servables
            self._waiting[servable] = waiting
            self._changed.notify()
        return calls


def _is_canary(servable: Servable) -> bool:
    return servable.release.slot == "canary"


def _results(calls: list[Call]) -> list[Array | Exception]:
    """The output of each call; if the batch fails, each is made alone, so that one cannot fail another."""
    servable, batch = calls[0].servable, _together(calls)
    clock = servable.estimate.began(batch.rows)
    try:
        output = servable.run(batch)
        if clock is not None:
            servable.estimate.ended(batch.rows, clock)
    except Exception as error:
        if len(calls) == 1:
            return [error]
        return [_results([call])[0] for call in calls]
    results: list[Array | Exception] = []
    start = 0
    for call in calls:
        results.append(output[start : start + call.rows])
        start += call.rows
    return results


def _together(calls: list[Call]) -> Batch:
    """The rows of all calls, without the columns for the log: each call has its own."""
    batches = [call.batch for call in calls if call.batch is not None]
    if len(batches) == 1:
        return batches[0]
    feeds = {name: np.concatenate([one.feeds[name] for one in batches]) for name in batches[0].feeds}
    return Batch(sum(one.rows for one in batches), feeds, {})
