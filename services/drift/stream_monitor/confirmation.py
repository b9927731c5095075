"""Confirmation: a suspicion becomes a verdict if Evidently's distances of the same rows agree; else it is withdrawn.

0. A fault that was counted (missing, infinite or unreadable values) is a data fault at once; it does not wait for the lake.
1. The lake must hold the rows up to the alarm; for a minute, at least half of those that the stream counted.
2. Evidently's distance of each blamed column and of the predictions is measured, over the event time from the estimated onset to
   the alarm, with the threshold that windows have, at a plain level: 5 % over the blamed columns together.
3. Rows that fail the data-quality checks of windows are a data fault, and so are those that the inferred fault explains.
4. If a blamed column or prediction is above its threshold, drift is confirmed. A fault that step 3 does not confirm is judged
   like drift: rows that come in groups, such as the flights of an hour with one weather, look like faults to a detector.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import datetime, timedelta
from typing import Literal

from services.drift.evaluation.classify import strength
from services.drift.evaluation.columns import Rows
from services.drift.evaluation.evaluator import Evaluator
from services.drift.evaluation.reference_profile import Reference
from services.drift.monitoring.inferred_faults import InferredFaults
from services.drift.monitoring.lake_reader import LakeReader
from services.drift.monitoring.references import References
from services.drift.slice_search.explained import with_found_slices
from services.drift.stream.alarm import Alarm, AlarmSignal, AlarmState
from services.drift.stream_monitor.suspicion import Suspicion
from services.drift.verdicts.store import VerdictStore
from services.drift.verdicts.stream_evidence import evidence_scores
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
        if suspicion.counted:
            return self._conclude(suspicion, "data_fault", suspicion.counted, suspicion.rows)
        if suspicion.state == "drift" and self._is_reported(suspicion, "drift", suspicion.alarms):
            return "same_cause", None
        span = suspicion.subject.span
        newest = self.lake_reader.watermarks(suspicion.model).predictions
        if newest is None or newest < span.end:
            return None
        reference = self.references.get(suspicion.model, suspicion.version)
        rows = self.lake_reader.rows(suspicion.model, reference.loop, span, suspicion.generation, "inputs")
        if len(rows) < suspicion.rows / 2 and self._may_wait(suspicion):
            return None
        measured = self._measure(suspicion, rows, reference)
        faults = self._inferred(suspicion, rows, reference)
        if faults or any(score.exceeded and score.signal == "data" for score in measured):
            # Bad data never counts as drift, as in a window.
            return self._conclude(suspicion, "data_fault", faults or suspicion.counting, len(rows), measured)
        signals: dict[str, AlarmSignal] = {column.feature.name: "feature" for column in reference.columns}
        confirmed = tuple(
            alarm
            for alarm in (as_drift(alarm, signals) for alarm in suspicion.alarms)
            if _agrees(alarm, measured)
        )
        if not confirmed:
            return "withdrawn", None
        conclusion, verdict = self._conclude(suspicion, "drift", confirmed, len(rows), measured)
        return conclusion, None if verdict is None else with_found_slices(verdict, rows, reference)

    def _conclude(
        self,
        suspicion: Suspicion,
        state: AlarmState,
        alarms: Sequence[Alarm],
        rows: int,
        measured: Sequence[Score] = (),
    ) -> tuple[Conclusion, Verdict | None]:
        if self._is_reported(suspicion, state, alarms):
            return "same_cause", None
        return "confirmed", self._verdict(suspicion, rows, alarms, measured, state)

    def _inferred(self, suspicion: Suspicion, rows: Rows, reference: Reference) -> tuple[Alarm, ...]:
        """The faults that explain the rows, each with the columns that it explains."""
        faults, found = InferredFaults(self.evaluator, LEVEL), []
        for alarm in suspicion.counting if suspicion.state == "data_fault" else ():
            columns = faults.of_alarm(alarm, suspicion.subject, rows, reference)
            blamed = tuple(blame for blame in alarm.blamed if blame.column in columns)
            if blamed:
                partners = tuple(
                    replace(blamed[0], column=column.name, feature=column.feature.name)
                    for column in reference.columns
                    if column.name in columns and column.name not in {blame.column for blame in blamed}
                )
                found.append(replace(alarm, blamed=(*blamed, *partners)))
        return tuple(found)

    def _may_wait(self, suspicion: Suspicion) -> bool:
        """Whether more rows may still arrive: a row that is dated ahead makes the lake seem complete before it is."""
        key = suspicion.subject.verdict_id
        if len(self._asked) > MAX_ASKED:
            self._asked.clear()
        return self.now() - self._asked.setdefault(key, self.now()) < LONGEST_WAIT

    def _is_reported(self, suspicion: Suspicion, state: AlarmState, alarms: Sequence[Alarm]) -> bool:
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
            if verdict.state == state and verdict.verdict_id != suspicion.subject.verdict_id
        ]
        known: set[str] = set()
        if state == "data_fault":
            known.update(name for verdict in reported for name in verdict.top_drifted_features)
            return {name for alarm in alarms for name in alarm.features} <= known
        known.update(signal for verdict in reported for signal in verdict.drifted)
        return {alarm.signal for alarm in alarms} <= known

    def _measure(self, suspicion: Suspicion, rows: Rows, reference: Reference) -> tuple[Score, ...]:
        blamed = {blame.column for alarm in suspicion.alarms for blame in alarm.blamed}
        everywhere = any(alarm.method == "many_columns" for alarm in suspicion.alarms)
        columns = tuple(column for column in reference.columns if everywhere or column.name in blamed)
        compared = replace(reference, columns=columns)
        level = LEVEL / max(1, len(columns if everywhere else blamed))
        return tuple(self.evaluator.drift_scores(suspicion.subject, rows, compared, level))

    def _verdict(
        self,
        suspicion: Suspicion,
        rows: int,
        alarms: Sequence[Alarm],
        measured: Sequence[Score],
        state: AlarmState,
    ) -> Verdict:
        subject = suspicion.subject
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
            scores=(*evidence_scores(alarms), *measured),
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


def as_drift(alarm: Alarm, signals: Mapping[str, AlarmSignal]) -> Alarm:
    """A fault that was not confirmed, as drift of the columns that it blames; `signals` by feature, others are predictions."""
    if alarm.signal != "data":
        return alarm
    return replace(alarm, signal=signals.get(alarm.features[0], "prediction"), state="drift")


def _agrees(alarm: Alarm, measured: Sequence[Score]) -> bool:
    """Whether a distance of what the alarm blames is above its threshold."""
    about = [score for score in measured if score.exceeded and score.signal == alarm.signal]
    if alarm.signal == "prediction" or alarm.method == "many_columns":
        return bool(about)
    return any(score.feature in alarm.features for score in about)


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
