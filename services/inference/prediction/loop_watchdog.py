"""Stops a model call that keeps the event loop: nothing else is answered meanwhile, also not the signal to end.

Calls run on the loop because those before them were quick. One that does not end, such as a loop in the model that depends on its
input, is stopped, and made again on a thread, where a call that hangs holds up no other model and ends with the process.

A thread looks a few times a second whether the loop is still in the call of the last time. So a call costs two attributes, and
is stopped after one to two periods. A program of torch has no loops, and ends by itself; what holds Python's lock is not seen.
"""

from __future__ import annotations

import threading

from services.inference.models.servable import Servable
from shared.observability.logs import get_logger

_log = get_logger(__name__)
# A machine that does much else can delay a call of milliseconds; one that was stopped in error is only made again.
_LEAST_SECONDS = 0.25
_PERIODS = 50  # of the time up to which calls are expected to be quick


class LoopWatchdog:
    """Watches one thread, the event loop's, from `start` to `stop`."""

    def __init__(self, inline_seconds: float) -> None:
        """`inline_seconds`: the longest expected duration of a call on the loop."""
        self.period = max(_LEAST_SECONDS, _PERIODS * inline_seconds)
        # Of the call that the loop makes, if it makes one.
        self._servable: Servable | None = None
        self._call = 0
        self._ended = threading.Event()
        self._thread: threading.Thread | None = None

    def start(self) -> None:
        """Watch the thread that calls this."""
        self._thread = threading.Thread(
            target=self._run, args=(threading.get_ident(),), name="loop-watchdog", daemon=True
        )
        self._thread.start()

    def stop(self) -> None:
        """Watch no more."""
        self._ended.set()
        if self._thread is not None:
            self._thread.join()

    def began(self, servable: Servable) -> None:
        """The loop makes a call now."""
        self._call += 1
        self._servable = servable

    def ended(self) -> None:
        """It has returned."""
        self._servable = None

    def _run(self, watched: int) -> None:
        last = stopped = 0
        while not self._ended.wait(self.period):
            # In this order: a call that begins in between has another number next time.
            servable, call = self._servable, self._call
            if servable is not None and call == last != stopped:
                stopped = call
                _stop(servable, watched, self.period)
            last = call


def _stop(servable: Servable, thread: int, seconds: float) -> None:
    names = {"model": servable.model, "version": servable.version_short, "seconds": seconds}
    if servable.stop_call(thread):
        _log.warning(
            "model_call_stopped", **names, next="this and further calls of the version are made on threads"
        )
    else:
        _log.warning("model_call_blocks", **names, next="further calls of the version are made on threads")
