"""Confirmation: a suspicion of drift becomes a verdict if Evidently's distances of the same rows agree; else it is withdrawn.

1. The lake must hold the rows up to the alarm; for a minute, at least half of those that the stream counted.
2. Evidently's distance of each blamed column and of the predictions is measured, over the event time from the estimated onset to
   the alarm, with the threshold that windows have, at a plain level: 5 % over the blamed columns together.
3. If a blamed column or prediction is above its threshold, drift is confirmed.

Rows that fail the data-quality checks of windows are a data fault instead. Missing values are counted, not estimated: a fault of
them needs no confirmation, and does not wait for the lake.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field, replace
from datetime import datetime, timedelta
from typing import Literal

from services.drift.evaluation.classify import strength
from services.drift.evaluation.columns import Rows
from services.drift.evaluation.evaluator import Evaluator
from services.drift.evaluation.reference_profile import Reference
from services.drift.monitoring.lake_reader import LakeReader
from services.drift.monitoring.references import References
from services.drift.stream.alarm import Alarm, AlarmState
from services.drift.stream_monitor.suspicion import Suspicion
from services.drift.verdicts.store import VerdictStore
from shared.contracts.manifest import short
from shared.contracts.verdict import Score, Verdict

LEVEL = 0.05
# For rows that the stream has counted and the lake does not have yet.
LONGEST_WAIT = timedelta(minutes=1)
MAX_ASKED = 1000
_NAMED = 3

Conclusion = Literal["confirmed", "withdrawn", "same_cause"]


@dataclass(frozen=True)
class Confirmation:
    """Examines suspicions. `now`: system clock."""

    references: References
    lake_reader: LakeReader
    evaluator: Evaluator
    verdicts: VerdictStore
    now: Callable[[], datetime]
    _asked: dict[str, datetime] = field(default_factory=dict)

    def examine(self, suspicion: Suspicion) -> tuple[Conclusion, Verdict | None] | None:
        """The conclusion, and the verdict if it is confirmed; None while the lake lacks rows.

        Raises HomeostatError where the lake or the reference cannot be read.
        """
        if self._is_reported(suspicion):
            return "same_cause", None
        if suspicion.state == "data_fault":
            return "confirmed", self._verdict(suspicion, suspicion.rows, (), ())
        span = suspicion.subject.span
        newest = self.lake_reader.watermarks(suspicion.model).predictions
        if newest is None or newest < span.end:
            return None
        reference = self.references.get(suspicion.model, suspicion.version)
        rows = self.lake_reader.rows(suspicion.model, reference.loop, span, suspicion.generation, "inputs")
        if len(rows) < suspicion.rows / 2 and self._may_wait(suspicion):
            return None
        measured = self._measure(suspicion, rows, reference)
        if any(score.exceeded and score.signal == "data" for score in measured):
            # Bad data never counts as drift, as in a window.
            return "confirmed", self._verdict(
                suspicion, len(rows), suspicion.counting, measured, "data_fault"
            )
        confirmed = tuple(alarm for alarm in suspicion.counting if _agrees(alarm, measured))
        if not confirmed:
            return "withdrawn", None
        return "confirmed", self._verdict(suspicion, len(rows), confirmed, measured)

    def _may_wait(self, suspicion: Suspicion) -> bool:
        """Whether more rows may still arrive: a row that is dated ahead makes the lake seem complete before it is."""
        key = suspicion.subject.verdict_id
        if len(self._asked) > MAX_ASKED:
            self._asked.clear()
        return self.now() - self._asked.setdefault(key, self.now()) < LONGEST_WAIT

    def _is_reported(self, suspicion: Suspicion) -> bool:
        """Whether verdicts of the last window say so already: one change often shows in several columns, one after the other.

        Drift is the same cause if its signals are reported, as the triggers of loop.yaml tell signals apart; a data fault if its
        features are, as people must repair each.
        """
        end = suspicion.subject.span.end
        reported = [
            verdict
            for verdict in self.verdicts.stream_verdicts(
                suspicion.model, suspicion.generation, end - suspicion.window
            )
            if verdict.state == suspicion.state and verdict.verdict_id != suspicion.subject.verdict_id
        ]
        known: set[str] = set()
        if suspicion.state == "data_fault":
            known.update(name for verdict in reported for name in verdict.top_drifted_features)
            return {name for alarm in suspicion.counting for name in alarm.features} <= known
        known.update(signal for verdict in reported for signal in verdict.drifted)
        return {alarm.signal for alarm in suspicion.counting} <= known

    def _measure(self, suspicion: Suspicion, rows: Rows, reference: Reference) -> tuple[Score, ...]:
        blamed = {blame.column for alarm in suspicion.counting for blame in alarm.blamed}
        everywhere = any(alarm.method == "many_columns" for alarm in suspicion.counting)
        columns = tuple(column for column in reference.columns if everywhere or column.name in blamed)
        compared = replace(reference, columns=columns)
        level = LEVEL / max(1, len(columns if everywhere else blamed))
        return tuple(self.evaluator.drift_scores(suspicion.subject, rows, compared, level))

    def _verdict(
        self,
        suspicion: Suspicion,
        rows: int,
        confirmed: Sequence[Alarm],
        measured: Sequence[Score],
        state: AlarmState | None = None,
    ) -> Verdict:
        subject, state = suspicion.subject, state or suspicion.state
        alarms = confirmed or suspicion.counting
        return Verdict(
            verdict_id=subject.verdict_id,
            model=subject.model,
            version=subject.version,
            generation=subject.generation,
            detector="stream",
            window_start=subject.span.start,
            window_end=subject.span.end,
            rows=rows,
            outcomes=0,
            state=state,
            scores=(*_evidence(alarms), *measured),
            top_drifted_features=tuple(
                dict.fromkeys(
                    name for alarm in alarms if alarm.signal != "prediction" for name in alarm.features
                )
            ),
            drifted=()
            if state == "data_fault"
            else tuple(dict.fromkeys(alarm.signal for alarm in alarms if alarm.signal != "data")),
            onset=min(alarm.onset for alarm in alarms),
            explanation=_explain(suspicion, alarms, measured, state),
            reached_at=self.now(),
        )


def _agrees(alarm: Alarm, measured: Sequence[Score]) -> bool:
    """Whether a distance of what the alarm blames is above its threshold."""
    about = [score for score in measured if score.exceeded and score.signal == alarm.signal]
    if alarm.signal == "prediction" or alarm.method == "many_columns":
        return bool(about)
    return any(score.feature in alarm.features for score in about)


def _evidence(alarms: Sequence[Alarm]) -> Iterator[Score]:
    """What the detectors saw, in nats."""
    for alarm in alarms:
        for blame in alarm.blamed:
            yield Score(
                signal=alarm.signal,
                feature="" if alarm.signal == "prediction" else blame.feature,
                method=f"{blame.method}_evidence"
                + (f".{blame.column}" if blame.column != blame.feature else ""),
                value=blame.evidence,
                threshold=blame.threshold,
                exceeded=blame.evidence > blame.threshold,
            )


def _explain(
    suspicion: Suspicion, alarms: Sequence[Alarm], measured: Sequence[Score], state: AlarmState
) -> str:
    span = suspicion.subject.span
    since = f"since about {span.start:%Y-%m-%d %H:%M:%S} UTC"
    if state == "data_fault":
        faults = [
            f"{alarm.method.replace('_', ' ')} in {', '.join(alarm.features[:_NAMED])}"
            + (f" and {len(alarm.features) - _NAMED} more" if len(alarm.features) > _NAMED else "")
            for alarm in alarms
        ]
        return f"Data fault {since}: {'; '.join(faults)}. A data fault never starts retraining."
    worst = sorted((score for score in measured if score.exceeded), key=strength, reverse=True)
    phrases = [
        f"{score.method} of {score.feature or 'the prediction'} {score.value:.4g} above {score.threshold:.4g}"
        for score in worst[:_NAMED]
    ]
    rest = f" and {len(worst) - _NAMED} more" if len(worst) > _NAMED else ""
    return f"Compared with the reference of version {short(suspicion.version)}, {since}: {', '.join(phrases)}{rest}."
