"""Evaluates one window once for each detector: the verdict is stored before anyone is notified.

1. return the stored verdict, if there is one   2. read the rows and evaluate them   3. store the verdict   4. notify

A review evaluates a stored verdict on performance again, and stores a higher revision in step 3 only if the conclusion changed.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import UTC, datetime
from threading import RLock

from services.drift.evaluation.classify import Subject, classify, is_changed
from services.drift.evaluation.columns import Rows
from services.drift.evaluation.evaluator import Evaluator
from services.drift.evaluation.reference_profile import Reference
from services.drift.metrics import DriftMetrics
from services.drift.monitoring.inferred_faults import REPAIRABLE, InferredFaults
from services.drift.monitoring.lake_reader import LakeReader, Read
from services.drift.monitoring.outcome_faults import OutcomeFaults
from services.drift.monitoring.references import References
from services.drift.outcome_readiness import open_until
from services.drift.slice_search.explained import with_found_slices
from services.drift.verdicts.positions import OutcomesRead
from services.drift.verdicts.store import VerdictStore
from services.drift.verdicts.stream_evidence import faults_of
from services.drift.windows import Span
from shared.contracts.verdict import Verdict
from shared.errors import Conflict, NotFound, OperatorError
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

    def __post_init__(self) -> None:
        self._faults = OutcomeFaults(self.metrics.outcome_faults, self.metrics.senders.add)

    @contextmanager
    def within(self, seconds: float) -> Iterator[None]:
        """Hold the lock in the block. Raises OperatorError if other windows are evaluated for longer than so many seconds."""
        if not self.lock.acquire(timeout=seconds):
            raise OperatorError("other windows are being evaluated", hint="retry after some seconds")
        try:
            yield
        finally:
            self.lock.release()

    def evaluate(self, subject: Subject, inputs: Verdict | None = None) -> tuple[Verdict, bool]:
        """The verdict on a window, and whether it is new. Raises Conflict, see `Monitor.evaluate_now`.

        `inputs`: the verdict on the inputs of the window, for one on its performance.
        """
        with self.lock:
            existing = self.stored(subject)
            if existing is not None:
                # Stored before a crash, or the same window in another generation: one cause, one verdict.
                return existing, False
            verdict, outcomes = self._judge(subject, inputs, again=False)
            self.verdicts.put(verdict, outcomes)
        self.announce(verdict)
        return verdict, True

    def review(self, verdict: Verdict) -> Verdict | None:
        """Evaluate a stored verdict on performance again; the higher revision, None if the conclusion is the same."""
        subject = Subject(
            verdict.model,
            verdict.version,
            verdict.generation,
            "performance",
            Span(verdict.window_start, verdict.window_end),
        )
        with self.lock:
            again, outcomes = self._judge(subject, self._inputs_of(subject), again=True)
            assert outcomes is not None
            if not is_changed(verdict, again):
                self.verdicts.set_outcomes_version(verdict.verdict_id, outcomes.version)
                return None
            revised = again.model_copy(update={"revision": verdict.revision + 1})
            self.verdicts.revise(revised, outcomes.version)
        self.metrics.revised(revised)
        self.announce(revised)
        return revised

    def _judge(
        self, subject: Subject, inputs: Verdict | None, *, again: bool
    ) -> tuple[Verdict, OutcomesRead | None]:
        """The verdict, and what it knows of outcomes where later ones may change it."""
        started = time.perf_counter()
        reference = self.references.get(subject.model, subject.version)
        performance = reference.loop.performance if subject.detector == "performance" else None
        outcomes = None
        if performance is not None:
            # Read before the rows: what arrives between the two is counted as late.
            version = self.lake_reader.outcomes_version(subject.model)
            outcomes = OutcomesRead(version, open_until(subject.span, performance.outcome.delay))
        read: Read = (
            "all"
            if subject.reads_inputs and subject.reads_outcomes
            else "inputs"
            if subject.reads_inputs
            else "performance"
        )
        rows = self.lake_reader.rows(
            subject.model, reference.loop, subject.span, subject.generation, read, reference.slices
        )
        if subject.detector == "performance":
            self._faults.seen(subject.model, subject.verdict_id, rows, again=again)
        if subject.reads_inputs:
            inputs = self._known_fault(subject, rows, reference)
        verdict = classify(subject, self.evaluator.evaluate(subject, rows, reference), self.now(), inputs)
        verdict = self._with_found_slices(verdict, subject, rows, reference)
        self.metrics.evaluation_seconds.labels(subject.model).observe(time.perf_counter() - started)
        return verdict, outcomes

    def _with_found_slices(
        self, verdict: Verdict, subject: Subject, rows: Rows, reference: Reference
    ) -> Verdict:
        """Of drift, with the part of the rows that it comes from. The rows of performance are read again, with features."""
        if verdict.state != "drift":
            return verdict
        if not subject.reads_inputs:
            rows = self.lake_reader.rows(
                subject.model, reference.loop, subject.span, subject.generation, "all"
            )
        return with_found_slices(verdict, rows, reference)

    def _known_fault(self, subject: Subject, rows: Rows, reference: Reference) -> Verdict | None:
        """The verdict of an alarm that has found faulty data in these rows, which a window's own checks do not recognise.

        After an alarm its columns are not watched for a window: then the rows themselves say whether the fault lasts.
        """
        span, faults = subject.span, InferredFaults(self.evaluator)
        # Rows may be dated to the year 1.
        since = span.start - min(span.length, span.start - datetime.min.replace(tzinfo=UTC))
        for alarm in self.verdicts.stream_verdicts(subject.model, subject.generation, since):
            if alarm.window_start >= span.end or not set(faults_of(alarm)) & set(REPAIRABLE):
                continue
            if alarm.window_end > span.start or faults.lasts(alarm, subject, rows, reference):
                return alarm
        return None

    def announce(self, verdict: Verdict) -> None:
        """Show and publish a stored verdict."""
        self.metrics.reached(verdict)
        self.notify_publisher()
        _log.info(
            "verdict_reached",
            model=verdict.model,
            version=verdict.version[:12],
            window=verdict.window_end.isoformat(),
            cause_id=verdict.verdict_id,
            revision=verdict.revision,
            state=verdict.state,
            detector=verdict.detector,
            rows=verdict.rows,
            outcomes=verdict.outcomes,
        )
        if verdict.detector != "request":
            self.on_evaluation(verdict)

    def _inputs_of(self, subject: Subject) -> Verdict | None:
        try:
            return self.verdicts.get(subject.for_detector("inputs").verdict_id)
        except NotFound:
            return None

    def stored(self, subject: Subject) -> Verdict | None:
        """The verdict on a subject that was evaluated before. Raises Conflict, see `Monitor.evaluate_now`."""
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
