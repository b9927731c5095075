"""Evidence of realised losses, added up over windows: a lasting rise that no window alone can tell from noise is found.

The losses of a window count once its performance is judged, in time order: then its outcomes are due, and its data are known to
be good. Losses of a window with a data fault do not count, and outcomes that come later change nothing. Each generation has a
detector of its own (services/drift/stream/error_detector.py), whose state is stored with its position and its alarm's verdict.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from datetime import datetime
from itertools import zip_longest

import numpy as np
import numpy.typing as npt

from services.drift.evaluation.classify import Subject
from services.drift.evaluation.reference_profile import Reference
from services.drift.monitoring.lake_reader import LakeReader
from services.drift.monitoring.references import References
from services.drift.monitoring.window_evaluation import WindowEvaluation
from services.drift.stream.error_detector import RATIOS, ErrorAlarm, ErrorDetector
from services.drift.stream.loss_standard import LossStandard
from services.drift.verdicts.error_states import ErrorState, ErrorStates
from services.drift.verdicts.positions import Generation
from services.drift.verdicts.store import VerdictStore
from services.drift.windows import Span
from shared.contracts.event_time import INSTANT, from_micros
from shared.contracts.manifest import short
from shared.contracts.verdict import Score, Verdict
from shared.errors import HomeostatError
from shared.observability.logs import get_logger

_log = get_logger(__name__)

_TIMES = "times"


@dataclass
class _Evidence:
    """`until`: end of the last window that was counted. `detector`: None where the version has no standard; the rest is not
    loaded before there is something to count. `times`: event time (µs) at which the change that each bet sees began. `given_up`:
    after an error of a replaced generation."""

    until: datetime
    loaded: bool = False
    standard: LossStandard | None = None
    detector: ErrorDetector | None = None
    times: npt.NDArray[np.int64] = field(default_factory=lambda: np.zeros(RATIOS.size, np.int64))
    given_up: bool = False


@dataclass
class RealisedErrors:
    """Adds up the losses of judged windows. Not safe to call from several threads at once."""

    references: References
    lake_reader: LakeReader
    evaluation: WindowEvaluation
    verdicts: VerdictStore
    _known: dict[tuple[str, int], _Evidence] = field(default_factory=dict)

    def __post_init__(self) -> None:
        self._states = ErrorStates(self.verdicts)

    def add_up(self, model: str, limit: int) -> int:
        """Count at most `limit` judged windows; how many were counted. An alarm's verdict is stored and announced.

        An error of a replaced generation is logged, and its windows are left out until the service is started again. Raises
        HomeostatError for the newest generation.
        """
        counted = 0
        generations = self.verdicts.generations(model)
        for seen, newer in zip_longest(generations, generations[1:]):
            known = self._known.get((model, seen.generation))
            if known is None or known.until > seen.performance_until:
                # The second: a person has set the watermark back, and the stored position with it.
                known = self._known[model, seen.generation] = self._position(model, seen)
            if known.given_up or known.until >= seen.performance_until or counted >= limit:
                continue
            try:
                counted += self._catch_up(known, model, seen, limit - counted)
            except HomeostatError as error:
                if newer is None:
                    raise
                known.given_up = True
                _log.warning("losses_not_added_up", model=model, generation=seen.generation, error=str(error))
        return counted

    def _catch_up(self, known: _Evidence, model: str, seen: Generation, limit: int) -> int:
        """Count the windows up to the position of the clock. Without any, the reference is not fetched."""
        windows = [
            window
            for window in self.verdicts.windows(model, seen.generation, known.until, limit, "performance")
            if window.window_end <= seen.performance_until
        ]
        if not windows:
            stored = self._states.get(model, seen.generation, RATIOS.size)
            known.until = seen.performance_until
            arrays = stored.arrays if stored else {}
            self._states.put(model, seen.generation, ErrorState(known.until, arrays))
            return 0
        if not known.loaded:
            self._load(known, model, seen)
        for window in windows:
            self._add(known, window)
        return len(windows)

    def _position(self, model: str, seen: Generation) -> _Evidence:
        stored = self._states.get(model, seen.generation, RATIOS.size)
        return _Evidence(stored.until if stored else seen.first)

    def _load(self, known: _Evidence, model: str, seen: Generation) -> None:
        known.standard = LossStandard.of(self.references.get(model, seen.version))
        known.detector = known.standard.detector() if known.standard else None
        stored = self._states.get(model, seen.generation, RATIOS.size)
        if stored is not None and stored.arrays and known.detector is not None:
            arrays = dict(stored.arrays)
            known.times = arrays.pop(_TIMES).astype(np.int64)
            known.detector.restore(arrays)
        known.loaded = True

    def _add(self, known: _Evidence, window: Verdict) -> None:
        verdict = None
        # After a watermark was set back into a window, the losses before that time have been counted.
        whole = window.window_start >= known.until
        if known.detector is not None and window.state != "data_fault" and whole:
            verdict = self._count(known, known.detector, window)
        known.until = window.window_end
        arrays = {} if known.detector is None else {**known.detector.state(), _TIMES: known.times}
        new = self._states.put(window.model, window.generation, ErrorState(known.until, arrays), verdict)
        if verdict is not None and new:
            self.evaluation.announce(verdict)
        if known.detector is not None:
            self.evaluation.metrics.error_evidence.labels(window.model).set(known.detector.evidence)

    def _count(self, known: _Evidence, detector: ErrorDetector, window: Verdict) -> Verdict | None:
        """Count the losses of a window; the verdict of its first alarm. After an alarm the detector goes on from nothing."""
        assert known.standard is not None
        reference = self.references.get(window.model, window.version)
        span = Span(window.window_start, window.window_end)
        rows = self.lake_reader.rows(window.model, reference.loop, span, window.generation, "performance")
        with_loss = np.isfinite(rows.loss)
        losses, times = known.standard.scaled(rows.loss[with_loss]), rows.event_time[with_loss]
        verdict = None
        while losses.size:
            first, starts, begun = detector.rows, detector.starts.copy(), known.times.copy()
            alarm = detector.add(losses)
            if alarm is not None and verdict is None:
                # The onset lies in these losses, or is the one that a bet had before them.
                own = alarm.onset - first
                since = times[own] if own >= 0 else begun[int((starts == alarm.onset).argmax())]
                at = int(times[alarm.row - first])
                rise = Span(from_micros(int(since)), from_micros(at) + INSTANT)
                # A window whose own verdict says so needs no second one; a rise over more than its length does.
                if "performance" not in window.drifted or rise.length > span.length:
                    verdict = self._verdict(window, reference, alarm, rise)
            moved = detector.starts - first
            inside = (moved >= 0) & (moved < times.size)
            known.times[inside] = times[moved[inside]]
            done = detector.rows - first
            losses, times = losses[done:], times[done:]
        return verdict

    def _verdict(self, window: Verdict, reference: Reference, alarm: ErrorAlarm, span: Span) -> Verdict:
        assert reference.loop.performance is not None
        metric, rows = reference.loop.performance.metric.name, alarm.row - alarm.onset + 1
        subject = Subject(window.model, window.version, window.generation, "stream", span)
        return Verdict(
            verdict_id=subject.verdict_id,
            model=window.model,
            version=window.version,
            generation=window.generation,
            detector="stream",
            window_start=span.start,
            window_end=span.end,
            rows=rows,
            outcomes=rows,
            state="drift",
            scores=(
                Score(
                    signal="performance",
                    method=f"{metric}_evidence",
                    value=alarm.evidence,
                    threshold=alarm.threshold,
                    exceeded=True,
                ),
            ),
            drifted=("performance",),
            loss=window.loss,
            reference_loss=window.reference_loss,
            onset=span.start,
            explanation=(
                f"Compared with the reference of version {short(window.version)}, {metric} has been higher: the losses of {rows} "
                f"outcomes since about {span.start:%Y-%m-%d %H:%M} UTC add up to evidence of {alarm.evidence:.4g}, above the "
                f"threshold of {alarm.threshold:.4g}."
            ),
            reached_at=self.evaluation.now(),
        )
