"""Examines pending suspicions in a thread of its own: the lake and Evidently take seconds, which the stream must not wait for.

A verdict is stored before the suspicion is removed. After a crash in between it is examined again and keeps its first verdict.
"""

from __future__ import annotations

import time
from collections.abc import Callable
from threading import Event

from services.drift.metrics import DriftMetrics
from services.drift.sharing.ownership import Ownership, OwnsAll
from services.drift.stream_monitor.confirmation import Confirmation
from services.drift.stream_monitor.metrics import StreamMetrics
from services.drift.stream_monitor.pending import PendingSuspicions
from services.drift.stream_monitor.suspicion import Suspicion
from services.drift.verdicts.store import VerdictStore
from shared.contracts.verdict import Verdict
from shared.errors import HomeostatError
from shared.observability.logs import get_logger, log_unknown_error

_log = get_logger(__name__)
# Between two looks at the lake for a suspicion: doubled after each, as rows come within a second or two, or not for long.
RETRY_SECONDS = 0.5
LONGEST_RETRY_SECONDS = 30.0
# Attempts that may fail with an unknown error, which time does not cure.
ATTEMPTS = 5


class Examiner:
    """Concludes suspicions. `notify_publisher` is called after a verdict is stored, `on_verdict` with each new stored verdict."""

    def __init__(
        self,
        pending: PendingSuspicions,
        confirmation: Confirmation,
        verdicts: VerdictStore,
        drift_metrics: DriftMetrics,
        metrics: StreamMetrics,
        *,
        notify_publisher: Callable[[], None] = lambda: None,
        on_verdict: Callable[[Verdict], None] = lambda _: None,
        clock: Callable[[], float] = time.monotonic,
        ownership: Ownership | None = None,
    ) -> None:
        self._pending = pending
        self._confirmation = confirmation
        self._verdicts = verdicts
        self._drift_metrics = drift_metrics
        self._metrics = metrics
        self._notify_publisher = notify_publisher
        self._on_verdict = on_verdict
        self._problem = ""
        self._clock = clock
        self._ownership = ownership or OwnsAll()
        self._failures: dict[str, int] = {}
        # Time of the next look, and the pause before it.
        self._waiting: dict[str, tuple[float, float]] = {}

    def run(self, stop: Event) -> None:
        """Examine until `stop` is set; sleeps while nothing is pending."""
        while not stop.is_set():
            self._pending.added.clear()
            if self.step():
                self._pending.added.wait(self._pause())
            else:
                self._pending.added.wait()

    def step(self) -> int:
        """Examine every pending suspicion whose pause is over once; how many are left."""
        for suspicion in self._pending.all():
            key = suspicion.subject.verdict_id
            due, pause = self._waiting.get(key, (self._clock(), RETRY_SECONDS))
            if self._clock() >= due:
                self._waiting[key] = (self._clock() + pause, min(2 * pause, LONGEST_RETRY_SECONDS))
                with self._ownership.using(suspicion.model) as owned:
                    if owned:  # else another process has it now, from this one's last snapshot
                        self._examine(suspicion)
        left = {suspicion.subject.verdict_id for suspicion in self._pending.all()}
        self._waiting = {key: when for key, when in self._waiting.items() if key in left}
        self._metrics.pending.set(len(left))
        return len(left)

    def _pause(self) -> float:
        """Seconds until the next suspicion is due."""
        return max(0.0, min((due for due, _ in self._waiting.values()), default=0.0) - self._clock())

    def _examine(self, suspicion: Suspicion) -> None:
        verdict_id = suspicion.subject.verdict_id
        try:
            found = self._confirmation.examine(suspicion)
            if found is None:
                return
            conclusion, verdict = found
            if verdict is not None:
                self._store(verdict)
            self._problem = ""
        except HomeostatError as error:
            if self._problem != str(error):
                self._problem = str(error)
                _log.warning(
                    "suspicion_waits", model=suspicion.model, cause_id=verdict_id, problem=self._problem
                )
            return
        except Exception as error:
            error_id = log_unknown_error(_log, error)
            failures = self._failures[verdict_id] = self._failures.get(verdict_id, 0) + 1
            if failures < ATTEMPTS:
                return
            _log.error("suspicion_given_up", model=suspicion.model, cause_id=verdict_id, error_id=error_id)
            conclusion = "withdrawn"
        self._failures.pop(verdict_id, None)
        self._pending.remove(suspicion)
        self._metrics.concluded(suspicion.model, conclusion)
        _log.info(
            "suspicion_concluded",
            model=suspicion.model,
            version=suspicion.version[:12],
            cause_id=verdict_id,
            conclusion=conclusion,
            state=suspicion.state,
            onset=suspicion.subject.span.start.isoformat(),
            detected_at=suspicion.subject.span.end.isoformat(),
            columns=[blame.column for alarm in suspicion.counting for blame in alarm.blamed][:20],
        )

    def _store(self, verdict: Verdict) -> None:
        if not self._verdicts.put(verdict):
            return
        self._drift_metrics.reached(verdict)
        self._notify_publisher()
        self._on_verdict(verdict)
