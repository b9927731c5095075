"""The monitoring loop: polls the lake and has every window evaluated once, when it is ready.

The order for one window; a crash can happen between any two steps:

1. read the rows and evaluate them
2. store the verdict durably, unless it exists; then move the generation to its next window
3. notify the publisher; it publishes stored verdicts and marks them afterwards

So a verdict is published at least once, always with the same id, and never changes.
"""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import dataclass, field, replace
from datetime import datetime, timedelta
from itertools import zip_longest
from threading import Event, Lock

from services.drift.evaluation.classify import Subject
from services.drift.metrics import DriftMetrics
from services.drift.monitoring.lake_reader import LakeReader
from services.drift.monitoring.model_status import ModelState, ModelStatus
from services.drift.monitoring.references import References
from services.drift.monitoring.schedule import Schedule
from services.drift.monitoring.window_evaluation import WindowEvaluation
from services.drift.outcome_readiness import Watermarks, progress, ready_until, until
from services.drift.verdicts.store import Generation, VerdictStore
from services.drift.windows import Span
from shared.contracts.verdict import Detector, Verdict
from shared.errors import HomeostatError, NotFound
from shared.observability.logs import get_logger, log_unknown_error

_log = get_logger(__name__)

# Windows of one model evaluated in one poll, before the next model.
WINDOWS_PER_POLL = 4
# Pause after a failed poll: each retry may download a version.
RETRY_SECONDS = 5.0


@dataclass
class _Cursor:
    """Position in the windows of one generation. `delay`: of outcomes, None for a model without them. `in_gap`: the last window
    had no rows, and its verdict is stored."""

    seen: Generation
    schedule: Schedule
    delay: timedelta | None
    replaced: datetime | None
    watermarks: Watermarks
    start: datetime
    in_gap: bool


@dataclass
class Monitor:
    """Has every window evaluated when it is ready. `now`: system clock; `clock`: monotonic."""

    references: References
    lake_reader: LakeReader
    evaluation: WindowEvaluation
    verdicts: VerdictStore
    metrics: DriftMetrics
    now: Callable[[], datetime]
    clock: Callable[[], float] = time.monotonic
    poll_seconds: float = 0.5
    _states: dict[str, ModelState] = field(default_factory=dict)
    _lock: Lock = field(default_factory=Lock)

    def run(self, stop: Event) -> None:
        """Poll until `stop` is set."""
        while not stop.is_set():
            if not self.step():
                stop.wait(self.poll_seconds)

    def step(self) -> int:
        """Poll every model once; returns how many windows were evaluated."""
        try:
            models = self.references.models()
        except HomeostatError as error:
            _log.warning("model_list_unavailable", error=str(error))
            return 0
        except Exception as error:  # none may end the thread
            log_unknown_error(_log, error)
            return 0
        return sum(self._poll_model(model) for model in models)

    def statuses(self) -> list[ModelStatus]:
        """The models' statuses, by name."""
        with self._lock:
            return [self._states[model].status for model in sorted(self._states)]

    def evaluate_now(
        self, model: str, start: datetime | None = None, end: datetime | None = None
    ) -> tuple[Verdict, bool]:
        """Evaluate a window now: the one given, or the last complete one. Returns the verdict, and whether it is new.

        Raises NotFound for a model without a release or rows, Conflict where the same window end was already evaluated on
        request with another start, InvalidRequest where there is no complete window yet.
        """
        if model not in self.references.models():
            raise NotFound(f"there is no model {model}", hint="GET /status lists the models")
        with self.evaluation.lock:
            watermarks = self._record_generations(model)
            generations = self.verdicts.generations(model)
            if not generations or watermarks.predictions is None:
                raise NotFound(
                    f"model {model} has no predictions yet", hint="send a prediction request first"
                )
            if start is not None and end is not None:
                span = Span(start, end)
            else:
                newest = generations[-1]
                window = self.references.get(model, newest.version).loop.drift.window
                span = Schedule(self.lake_reader, model, newest, window).last_complete(watermarks.predictions)
            serving = [seen for seen in generations if seen.first < span.end] or generations[:1]
            subject = Subject(model, serving[-1].version, serving[-1].generation, "request", span)
            return self.evaluation.evaluate(subject)

    # One poll of a model

    def _poll_model(self, model: str) -> int:
        state = self._state_of(model)
        if time.monotonic() < state.retry_at:
            return 0
        evaluated = 0
        try:
            # Inference does not serve a release that cannot be fetched, so the served version is still evaluated.
            problem = self._load_new_release(model, state)
            evaluated = self._poll_lake(model, state)
        except HomeostatError as error:
            problem = str(error)
        except Exception as error:  # an error of one model must not stop the others
            problem = f"unknown error; its id in the log is {log_unknown_error(_log, error)}"
        if problem:
            self._record_error(model, state, problem)
        self._update(model, error=problem)
        return evaluated

    def _record_error(self, model: str, state: ModelState, problem: str) -> None:
        if problem != state.status.error:
            _log.warning("model_evaluation_failed", model=model, error=problem)
        self.metrics.failures.labels(model).inc()
        state.retry_at = time.monotonic() + RETRY_SECONDS
        state.busy = True

    def _load_new_release(self, model: str, state: ModelState) -> str:
        """Fetch and verify a new release before its first window is full, so that a problem shows early; returns its text."""
        release = self.references.latest_release(model)
        if release is None or release.generation == state.status.generation:
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
            next_window_start=self._next_window_start(model, release.generation),
        )
        return ""

    def _poll_lake(self, model: str, state: ModelState) -> int:
        begun = self.now()  # rows that arrive during the poll may make a window ready
        evaluated = self._evaluate_new_rows(model, state)
        if evaluated < WINDOWS_PER_POLL:
            self.metrics.last_full_poll(model, begun)
        return evaluated

    def _evaluate_new_rows(self, model: str, state: ModelState) -> int:
        revision = self.lake_reader.revision(model)
        if revision == state.revision and not state.busy:
            return 0
        watermarks = self._record_generations(model)
        state.history.add(watermarks, self.clock())
        evaluated, next_end, ready_at = self._evaluate_due(model, watermarks)
        state.revision, state.busy = revision, evaluated >= WINDOWS_PER_POLL
        self.metrics.progress(model, watermarks)
        last = self.verdicts.last_evaluation(model)
        self._update(
            model,
            evaluated_until=last.window_end if last else None,
            next_window_start=self._next_window_start(model, state.status.generation),
            next_window_end=next_end,
            next_window_ready_at=ready_at,
            outcomes_watermark=watermarks.outcomes,
            **({} if state.busy else {"watermark": watermarks.predictions}),
        )
        return evaluated

    def _next_window_start(self, model: str, generation: int) -> datetime | None:
        """Where the generation's next window starts; None before its first row."""
        known = self.verdicts.generations(model)
        return next((seen.evaluated_until for seen in known if seen.generation == generation), None)

    def _record_generations(self, model: str) -> Watermarks:
        state = self._state_of(model)
        watermarks = until(self.lake_reader.watermarks(model), self.now())
        for seen in self.lake_reader.generations(model, state.generation_known):
            if seen.first > self.now():
                break  # only rows from the future so far; a later poll may find others
            self.verdicts.put_generation(model, seen)
            state.generation_known = max(state.generation_known, seen.generation)
        return watermarks

    def _evaluate_due(
        self, model: str, watermarks: Watermarks
    ) -> tuple[int, datetime | None, datetime | None]:
        """Evaluate what is ready; also returns the end of the next window and the event time at which it will be ready."""
        evaluated = 0
        waiting: tuple[datetime | None, datetime | None] = (None, None)
        generations = self.verdicts.generations(model)
        for seen, newer in zip_longest(generations, generations[1:]):
            replaced = newer.first if newer else None
            if replaced is not None and seen.evaluated_until >= replaced:
                continue
            cursor = self._cursor(model, seen, replaced, watermarks)
            while evaluated < WINDOWS_PER_POLL and (span := self._next_window(cursor)) is not None:
                if progress(span, watermarks, cursor.delay) != "ready":
                    waiting = (span.end, span.end + (cursor.delay or timedelta(0)))
                    break
                evaluated += self._evaluate_or_skip(model, cursor, span)
        return evaluated, *waiting

    def _cursor(
        self, model: str, seen: Generation, replaced: datetime | None, watermarks: Watermarks
    ) -> _Cursor:
        loop = self.references.get(model, seen.version).loop
        schedule = Schedule(self.lake_reader, model, seen, loop.drift.window)
        start = seen.evaluated_until
        # The stored verdict, not memory, says whether this gap has its verdict: so it is right after a restart.
        last = self.verdicts.last_of_generation(model, seen.generation) if start > seen.first else None
        in_gap = last is not None and last.rows == 0
        delay = loop.performance.outcome.delay if loop.performance else None
        return _Cursor(seen, schedule, delay, replaced, watermarks, start, in_gap)

    def _next_window(self, cursor: _Cursor) -> Span | None:
        """The next window of the generation; None if its end is unknown, or if the generation was replaced before it."""
        span = cursor.schedule.window_from(cursor.start)
        if cursor.replaced is None or (span is not None and span.end <= cursor.replaced):
            return span
        # No complete window is left. When no more rows can arrive, the generation is finished, so that later polls do not fetch
        # its reference.
        if progress(Span(cursor.start, cursor.replaced), cursor.watermarks, cursor.delay) == "ready":
            self.verdicts.advance(cursor.schedule.model, cursor.seen.generation, cursor.replaced)
        return None

    def _evaluate_or_skip(self, model: str, cursor: _Cursor, span: Span) -> int:
        """Evaluate the window, or skip the rest of a gap that has its verdict. Returns how many windows were evaluated."""
        if cursor.in_gap:
            limit = ready_until(cursor.watermarks, span.length, cursor.delay) or span.start
            cursor.start, cursor.in_gap = cursor.schedule.after_gap(cursor.start, limit), False
            self.verdicts.advance(model, cursor.seen.generation, cursor.start)
            return 0
        detector: Detector = "inputs" if cursor.delay is None else "performance"
        subject = Subject(model, cursor.seen.version, cursor.seen.generation, detector, span)
        verdict, new = self.evaluation.evaluate(subject)
        if new:
            self._update(model, last_verdict=verdict, state=verdict.state)
            ready_at = self._state_of(model).history.first_ready(span, cursor.delay)
            self.metrics.verdict_delay.labels(model).observe(self.clock() - ready_at)
        cursor.start, cursor.in_gap = span.end, verdict.rows == 0
        self.verdicts.advance(model, cursor.seen.generation, cursor.start)
        return 1

    def _state_of(self, model: str) -> ModelState:
        with self._lock:
            state = self._states.get(model)
            if state is None:
                last = self.verdicts.last_evaluation(model)
                known = self.verdicts.generations(model)
                state = ModelState(
                    ModelStatus(model, last_verdict=last, state=last.state if last else "warming_up"),
                    generation_known=known[-1].generation if known else 0,
                )
                self._states[model] = state
                if last is None:
                    self.metrics.warming_up(model)
                else:
                    self.metrics.show(last)
                # Set at start, so that the alert fires for a service that restarts and never completes a poll.
                self.metrics.last_full_poll(model, last.reached_at if last else self.now())
            return state

    def _update(self, model: str, **changes: object) -> None:
        with self._lock:
            state = self._states[model]
            state.status = replace(state.status, **changes)  # type: ignore[arg-type]
