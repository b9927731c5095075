"""The thread that sees to it that every run at work is driven, as long as this process holds the lease."""

from __future__ import annotations

from collections.abc import Callable
from threading import Event, Thread

from services.retraining.ledger.ledger import Ledger
from services.retraining.metrics import RetrainingMetrics
from services.retraining.runs.durable_runs import DurableRuns
from services.retraining.runs.leader_lease import Lease
from shared.errors import HomeostatError
from shared.observability.logs import get_logger, log_unknown_error

_log = get_logger(__name__)


class Driver:
    """Holds the lease if it can, starts the durable runs once it does, and hands them every run at work."""

    def __init__(
        self,
        ledger: Ledger,
        lease: Lease,
        runs: DurableRuns,
        metrics: RetrainingMetrics,
        *,
        stop: Event,
        poll_seconds: float,
        lost: Callable[[], None],
    ) -> None:
        """`lost` is called when a lease that was held is gone: the process must end, for another one drives now."""
        self._ledger = ledger
        self._lease = lease
        self._runs = runs
        self._metrics = metrics
        self._stop = stop
        self._poll_seconds = poll_seconds
        self._lost = lost
        self._nudge = Event()
        self._thread = Thread(target=self._work, name="driver", daemon=True)
        self.leading = False

    def start(self) -> None:
        """Begin."""
        self._thread.start()

    def nudge(self) -> None:
        """There is a new run: look now."""
        self._nudge.set()

    def stop(self) -> None:
        """End the thread and let go of the lease; `stop` must be set."""
        self._nudge.set()
        self._thread.join(timeout=10)
        if self.leading:
            self._runs.close()
        self._lease.release()

    def holder(self) -> str:
        """Who drives."""
        return "this process" if self.leading else self._lease.holder()

    def _work(self) -> None:
        while not self._stop.is_set():
            try:
                self._look()
            except HomeostatError as error:
                _log.warning("scheduler_retrying", problem=str(error))
            except Exception as error:
                log_unknown_error(_log, error)
            self._nudge.wait(self._poll_seconds)
            self._nudge.clear()

    def _look(self) -> None:
        held = self._lease.take()
        if self.leading and not held:
            _log.error(
                "lease_lost", hint="this process ends; its supervisor starts it again and it waits its turn"
            )
            self._lost()
            self._stop.set()
            return
        if held and not self.leading:
            self._runs.launch()
            self.leading = True
            _log.info("leading")
        self._metrics.leader.set(int(self.leading))
        if self.leading:
            for run_id in self._ledger.working_runs():
                self._runs.ensure(run_id)
