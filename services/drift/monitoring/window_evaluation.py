"""Evaluates one window once: the verdict is stored before anyone is notified.

1. return the stored verdict, if there is one   2. read the rows and evaluate them   3. store the verdict   4. notify
"""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import datetime
from threading import RLock

from services.drift.evaluation.classify import Subject, classify
from services.drift.evaluation.evaluator import Evaluator
from services.drift.metrics import DriftMetrics
from services.drift.monitoring.lake_reader import LakeReader
from services.drift.monitoring.references import References
from services.drift.verdicts.store import VerdictStore
from shared.contracts.verdict import SCHEDULED, Verdict
from shared.errors import Conflict, NotFound
from shared.observability.logs import get_logger

_log = get_logger(__name__)


@dataclass
class WindowEvaluation:
    """Evaluates windows of any model, one at a time. `now`: system clock. `notify_publisher` is called after a verdict is stored,
    `on_evaluation` with each new stored verdict that was not requested."""

    references: References
    lake_reader: LakeReader
    evaluator: Evaluator
    verdicts: VerdictStore
    metrics: DriftMetrics
    now: Callable[[], datetime]
    notify_publisher: Callable[[], None] = lambda: None
    on_evaluation: Callable[[Verdict], None] = lambda _: None
    lock: RLock = field(default_factory=RLock)

    def evaluate(self, subject: Subject) -> tuple[Verdict, bool]:
        """The verdict on a window, and whether it is new. Raises Conflict, see `Monitor.evaluate_now`."""
        with self.lock:
            existing = self._existing(subject)
            if existing is not None:
                # Stored before a crash, or the same window in another generation: one cause, one verdict.
                return existing, False
            started = time.perf_counter()
            reference = self.references.get(subject.model, subject.version)
            rows = self.lake_reader.rows(subject.model, reference.loop, subject.span, subject.generation)
            verdict = classify(subject, self.evaluator.evaluate(subject, rows, reference), self.now())
            self.verdicts.put(verdict)
            self.metrics.evaluation_seconds.labels(subject.model).observe(time.perf_counter() - started)
        self.metrics.reached(verdict)
        self.notify_publisher()
        _log.info(
            "verdict_reached",
            model=verdict.model,
            version=verdict.version[:12],
            window=verdict.window_end.isoformat(),
            cause_id=verdict.verdict_id,
            state=verdict.state,
            detector=verdict.detector,
            rows=verdict.rows,
            outcomes=verdict.outcomes,
        )
        if verdict.detector in SCHEDULED:
            self.on_evaluation(verdict)
        return verdict, True

    def _existing(self, subject: Subject) -> Verdict | None:
        try:
            existing = self.verdicts.get(subject.verdict_id)
        except NotFound:
            return None
        if subject.detector == "request" and existing.window_start != subject.span.start:
            raise Conflict(
                f"the window that ends at {subject.span.end.isoformat()} is already evaluated, "
                f"from {existing.window_start.isoformat()}",
                hint=f"read verdict {existing.verdict_id}, or choose another end",
            )
        return existing
