"""The monitoring loop: polls the lake; two clocks judge every window once each, and late outcomes have it judged again.

inputs        when the window closes: features, predictions, data quality
performance   when its outcomes are due: the loss
errors        after performance: the losses of a window add to the evidence of those before it
again         when outcomes that were late or corrected may change the verdict on performance

The order for one window and clock; a crash can happen between any two steps:

1. read the rows and evaluate them
2. store the verdict durably, unless it exists; then move the clock's position in the generation past the window
3. notify the publisher; it publishes stored verdicts and marks them afterwards

So a verdict is published at least once, always with the same id. It changes only by a higher revision, which is stored in place
of the one before and published in the same way.
"""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import dataclass, field, replace
from datetime import datetime, timedelta
from threading import Event, RLock

from services.drift.metrics import DriftMetrics
from services.drift.model_state import ModelStateName
from services.drift.monitoring.inputs_clock import ClockProgress, InputsClock
from services.drift.monitoring.lake_reader import LakeReader
from services.drift.monitoring.late_outcomes import LateOutcomes
from services.drift.monitoring.model_status import ClockStatus, ModelState, ModelStatus, OutcomesStatus
from services.drift.monitoring.performance_clock import PerformanceClock
from services.drift.monitoring.realised_errors import RealisedErrors
from services.drift.monitoring.references import References, live_generation
from services.drift.monitoring.requested_window import requested_subject
from services.drift.monitoring.stored_status import alarm_of, stored_status
from services.drift.monitoring.window_evaluation import WindowEvaluation
from services.drift.outcome_readiness import Watermarks, until
from services.drift.sharing.ownership import Ownership, OwnsAll
from services.drift.verdicts.store import VerdictStore
from services.drift.windows import Span
from shared.contracts.verdict import Detector, Verdict
from shared.errors import HomeostatError, NotFound
from shared.observability.logs import get_logger, log_unknown_error

_log = get_logger(__name__)

# Windows of one model that a clock judges in one poll, before the next model.
WINDOWS_PER_POLL = 4
# Pause after a failed poll: each retry may download a version.
RETRY_SECONDS = 5.0


@dataclass
class Monitor:
    """Has every window judged when it is due. `now`: system clock; `clock`: monotonic.

    `prepare` loads what distances need; raises OperatorError if that takes longer than so many seconds. `request_seconds`: how
    long a request waits for that, and for the evaluation of other windows.
    """

    references: References
    lake_reader: LakeReader
    evaluation: WindowEvaluation
    verdicts: VerdictStore
    metrics: DriftMetrics
    now: Callable[[], datetime]
    clock: Callable[[], float] = time.monotonic
    poll_seconds: float = 0.5
    prepare: Callable[[float], None] = lambda _: None
    request_seconds: float = 5.0
    ownership: Ownership = field(default_factory=OwnsAll)
    _states: dict[str, ModelState] = field(default_factory=dict)
    _lock: RLock = field(default_factory=RLock)

    def __post_init__(self) -> None:
        self.inputs = InputsClock(self.references, self.lake_reader, self.evaluation, self.verdicts)
        self.performance = PerformanceClock(self.references, self.evaluation, self.verdicts)
        self.errors = RealisedErrors(self.references, self.lake_reader, self.evaluation, self.verdicts)
        self.late_outcomes = LateOutcomes(self.lake_reader, self.evaluation, self.verdicts)

    def run(self, stop: Event) -> None:
        """Poll until `stop` is set."""
        while not stop.is_set():
            if not self.step():
                stop.wait(self.poll_seconds)

    def step(self) -> int:
        """Poll every model once; returns how many verdicts were reached."""
        try:
            models = self.references.models()
        except HomeostatError as error:
            _log.warning("model_list_unavailable", error=str(error))
            models = []
        except Exception as error:  # none may end the thread
            log_unknown_error(_log, error)
            models = []
        self._forget_others()
        return sum(self._poll_owned(model) for model in models)

    def statuses(self) -> list[ModelStatus]:
        """The models' statuses, by name; of those that other processes judge, what the store has."""
        with self._lock:
            found = {model: state.status for model, state in self._states.items()}
        for model in self.verdicts.models():
            if model not in found and not self.ownership.owns(model):
                found[model] = stored_status(self.verdicts, model)
        return [status for _, status in sorted(found.items())]

    def evaluate_now(
        self, model: str, start: datetime | None = None, end: datetime | None = None
    ) -> tuple[Verdict, bool]:
        """Evaluate a window now: the one given, or the last complete one. Returns the verdict, and whether it is new.

        Raises NotFound for a model without a release or rows, Conflict where the same window end was already evaluated on
        request with another start, InvalidRequest where there is no complete window yet, OperatorError after `request_seconds`.
        """
        if model not in self.references.models():
            raise NotFound(f"there is no model {model}", hint="GET /status lists the models")
        with self.evaluation.within(self.request_seconds):
            watermarks = self._record_generations(model)
            subject = requested_subject(
                self.references, self.lake_reader, self.verdicts, model, watermarks, start, end
            )
            if (stored := self.evaluation.stored(subject)) is not None:
                return stored, False
        self.prepare(self.request_seconds)  # without the lock: the import takes longer than a window
        with self.evaluation.within(self.request_seconds):
            found = self.evaluation.evaluate(subject)
        if not self.ownership.owns(model):
            self.metrics.forget(model)  # its series are those of another process
        return found

    # One poll of a model

    def _forget_others(self) -> None:
        """Models that another process has taken over: it has read what the store has, and shows their state."""
        for model in [model for model in self._states if not self.ownership.owns(model)]:
            with self._lock:
                del self._states[model]
            self.metrics.forget(model)

    def _poll_owned(self, model: str) -> int:
        with self.ownership.using(model) as owned:
            return self._poll_model(model) if owned else 0

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
        release = self.references.live_release(model)
        if release is None or release.generation == state.status.generation:
            return ""
        try:
            reference = self.references.get(model, release.version)
        except HomeostatError as error:
            return str(error)
        if reference.loop.performance is not None and state.status.performance is None:
            self._update(model, performance=ClockStatus(), outcomes=OutcomesStatus())
            self.metrics.detector_state(model, "performance", "warming_up")
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
        evaluated = self._judge_new_rows(model, state)
        if not state.busy:
            self.metrics.last_full_poll(model, begun)
        return evaluated

    def _judge_new_rows(self, model: str, state: ModelState) -> int:
        revision = self.lake_reader.revision(model)
        if revision == state.revision and not state.busy:
            return 0
        watermarks = self._record_generations(model)
        state.inputs_history.add(watermarks, self.clock())
        state.performance_history.add(watermarks, self.clock())

        def judged(verdict: Verdict, delay: timedelta | None) -> None:
            self._judged(model, state, verdict, delay)

        inputs = self.inputs.judge_due(model, watermarks, WINDOWS_PER_POLL, judged)
        self._show_inputs(model, inputs)
        performance = self.performance.judge_due(
            model, watermarks, WINDOWS_PER_POLL, judged, inputs.next_window_end
        )
        self._show_performance(model, watermarks, performance)
        more = self.late_outcomes.review(
            model, watermarks.predictions, lambda verdict: self._show_last(model, verdict.detector)
        )
        added = self.errors.add_up(model, WINDOWS_PER_POLL)
        behind = max(inputs.judged, performance.judged, added) >= WINDOWS_PER_POLL
        state.revision, state.busy = revision, behind or more
        self.metrics.progress(model, watermarks)
        self._update(
            model,
            alarm=alarm_of(self.verdicts, model),
            next_window_start=self._next_window_start(model, state.status.generation),
            **({} if inputs.judged >= WINDOWS_PER_POLL else {"watermark": watermarks.predictions}),
        )
        return inputs.judged + performance.judged

    def _judged(self, model: str, state: ModelState, verdict: Verdict, delay: timedelta | None) -> None:
        """Show a new verdict at once, and how long it took."""
        history = state.inputs_history if verdict.detector == "inputs" else state.performance_history
        due_at = history.first_ready(Span(verdict.window_start, verdict.window_end), delay)
        self.metrics.verdict_delay.labels(model, verdict.detector).observe(self.clock() - due_at)
        self._show_last(model, verdict.detector)

    def _show_last(self, model: str, detector: Detector) -> None:
        """Set a clock's state from its last verdict."""
        last = self.verdicts.last_of(model, detector)
        status = self._state_of(model).status
        before = status.inputs if detector == "inputs" else status.performance or ClockStatus()
        if last is None:
            return
        clock = replace(before, state=last.state, evaluated_until=last.window_end, last_verdict=last)
        self._update(model, **{detector: clock})
        self.metrics.detector_state(model, detector, last.state)

    def _show_inputs(self, model: str, done: ClockProgress) -> None:
        inputs = self._state_of(model).status.inputs
        clock = replace(inputs, next_window_end=done.next_window_end, due_at=done.due_at)
        self._update(model, inputs=clock)

    def _show_performance(self, model: str, watermarks: Watermarks, done: ClockProgress) -> None:
        """While outcomes are overdue the last verdict says nothing about now: the state is `not_judged`."""
        clock = self._state_of(model).status.performance
        if clock is None:
            return
        last = clock.last_verdict
        state: ModelStateName = last.state if last else "warming_up"
        if done.overdue_since is not None:
            state = "not_judged"
        outcomes = OutcomesStatus(
            watermarks.outcomes,
            last.coverage if last else None,
            last.outcome_lag_seconds if last else None,
            done.overdue_since,
        )
        performance = replace(clock, state=state, next_window_end=done.next_window_end, due_at=done.due_at)
        self._update(model, performance=performance, outcomes=outcomes)
        self.metrics.detector_state(model, "performance", state)

    def _next_window_start(self, model: str, generation: int) -> datetime | None:
        """Where the generation's next window starts; None before its first row."""
        known = self.verdicts.generations(model)
        return next((seen.inputs_until for seen in known if seen.generation == generation), None)

    def _record_generations(self, model: str) -> Watermarks:
        state = self._state_of(model)
        watermarks = until(self.lake_reader.watermarks(model), self.now())
        for seen in self.lake_reader.generations(model, state.generation_known):
            if seen.first > self.now():
                break  # only rows from the future so far; a later poll may find others
            live = live_generation(self.references, model, seen.generation)
            if live == seen.generation:
                self.verdicts.put_generation(model, seen)
            elif all(known.generation != live for known in self.verdicts.generations(model)):
                continue  # rows of a canary came before the first ones of the live generation
            state.generation_known = max(state.generation_known, seen.generation)
        return watermarks

    def _state_of(self, model: str) -> ModelState:
        with self._lock:
            state = self._states.get(model)
            if state is None:
                state = self._states[model] = self._restored(model)
            return state

    def _restored(self, model: str) -> ModelState:
        """The state after a restart: from the store, so that the gauges are right before the next window."""
        status, known = stored_status(self.verdicts, model), self.verdicts.generations(model)
        last = [clock.last_verdict for clock in status.clocks if clock.last_verdict]
        for verdict in last:
            self.metrics.show(verdict)
            self.metrics.detector_state(model, verdict.detector, verdict.state)
        if status.inputs.last_verdict is None:
            self.metrics.detector_state(model, "inputs", "warming_up")
        # Set at start, so that the alert fires for a service that restarts and never completes a poll.
        self.metrics.last_full_poll(model, max((verdict.reached_at for verdict in last), default=self.now()))
        if status.alarm is not None:
            self.metrics.show_alarm(status.alarm)
        return ModelState(status, generation_known=known[-1].generation if known else 0)

    def _update(self, model: str, **changes: object) -> None:
        with self._lock:
            state = self._states[model]
            state.status = replace(state.status, **changes)  # type: ignore[arg-type]
