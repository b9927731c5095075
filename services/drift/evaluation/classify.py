"""Classify an evaluation: from scores to a verdict and its explanation. Pure. The first state that applies:

warming_up         the reference has too few rows
insufficient_data  too few rows in the window
data_fault         a data score exceeds its threshold, or did so in the inputs of the same window, or an alarm of the stream
                   detectors has found faulty data in it: bad data never counts as drift. Outcomes that contradict each other
                   are such data, where outcomes are read
drift              a feature, prediction, estimated or realised performance score exceeds its threshold
insufficient_data  no score exceeds, but there are too few outcomes to measure performance
ok                 no score exceeds its threshold
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import datetime
from typing import Literal, get_args

from services.drift.windows import Span
from shared.contracts.manifest import short
from shared.contracts.verdict import Detector, DriftKind, MetricValue, Score, State, Verdict, cause_key
from shared.stores.contradictions import senders_text

_DRIFT_SIGNALS: tuple[DriftKind, ...] = get_args(DriftKind)
CONTRADICTING_SHARE = "contradicting_share"
_NAMED = 3
# Feature and data scores within their thresholds that a verdict includes: Kafka's limit for a record is one megabyte, and a model
# can have thousands of features.
MAX_SCORES_WITHIN_THRESHOLD = 1000
# As a share of the loss: a smaller change is no news, and every revision is a record and a ledger row.
MATERIAL_LOSS_CHANGE = 0.01


@dataclass(frozen=True)
class Subject:
    """What a verdict is about."""

    model: str
    version: str
    generation: int
    detector: Detector
    span: Span

    @property
    def verdict_id(self) -> str:
        """The cause key."""
        return cause_key(self.model, self.detector, self.version, self.span.end)

    def for_detector(self, detector: Detector) -> Subject:
        """The same window, for another detector."""
        return replace(self, detector=detector)

    @property
    def reads_inputs(self) -> bool:
        """Whether features, predictions and data quality are measured."""
        return self.detector != "performance"

    @property
    def reads_outcomes(self) -> bool:
        """Whether the loss is measured."""
        return self.detector in ("performance", "request")


@dataclass(frozen=True)
class Measurements:
    """The results of an evaluation. `loss_expected`: whether the model has a loss. `contradicting`: outcomes by sender."""

    rows: int
    outcomes: int
    reference_rows: int
    scores: tuple[Score, ...] = ()
    loss: float | None = None
    reference_loss: float | None = None
    loss_expected: bool = True
    minimum_rows: int = 0
    coverage: float | None = None
    outcome_lag_seconds: float | None = None
    estimated_loss: float | None = None
    estimated_auc: float | None = None
    metrics: tuple[MetricValue, ...] = ()
    contradicting: Mapping[str, int] = field(default_factory=dict)


def classify(
    subject: Subject, measurements: Measurements, reached_at: datetime, inputs: Verdict | None = None
) -> Verdict:
    """The verdict on a window. `inputs`: of a verdict on performance, that on the inputs of the same window; of others, that of
    an alarm about its inputs."""
    faulty = inputs if inputs is not None and inputs.state == "data_fault" else None
    state = _state(measurements, faulty is not None)
    exceeded = [score for score in measurements.scores if score.exceeded]
    drifted = tuple(signal for signal in _DRIFT_SIGNALS if any(score.signal == signal for score in exceeded))
    features = _top_drifted_features(exceeded, "data" if state == "data_fault" else "feature")
    return Verdict(
        verdict_id=subject.verdict_id,
        model=subject.model,
        version=subject.version,
        generation=subject.generation,
        detector=subject.detector,
        window_start=subject.span.start,
        window_end=subject.span.end,
        rows=measurements.rows,
        outcomes=measurements.outcomes,
        state=state,
        scores=_published_scores(measurements.scores),
        top_drifted_features=faulty.top_drifted_features if faulty and state == "data_fault" else features,
        drifted=drifted if state == "drift" else (),
        loss=measurements.loss,
        reference_loss=measurements.reference_loss,
        coverage=measurements.coverage,
        outcome_lag_seconds=measurements.outcome_lag_seconds,
        estimated_loss=measurements.estimated_loss,
        estimated_auc=measurements.estimated_auc,
        metrics=measurements.metrics,
        explanation=_explain(subject, measurements, state, exceeded, faulty),
        reached_at=reached_at,
    )


def _state(measurements: Measurements, faulty_inputs: bool) -> State:
    if measurements.reference_rows < measurements.minimum_rows:
        return "warming_up"
    if measurements.rows < measurements.minimum_rows:
        return "insufficient_data"
    exceeded = {score.signal for score in measurements.scores if score.exceeded}
    if faulty_inputs or "data" in exceeded:
        return "data_fault"
    if exceeded:
        return "drift"
    return "insufficient_data" if measurements.loss_expected and measurements.loss is None else "ok"


def is_changed(before: Verdict, after: Verdict) -> bool:
    """Whether the conclusion differs: the state, what drifted, or the loss by more than `MATERIAL_LOSS_CHANGE` of it."""
    if (before.state, before.drifted) != (after.state, after.drifted):
        return True
    if before.loss is None or after.loss is None:
        return before.loss is not after.loss
    return abs(after.loss - before.loss) > MATERIAL_LOSS_CHANGE * abs(before.loss)


def strength(score: Score) -> float:
    """How far a score lies above its threshold, as a ratio, so that unlike methods can be ordered."""
    return score.value / max(score.threshold, 1e-9)


def _published_scores(scores: tuple[Score, ...]) -> tuple[Score, ...]:
    """In the order given: scores that exceed, scores of the model, and the strongest others."""
    calm = [
        place
        for place, score in enumerate(scores)
        if not score.exceeded and score.signal in ("feature", "data")
    ]
    weakest = set(sorted(calm, key=lambda place: -strength(scores[place]))[MAX_SCORES_WITHIN_THRESHOLD:])
    return tuple(score for place, score in enumerate(scores) if place not in weakest)


def _top_drifted_features(exceeded: Sequence[Score], signal: Literal["data", "feature"]) -> tuple[str, ...]:
    strongest: dict[str, float] = {}
    for score in exceeded:
        if score.signal == signal and score.feature:
            strongest[score.feature] = max(strongest.get(score.feature, 0.0), strength(score))
    return tuple(sorted(strongest, key=lambda feature: (-strongest[feature], feature)))


def _explain(
    subject: Subject,
    measurements: Measurements,
    state: State,
    exceeded: Sequence[Score],
    faulty: Verdict | None,
) -> str:
    version = short(subject.version)
    if state == "warming_up":
        return (
            f"The reference of version {version} has {measurements.reference_rows} rows, fewer than the "
            f"{measurements.minimum_rows} "
            "needed as a baseline."
        )
    if state == "insufficient_data" and measurements.rows < measurements.minimum_rows:
        return f"The window holds {measurements.rows} rows, fewer than the {measurements.minimum_rows} needed to evaluate it."
    if state == "insufficient_data":
        return (
            f"Performance cannot be measured: {measurements.outcomes} of {measurements.rows} rows have an outcome, fewer than "
            f"the {measurements.minimum_rows} needed."
        )
    if state == "ok":
        return f"All scores are within their thresholds, compared with the reference of version {version}."
    if state == "data_fault" and faulty is not None:
        if subject.detector == "performance":
            return f"The inputs of this window are faulty, so its performance is not judged. {faulty.explanation}"
        return f"The stream detectors have found faulty data in this window. {faulty.explanation}"
    if state == "data_fault":
        faults = sorted((score for score in exceeded if score.signal == "data"), key=strength, reverse=True)
        blamed = ""
        if any(score.method == CONTRADICTING_SHARE for score in faults):
            blamed = f" Outcomes that contradict others are of {senders_text(Counter(measurements.contradicting))}."
        return f"Data fault: {_phrases(faults)}.{blamed} A data fault never starts retraining."
    order = {"performance": 0, "estimated_performance": 1, "prediction": 2, "feature": 3}
    worst = sorted(exceeded, key=lambda score: (order.get(score.signal, 4), -strength(score)))
    return f"Compared with the reference of version {version}: {_phrases(worst)}."


def _phrases(scores: Sequence[Score]) -> str:
    named = [
        f"{score.method}{_of(score)} {score.value:.4g} above {score.threshold:.4g}"
        for score in scores[:_NAMED]
    ]
    rest = len(scores) - len(named)
    return ", ".join(named) + (f" and {rest} more" if rest else "")


def _of(score: Score) -> str:
    if score.slice:
        return f" of slice {score.slice}"
    return f" of {score.feature}" if score.feature else ""
