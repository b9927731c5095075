"""The replay: stream detectors read the rows of the past, and both clocks judge its windows. The code is that of the service."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta

from prometheus_client import CollectorRegistry

from services.drift.evaluation.evaluator import Evaluator
from services.drift.metrics import DriftMetrics
from services.drift.monitoring.inputs_clock import InputsClock
from services.drift.monitoring.performance_clock import PerformanceClock
from services.drift.monitoring.window_evaluation import WindowEvaluation
from services.drift.outcome_readiness import Watermarks
from services.drift.replay.past import Generations, Interval, Past, generations_of, watermarks_of
from services.drift.replay.stream_replay import replay_stream
from services.drift.verdicts.store import VerdictStore
from shared.contracts.verdict import Verdict

# Windows that a clock judges before the other one goes on.
_TURN = 8


@dataclass(frozen=True)
class Progress:
    """Windows judged of about how many, and what is done now."""

    done: int
    total: int
    step: str


@dataclass(frozen=True)
class Replayed:
    """All verdicts, by the end of their window. `false_alarms_per_30_days`: as the newest version was replayed."""

    generations: Generations
    verdicts: tuple[Verdict, ...]
    false_alarms_per_30_days: float
    stream: bool


@dataclass
class Replay:
    """Replays `past` into `verdicts`, a store of its own. `on_progress` is called after each window."""

    past: Past
    evaluator: Evaluator
    verdicts: VerdictStore
    interval: Interval = field(default_factory=Interval)
    stream: bool = True
    on_progress: Callable[[Progress], None] = lambda _: None
    now: Callable[[], datetime] = lambda: datetime.now(UTC)
    _done: int = field(default=0, init=False)

    def run(self) -> Replayed:
        """Judge everything. Raises NotFound where there are no rows; what references and the lake raise."""
        past, model = self.past, self.past.model
        self.on_progress(Progress(0, 0, "reading references"))
        found = generations_of(past, self.interval)
        for seen in found.generations:
            self.verdicts.put_generation(model, seen)
        inputs, performance = watermarks_of(past, self.interval, self.now())
        assert inputs.predictions is not None
        # First, as in the service: a data fault that the stream found makes its window faulty, too.
        if self.stream:
            for verdict in replay_stream(
                past, found, inputs.predictions, self.evaluator, self.verdicts, self._say
            ):
                self.verdicts.put(verdict)
        self._judge_windows(inputs, performance, self._expected(found, inputs.predictions))
        newest = past.references.get(model, found.generations[-1].version).loop
        return Replayed(
            found,
            tuple(sorted(self.verdicts.latest(model, 1_000_000), key=lambda one: one.window_end)),
            newest.drift.false_alarms_per_30_days,
            self.stream,
        )

    def _judge_windows(self, inputs: Watermarks, performance: Watermarks, total: int) -> None:
        past, model = self.past, self.past.model
        metrics = DriftMetrics(CollectorRegistry())
        evaluation = WindowEvaluation(
            past.references, past.lake_reader, self.evaluator, self.verdicts, metrics, self.now
        )
        of_inputs = InputsClock(past.references, past.lake_reader, evaluation, self.verdicts)
        of_performance = PerformanceClock(past.references, evaluation, self.verdicts)

        def judged(verdict: Verdict, _: timedelta | None) -> None:
            self._done += 1
            moment = f"{verdict.window_end:%Y-%m-%d %H:%M}"
            self.on_progress(Progress(self._done, max(total, self._done), moment))

        while True:
            first = of_inputs.judge_due(model, inputs, _TURN, judged)
            second = of_performance.judge_due(model, performance, _TURN, judged, first.next_window_end)
            if not first.judged and not second.judged:
                return

    def _say(self, step: str) -> None:
        self.on_progress(Progress(self._done, self._done, step))

    def _expected(self, found: Generations, until: datetime) -> int:
        """About how many verdicts there will be."""
        return sum(self._windows_of(found, until))

    def _windows_of(self, found: Generations, until: datetime) -> Iterator[int]:
        ends = [seen.first for seen in found.generations[1:]] + [until]
        for seen, end in zip(found.generations, ends, strict=True):
            loop = self.past.references.get(self.past.model, seen.version).loop
            window = loop.drift.window
            if window.every is not None:
                count = max(0, (min(end, until) - seen.first) // window.every)
            else:
                times = self.past.lake_reader.times(self.past.model, seen.generation, seen.first)
                count = times.size // (window.rows or 1)
            yield int(count) * (2 if loop.performance is not None else 1)
