"""The loop of the service: looks at the lake, judges each window that is judgeable, once.

The order for one window, which a crash may cut anywhere:

1. read the rows and judge them
2. store the verdict durably, unless it is there; then move the generation on to its next window
3. let the publisher know; it publishes what is stored and marks it afterwards

So a verdict is published at least once, always with the same id, and never changes.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Hashable
from dataclasses import dataclass, field, replace
from datetime import datetime
from threading import Event, Lock, RLock
from typing import Literal

from services.drift.evaluation.classify import Subject, conclude
from services.drift.evaluation.evaluator import Judge
from services.drift.metrics import DriftMetrics
from services.drift.monitoring.lake_reader import Evidence
from services.drift.monitoring.model_status import ModelStatus
from services.drift.monitoring.references import References
from services.drift.monitoring.schedule import Schedule
from services.drift.monitoring.watermark_history import Looks
from services.drift.verdicts.store import Generation, VerdictStore
from services.drift.windows import Span, Watermarks, judgeable_until, progress, until
from shared.contracts.verdict import Verdict
from shared.errors import Conflict, HomeostatError, NotFound
from shared.observability.logs import get_logger, log_unknown_error

_log = get_logger(__name__)

# Windows of one model judged before the others get their turn again.
WINDOWS_A_TURN = 4
# A version that cannot be fetched is tried again after this; each look costs a download.
RETRY_SECONDS = 5.0


@dataclass
class _Memory:
    """What the loop remembers of a model between looks; all of it can be found again after a restart."""

    status: ModelStatus
    revision: Hashable = None
    busy: bool = True
    generation_known: int = 0
    retry_at: float = 0.0
    looks: Looks = field(default_factory=Looks)


@dataclass
class Follower:
    """Judges windows as they become judgeable. `now` is the wall clock, `clock` one that never steps; `published` is called when
    there is news to publish, `examined` with each new verdict of an examination, after it is stored."""

    references: References
    evidence: Evidence
    judge: Judge
    verdicts: VerdictStore
    metrics: DriftMetrics
    now: Callable[[], datetime]
    published: Callable[[], None] = lambda: None
    examined: Callable[[Verdict], None] = lambda _: None
    clock: Callable[[], float] = time.monotonic
    poll_seconds: float = 0.5
    _memory: dict[str, _Memory] = field(default_factory=dict)
    _lock: Lock = field(default_factory=Lock)
    _examining: RLock = field(default_factory=RLock)

    def run(self, stop: Event) -> None:
        """Look until `stop` is set."""
        while not stop.is_set():
            if not self.step():
                stop.wait(self.poll_seconds)

    def step(self) -> int:
        """Look at every model once; returns how many windows were judged."""
        try:
            models = self.references.models()
        except HomeostatError as error:
            _log.warning("models_not_listed", error=str(error))
            return 0
        return sum(self._look(model) for model in models)

    def statuses(self) -> list[ModelStatus]:
        """The models' statuses, by name."""
        with self._lock:
            return [self._memory[model].status for model in sorted(self._memory)]

    def examine(
        self, model: str, start: datetime | None = None, end: datetime | None = None
    ) -> tuple[Verdict, bool]:
        """Judge a window now: the one given, or the last complete one. Returns the verdict, and whether it is new.

        Raises NotFound for a model without a release or rows, Conflict where the same window end was already examined on
        request with another start, InvalidRequest where there is no complete window yet.
        """
        if model not in self.references.models():
            raise NotFound(f"there is no model {model}", hint="GET /status lists the models")
        with self._examining:
            watermarks = self._note_generations(model)
            generations = self.verdicts.generations(model)
            if not generations or watermarks.predictions is None:
                raise NotFound(f"model {model} has not answered anything yet", hint="send predictions first")
            if start is not None and end is not None:
                span = Span(start, end)
            else:
                newest = generations[-1]
                window = self.references.get(model, newest.version).loop.drift.window
                span = Schedule(self.evidence, model, newest, window).last_complete(watermarks.predictions)
            serving = [seen for seen in generations if seen.first < span.end] or generations[:1]
            return self._judge(model, serving[-1], span, "request")

    # One look

    def _look(self, model: str) -> int:
        memory = self._remember(model)
        if time.monotonic() < memory.retry_at:
            return 0
        judged = 0
        try:
            # A release that cannot be fetched is not served either: what is served goes on being judged.
            trouble = self._follow_release(model, memory)
            judged = self._follow_lake(model, memory)
        except HomeostatError as error:
            trouble = str(error)
        except Exception as error:  # one model's trouble must not end the loop for the others
            trouble = f"unknown error; its id in the log is {log_unknown_error(_log, error)}"
        if trouble:
            self._note_trouble(model, memory, trouble)
        self._update(model, error=trouble)
        return judged

    def _note_trouble(self, model: str, memory: _Memory, trouble: str) -> None:
        if trouble != memory.status.error:
            _log.warning("model_not_examined", model=model, error=trouble)
        self.metrics.failures.labels(model).inc()
        memory.retry_at = time.monotonic() + RETRY_SECONDS
        memory.busy = True

    def _follow_release(self, model: str, memory: _Memory) -> str:
        """Fetch and verify a new release before its first window is full, so that trouble shows early; returns the trouble."""
        release = self.references.latest_release(model)
        if release is None or release.generation == memory.status.generation:
            return ""
        try:
            reference = self.references.get(model, release.version)
        except HomeostatError as error:
            return str(error)
        self._update(
            model,
            version=release.version,
            generation=release.generation,
            reference_loss_rows=reference.loss_rows,
        )
        return ""

    def _follow_lake(self, model: str, memory: _Memory) -> int:
        begun = self.now()  # rows that come while we look may make a window judgeable
        judged = self._judge_news(model, memory)
        if judged < WINDOWS_A_TURN:
            self.metrics.caught_up(model, begun)
        return judged

    def _judge_news(self, model: str, memory: _Memory) -> int:
        revision = self.evidence.revision(model)
        if revision == memory.revision and not memory.busy:
            return 0
        watermarks = self._note_generations(model)
        memory.looks.add(watermarks, self.clock())
        judged, following, waiting = self._judge_due(model, watermarks)
        memory.revision, memory.busy = revision, judged >= WINDOWS_A_TURN
        self.metrics.progress(model, watermarks)
        last = self.verdicts.last_examination(model)
        self._update(
            model,
            evaluated_until=last.window_end if last else None,
            next_window_end=following,
            next_window_ready_at=waiting,
            outcomes_watermark=watermarks.outcomes,
            **({} if memory.busy else {"watermark": watermarks.predictions}),
        )
        return judged

    def _note_generations(self, model: str) -> Watermarks:
        memory = self._remember(model)
        watermarks = until(self.evidence.watermarks(model), self.now())
        for seen in self.evidence.generations(model, memory.generation_known):
            if seen.first > self.now():
                break  # so far it has only rows from the future; the next look may find real ones
            self.verdicts.put_generation(model, seen)
            memory.generation_known = max(memory.generation_known, seen.generation)
        return watermarks

    def _judge_due(self, model: str, watermarks: Watermarks) -> tuple[int, datetime | None, datetime | None]:
        """Judge what is due; also returns the end of the next window and the event time from which it can be judged."""
        memory = self._remember(model)
        judged = 0
        following: datetime | None = None
        waiting: datetime | None = None
        generations = self.verdicts.generations(model)
        for place, seen in enumerate(generations):
            replaced = generations[place + 1].first if place + 1 < len(generations) else None
            if replaced is not None and seen.evaluated_until >= replaced:
                continue
            reference = self.references.get(model, seen.version)
            schedule = Schedule(self.evidence, model, seen, reference.loop.drift.window)
            start = seen.evaluated_until
            delay = reference.loop.outcome.delay
            # After a restart, too, the verdict before tells whether its gap was told of already.
            last = self.verdicts.last_of_generation(model, seen.generation) if start > seen.first else None
            in_gap = last is not None and last.rows == 0
            while judged < WINDOWS_A_TURN:
                span = schedule.window_from(start)
                if replaced is not None and (span is None or span.end > replaced):
                    # No whole window is left. Once no row of its own can be under way any more, the generation is done with, so
                    # that later looks need not fetch its reference.
                    if progress(Span(start, replaced), watermarks, delay) == "judgeable":
                        self.verdicts.advance(model, seen.generation, replaced)
                    break
                if span is None:
                    break
                if progress(span, watermarks, delay) != "judgeable":
                    following, waiting = span.end, span.end + delay
                    break
                if in_gap:
                    limit = judgeable_until(watermarks, span.length, delay) or span.start
                    start = schedule.after_gap(start, limit)
                    self.verdicts.advance(model, seen.generation, start)
                    in_gap = False
                    continue
                verdict, new = self._judge(model, seen, span, "evaluation")
                if new:
                    complete = memory.looks.first_complete(span, delay)
                    self.metrics.verdict_delay.labels(model).observe(self.clock() - complete)
                start, in_gap = span.end, verdict.rows == 0
                self.verdicts.advance(model, seen.generation, start)
                judged += 1
        return judged, following, waiting

    def _judge(
        self, model: str, seen: Generation, span: Span, detector: Literal["evaluation", "request"]
    ) -> tuple[Verdict, bool]:
        subject = Subject(model, seen.version, seen.generation, detector, span)
        with self._examining:
            existing = self._existing(subject)
            if existing is not None:
                # Stored before a crash, or the same window seen again in another generation: one cause, one verdict.
                return existing, False
            started = time.perf_counter()
            reference = self.references.get(model, seen.version)
            rows = self.evidence.rows(model, reference.loop, span, seen.generation)
            verdict = conclude(subject, self.judge.measure(subject, rows, reference), self.now())
            self.verdicts.put(verdict)
            self.metrics.examination_seconds.labels(model).observe(time.perf_counter() - started)
        self.metrics.reached(verdict)
        if detector == "evaluation":
            self._update(model, last_verdict=verdict, state=verdict.state)
        self.published()
        _log.info(
            "verdict_reached",
            model=model,
            version=verdict.version[:12],
            window=verdict.window_end.isoformat(),
            cause_id=verdict.verdict_id,
            state=verdict.state,
            detector=detector,
            rows=verdict.rows,
            outcomes=verdict.outcomes,
        )
        if detector == "evaluation":
            self.examined(verdict)
        return verdict, True

    def _existing(self, subject: Subject) -> Verdict | None:
        try:
            existing = self.verdicts.get(subject.verdict_id)
        except NotFound:
            return None
        if subject.detector == "request" and existing.window_start != subject.span.start:
            raise Conflict(
                f"the window that ends at {subject.span.end.isoformat()} was examined already, "
                f"from {existing.window_start.isoformat()} on",
                hint=f"read verdict {existing.verdict_id}, or choose another end",
            )
        return existing

    def _remember(self, model: str) -> _Memory:
        with self._lock:
            memory = self._memory.get(model)
            if memory is None:
                last = self.verdicts.last_examination(model)
                known = self.verdicts.generations(model)
                memory = _Memory(
                    ModelStatus(model, last_verdict=last, state=last.state if last else "warming_up"),
                    generation_known=known[-1].generation if known else 0,
                )
                self._memory[model] = memory
                if last is None:
                    self.metrics.warming_up(model)
                else:
                    self.metrics.show(last)
                # Not earlier than this, so that a drift that never catches up is seen to be late, also where it begins anew.
                self.metrics.caught_up(model, last.reached_at if last else self.now())
            return memory

    def _update(self, model: str, **changes: object) -> None:
        with self._lock:
            memory = self._memory[model]
            memory.status = replace(memory.status, **changes)  # type: ignore[arg-type]
