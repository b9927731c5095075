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

from services.drift.evidence import Evidence
from services.drift.judge import Judge
from services.drift.metrics import DriftMetrics
from services.drift.reference import Reference
from services.drift.references import References
from services.drift.verdict_store import Generation, VerdictStore
from services.drift.verdicts import Subject, conclude
from services.drift.windows import (
    Span,
    Watermarks,
    from_micros,
    last_complete,
    progress,
    skip_empty,
    to_micros,
    until,
    window_by_rows,
    window_by_time,
)
from shared.contracts.verdict import Verdict
from shared.errors import Conflict, HomeostatError, InvalidRequest, UnknownName
from shared.observability.logs import get_logger, log_unknown_error

_log = get_logger(__name__)

# Windows of one model judged before the others get their turn again.
WINDOWS_A_TURN = 4
# A version that cannot be fetched is tried again after this; each look costs a download.
RETRY_SECONDS = 5.0


@dataclass(frozen=True)
class ModelStatus:
    """What is known about a model. Times are event times.

    `watermark`: every window judgeable in a lake complete up to here is judged. `examined_until`: end of the last judged window.
    `next_window_end`: end of the window that is judged next; `next_judgeable_at`: the event time that both predictions and
    outcomes must reach for that.
    """

    model: str
    version: str = ""
    generation: int = 0
    state: str = "warming"
    watermark: datetime | None = None
    outcomes_watermark: datetime | None = None
    examined_until: datetime | None = None
    next_window_end: datetime | None = None
    next_judgeable_at: datetime | None = None
    last_verdict: Verdict | None = None
    error: str = ""


@dataclass
class _Memory:
    """What the loop remembers of a model between looks; all of it can be found again after a restart."""

    status: ModelStatus
    revision: Hashable = None
    busy: bool = True
    generation_known: int = 0
    retry_at: float = 0.0


@dataclass
class Follower:
    """Judges windows as they become judgeable. `now` is the wall clock, `published` is called when there is news to publish."""

    references: References
    evidence: Evidence
    judge: Judge
    verdicts: VerdictStore
    metrics: DriftMetrics
    now: Callable[[], datetime]
    published: Callable[[], None] = lambda: None
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

        Raises UnknownName for a model without a release or rows, Conflict where the same window end was already examined on
        request with another start, InvalidRequest where there is no complete window yet.
        """
        if model not in self.references.models():
            raise UnknownName(f"there is no model {model}", remedy="GET /status lists the models")
        with self._examining:
            watermarks = self._note_generations(model)
            generations = self.verdicts.generations(model)
            if not generations or watermarks.predictions is None:
                raise UnknownName(
                    f"model {model} has not answered anything yet", remedy="send predictions first"
                )
            if start is not None and end is not None:
                span = Span(start, end)
            else:
                span = self._last_complete(model, generations[-1], watermarks.predictions)
            serving = [seen for seen in generations if seen.first < span.end] or generations[:1]
            return self._judge(model, serving[-1], span, "request")

    # One look

    def _look(self, model: str) -> int:
        memory = self._remember(model)
        if time.monotonic() < memory.retry_at:
            return 0
        try:
            judged = self._follow(model, memory)
            self._update(model, error="")
            return judged
        except HomeostatError as error:
            message = str(error)
        except Exception as error:  # one model's trouble must not end the loop for the others
            message = f"unknown error; its id in the log is {log_unknown_error(_log, error)}"
        if message != memory.status.error:
            _log.warning("model_not_examined", model=model, error=message)
        self.metrics.failures.labels(model).inc()
        memory.retry_at = time.monotonic() + RETRY_SECONDS
        memory.busy = True
        self._update(model, error=message)
        return 0

    def _follow(self, model: str, memory: _Memory) -> int:
        release = self.references.latest_release(model)
        if release is not None and release.generation != memory.status.generation:
            # Fetched and verified before its first window is full, so that trouble shows early.
            self.references.get(model, release.version)
            self._update(model, version=release.version, generation=release.generation)
        revision = self.evidence.revision(model)
        if revision == memory.revision and not memory.busy:
            return 0
        watermarks = self._note_generations(model)
        judged, following, waiting = self._judge_due(model, watermarks)
        memory.revision, memory.busy = revision, judged >= WINDOWS_A_TURN
        self.metrics.progress(model, watermarks)
        last = self.verdicts.last_examination(model)
        self._update(
            model,
            examined_until=last.window_end if last else None,
            next_window_end=following,
            next_judgeable_at=waiting,
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
        judged = 0
        following: datetime | None = None
        waiting: datetime | None = None
        generations = self.verdicts.generations(model)
        for place, seen in enumerate(generations):
            replaced = generations[place + 1].first if place + 1 < len(generations) else None
            if replaced is not None and seen.examined_until >= replaced:
                continue
            reference = self.references.get(model, seen.version)
            start = seen.examined_until
            while judged < WINDOWS_A_TURN:
                span = self._window_from(model, seen, reference, start)
                if span is None or (replaced is not None and span.end > replaced):
                    break
                delay = reference.loop.outcome.delay
                if progress(span, watermarks, delay) != "judgeable":
                    following, waiting = span.end, span.end + delay
                    break
                verdict, _ = self._judge(model, seen, span, "examination")
                start = self._after(model, seen, reference, span, verdict, watermarks)
                self.verdicts.advance(model, seen.generation, start)
                judged += 1
        return judged, following, waiting

    def _window_from(
        self, model: str, seen: Generation, reference: Reference, start: datetime
    ) -> Span | None:
        window = reference.loop.drift.window
        if window.every is not None:
            return window_by_time(start, window.every)
        return window_by_rows(self.evidence.times(model, seen.generation, start), window.rows or 0)

    def _after(
        self,
        model: str,
        seen: Generation,
        reference: Reference,
        span: Span,
        verdict: Verdict,
        watermarks: Watermarks,
    ) -> datetime:
        """Where the next window starts: at the end of this one, or, after an empty one, where rows come again."""
        every = reference.loop.drift.window.every
        if verdict.rows or every is None or watermarks.predictions is None:
            return span.end
        times = self.evidence.times(model, seen.generation, span.end)
        times = times[times <= to_micros(watermarks.predictions)]
        return skip_empty(span.end, every, from_micros(int(times[0]))) if times.size else span.end

    def _last_complete(self, model: str, seen: Generation, watermark: datetime) -> Span:
        window = self.references.get(model, seen.version).loop.drift.window
        span: Span | None = None
        if window.every is not None:
            span = last_complete(seen.first, window.every, watermark)
        else:
            times = self.evidence.times(model, seen.generation, seen.first)
            span = window_by_rows(times[-(window.rows or 0) :], window.rows or 0)
        if span is None:
            raise InvalidRequest(
                f"the version of {model} served now has no complete window yet",
                field="start",
                expected="start and end of the window to examine",
            )
        return span

    def _judge(
        self, model: str, seen: Generation, span: Span, detector: Literal["examination", "request"]
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
        if detector == "examination":
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
        return verdict, True

    def _existing(self, subject: Subject) -> Verdict | None:
        try:
            existing = self.verdicts.get(subject.verdict_id)
        except UnknownName:
            return None
        if subject.detector == "request" and existing.window_start != subject.span.start:
            raise Conflict(
                f"the window that ends at {subject.span.end.isoformat()} was examined already, "
                f"from {existing.window_start.isoformat()} on",
                remedy=f"read verdict {existing.verdict_id}, or choose another end",
            )
        return existing

    def _remember(self, model: str) -> _Memory:
        with self._lock:
            memory = self._memory.get(model)
            if memory is None:
                last = self.verdicts.last_examination(model)
                known = self.verdicts.generations(model)
                memory = _Memory(
                    ModelStatus(model, last_verdict=last, state=last.state if last else "warming"),
                    generation_known=known[-1].generation if known else 0,
                )
                self._memory[model] = memory
                if last is None:
                    self.metrics.warming(model)
                else:
                    self.metrics.show(last)
            return memory

    def _update(self, model: str, **changes: object) -> None:
        with self._lock:
            memory = self._memory[model]
            memory.status = replace(memory.status, **changes)  # type: ignore[arg-type]
