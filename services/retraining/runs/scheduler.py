"""Executes runs while this process holds the lease. The run's state in the ledger is the only progress record."""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from threading import Event, Lock, Thread

from services.retraining.launchers.training_places import TrainingPlaces
from services.retraining.ledger.ledger import Ledger
from services.retraining.metrics import RetrainingMetrics
from services.retraining.run_states import WORKING
from services.retraining.runs.leader_lease import Lease
from services.retraining.runs.step_starts import take_back
from shared.backoff import Backoff
from shared.errors import HomeostatError
from shared.models.training.training_process import Interrupted
from shared.observability.logs import get_logger, log_unknown_error

_BACKOFF = Backoff(first_s=1.0, max_s=30.0)
_STOP_SECONDS = 10.0
_log = get_logger(__name__)


class RunScheduler:
    """Polls the ledger and gives each working run that gets a place a thread, oldest run first.

    A thread calls `step` until the run's state needs no more steps. After a crash the next leader finds the run in the ledger and
    continues with the step for its state; steps keep finished work.
    """

    def __init__(
        self,
        ledger: Ledger,
        lease: Lease,
        step: Callable[[str], str],
        metrics: RetrainingMetrics,
        *,
        places: TrainingPlaces,
        stop: Event,
        poll_seconds: float,
        on_lease_lost: Callable[[], None],
    ) -> None:
        """`step(run_id)` executes one step and returns the run's state.

        `on_lease_lost` is called when the lease was lost: the process must end, because another one executes the runs now.
        """
        self._ledger = ledger
        self._lease = lease
        self._step = step
        self._metrics = metrics
        self._places = places
        self._stop = stop
        self._poll_seconds = poll_seconds
        self._on_lease_lost = on_lease_lost
        self._wake = Event()
        self._thread = Thread(target=self._work, name="scheduler", daemon=True)
        self._lock = Lock()
        self._active: dict[str, Thread] = {}
        self._memory: dict[str, int] = {}  # of each run that works or waits
        self._failures: dict[str, int] = {}
        self._not_before: dict[str, float] = {}
        self._led = False
        metrics.leader.set_function(lambda: float(self.leading))

    @property
    def leading(self) -> bool:
        """Whether this process is the leader now."""
        return self._lease.is_held()

    def start(self) -> None:
        """Start polling."""
        self._thread.start()

    def wake(self) -> None:
        """Poll now: there is a new run, or a thread is free."""
        self._wake.set()

    def stop(self) -> None:
        """Stop the threads and release the lease; the `stop` event must be set. Unfinished runs stay in the ledger."""
        deadline = time.monotonic() + _STOP_SECONDS
        self._wake.set()
        self._thread.join(timeout=_STOP_SECONDS)
        with self._lock:
            threads = list(self._active.values())
        for thread in threads:
            thread.join(timeout=max(0.0, deadline - time.monotonic()))
            if thread.is_alive():  # the process ends without it, which is no death of the service
                take_back(self._ledger, thread.name)
        self._lease.release()

    def holder(self) -> str:
        """Which process is the leader."""
        return "this process" if self.leading else self._lease.holder()

    def _work(self) -> None:
        while not self._stop.is_set():
            try:
                self._poll()
            except HomeostatError as error:
                _log.warning("scheduler_retrying", problem=str(error))
            except Exception as error:
                log_unknown_error(_log, error)
            self._wake.wait(self._pause())
            self._wake.clear()

    def _pause(self) -> float:
        """Until the next poll, or until a run that failed is due again."""
        now = time.monotonic()
        return min([self._poll_seconds, *(at - now for at in list(self._not_before.values()) if at > now)])

    def _poll(self) -> None:
        held = self._lease.take()
        if self._lease.lost:
            _log.error(
                "lease_lost", hint="this process ends; its supervisor restarts it and it waits for the lease"
            )
            self._on_lease_lost()
            self._stop.set()
            return
        if held != self._led:
            self._led = held
            _log.info("lease_acquired" if held else "lease_not_renewed")
        if held:
            self._begin(self._ledger.working_runs())

    def _begin(self, working: Sequence[str]) -> None:
        """Give places to runs that wait. One that failed has none while it pauses."""
        self._memory = {run_id: self._memory_of(run_id) for run_id in working}
        with self._lock:
            now = time.monotonic()
            waiting = [
                (run_id, self._memory[run_id])
                for run_id in working
                if run_id not in self._active and now >= self._not_before.get(run_id, 0.0)
            ]
            active = {run_id: self._memory.get(run_id, 0) for run_id in self._active}
            for run_id in [] if self._stop.is_set() else self._places.admit(waiting, active):
                self._active[run_id] = Thread(target=self._drive, args=(run_id,), name=run_id, daemon=True)
                self._active[run_id].start()

    def _memory_of(self, run_id: str) -> int:
        if run_id in self._memory:
            return self._memory[run_id]
        training = self._ledger.run(run_id).loop.training
        if training is not None and training.launcher != "process":
            return 0  # it takes memory of another machine
        return self._places.memory_of((training.memory_mib or 0) << 20 if training else 0)

    def _drive(self, run_id: str) -> None:
        try:
            while not self._stop.is_set() and self._step(run_id) in WORKING:
                self._failures.pop(run_id, None)
            self._failures.pop(run_id, None)
        except Interrupted:
            pass
        except (HomeostatError, OSError) as error:
            _log.warning("run_retrying", run_id=run_id, problem=str(error), pause=self._postpone(run_id))
        except Exception as error:
            log_unknown_error(_log, error)
            self._postpone(run_id)
        finally:
            with self._lock:
                del self._active[run_id]
            self._wake.set()

    def _postpone(self, run_id: str) -> float:
        """Increase the pause after each consecutive failure, so that a failing step is not retried in a tight loop."""
        self._failures[run_id] = self._failures.get(run_id, 0) + 1
        pause = _BACKOFF.pause(self._failures[run_id])
        self._not_before[run_id] = time.monotonic() + pause
        return pause
