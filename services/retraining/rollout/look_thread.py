"""Looks again and again at models or runs while this process is the leader, at each by itself."""

from __future__ import annotations

import os
import time
from collections.abc import Callable, Iterable
from contextlib import suppress
from threading import Event, Lock, Thread, get_native_id

from shared.backoff import Backoff
from shared.errors import HomeostatError
from shared.models.training.training_process import Interrupted
from shared.observability.logs import get_logger, log_unknown_error

_log = get_logger(__name__)


class LookThread:
    """Looks at each name every `pause` seconds. Each look has a thread of its own, so that one that takes long delays no other.

    At most `at_once` looks are made at a time, of the names that wait longest. A look that fails is made again after a pause that
    grows up to `longest_pause`, so that a model that always fails takes no time from the others.
    """

    def __init__(
        self,
        name: str,
        look: Callable[[str], object],
        names: Callable[[], Iterable[str]],
        leads: Callable[[], bool],
        stop: Event,
        *,
        pause: float,
        longest_pause: float = 300.0,
        idle_pause: float = 0.0,
        at_once: int = 4,
        niceness: int = 10,
        monotonic: Callable[[], float] = time.monotonic,
    ) -> None:
        """`names`: what there is to look at. `leads`: whether this process is the leader. `idle_pause`: until it asks again, if
        there was nothing to look at."""
        self._name = name
        self._look = look
        self._names = names
        self._leads = leads
        self._stop = stop
        self._pause = pause
        self._idle_pause = max(pause, idle_pause)
        self._is_idle = False
        self._backoff = Backoff(first_s=pause, max_s=max(pause, longest_pause))
        self._at_once = at_once
        self._niceness = niceness
        self._monotonic = monotonic
        self._lock = Lock()
        self._active: set[str] = set()
        self._begun: dict[str, float] = {}
        self._failures: dict[str, int] = {}
        self._not_before: dict[str, float] = {}
        self._problems: dict[str, str] = {}
        self._thread = Thread(target=self._work, name=name, daemon=True)

    def start(self) -> None:
        """Start looking. The thread ends after `stop` was set; nobody joins it: a look that is lost is made again."""
        self._thread.start()

    def look_once(self) -> list[Thread]:
        """Begin a look at every name that is due, if this process is the leader; the threads of these looks."""
        if not self._leads():
            return []
        try:
            names = list(self._names())
        except HomeostatError as error:
            self._report("", str(error))
            return []
        self._is_idle = not names
        self._forget_others(names)
        found = (self._begin(name) for name in sorted(names, key=lambda one: self._begun.get(one, 0.0)))
        return [thread for thread in found if thread is not None]

    def _begin(self, name: str) -> Thread | None:
        now = self._monotonic()
        with self._lock:
            busy = name in self._active or len(self._active) >= self._at_once
            if busy or self._stop.is_set() or now < self._not_before.get(name, 0.0):
                return None
            self._active.add(name)
            self._begun[name] = now
        thread = Thread(target=self._try, args=(name,), name=f"{self._name} {name}", daemon=True)
        thread.start()
        return thread

    def _try(self, name: str) -> None:
        # The priority of this thread only: runs and decisions share the CPU.
        with suppress(OSError):
            os.setpriority(os.PRIO_PROCESS, get_native_id(), self._niceness)
        try:
            self._look(name)
        except Interrupted:
            pass
        except (HomeostatError, OSError) as error:
            self._report(name, str(error))
            self._postpone(name)
        except Exception as error:
            if self._problems.get(name) != type(error).__name__:
                log_unknown_error(_log, error)
            self._problems[name] = type(error).__name__
            self._postpone(name)
        else:
            for known in (self._problems, self._failures, self._not_before):
                known.pop(name, None)
        finally:
            with self._lock:
                self._active.discard(name)

    def _postpone(self, name: str) -> None:
        self._failures[name] = self._failures.get(name, 0) + 1
        self._not_before[name] = self._monotonic() + self._backoff.pause(self._failures[name])

    def _report(self, name: str, problem: str) -> None:
        if self._problems.get(name) != problem:
            _log.warning("look_retrying", look=self._name, at=name, problem=problem)
        self._problems[name] = problem

    def _forget_others(self, names: list[str]) -> None:
        for known in (self._begun, self._problems, self._failures, self._not_before):
            for gone in known.keys() - {*names, "", *self._active}:
                known.pop(gone, None)

    def _work(self) -> None:
        while not self._stop.wait(self._next_pause()):
            self.look_once()

    def _next_pause(self) -> float:
        return self._idle_pause if self._is_idle else self._pause
