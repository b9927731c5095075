"""From scores to a verdict. Pure: the order of precedence and the words live here.

warming_up         the reference is too short to know what is usual
insufficient_data  too few rows in the window
fault     a data score exceeds: bad data never counts as drift
drift     a feature, prediction or performance score exceeds
insufficient_data  nothing exceeds, but too few outcomes came in to see performance
ok        nothing exceeds
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Literal

from services.drift.windows import Span
from shared.contracts.manifest import short
from shared.contracts.verdict import Score, State, Verdict, cause_key

DriftSignal = Literal["feature", "prediction", "performance"]
_DRIFT_SIGNALS: tuple[DriftSignal, ...] = ("feature", "prediction", "performance")
_NAMED = 3
# Scores a verdict carries besides those that exceed and the model's own: Kafka takes no record beyond a megabyte, and a model may
# have thousands of features.
MOST_CALM_SCORES = 1000


@dataclass(frozen=True)
class Subject:
    """What a verdict is about."""

    model: str
    version: str
    generation: int
    detector: Literal["evaluation", "request"]
    span: Span

    @property
    def verdict_id(self) -> str:
        """The cause key."""
        return cause_key(self.model, self.detector, self.version, self.span.end)


@dataclass(frozen=True)
class Evidence:
    """What was measured in a window. `loss_expected`: whether the model is one that is judged by loss at all."""

    rows: int
    outcomes: int
    reference_rows: int
    scores: tuple[Score, ...] = ()
    loss: float | None = None
    reference_loss: float | None = None
    loss_expected: bool = True
    minimum_rows: int = 0


def conclude(subject: Subject, evidence: Evidence, reached_at: datetime) -> Verdict:
    """The verdict on a window."""
    state = _state(evidence)
    exceeded = [score for score in evidence.scores if score.exceeded]
    drifted = tuple(signal for signal in _DRIFT_SIGNALS if any(score.signal == signal for score in exceeded))
    return Verdict(
        verdict_id=subject.verdict_id,
        model=subject.model,
        version=subject.version,
        generation=subject.generation,
        detector=subject.detector,
        window_start=subject.span.start,
        window_end=subject.span.end,
        rows=evidence.rows,
        outcomes=evidence.outcomes,
        state=state,
        scores=_worth_telling(evidence.scores),
        top_drifted_features=_top_drifted_features(exceeded, "data" if state == "data_fault" else "feature"),
        drifted=drifted if state == "drift" else (),
        loss=evidence.loss,
        reference_loss=evidence.reference_loss,
        explanation=_explain(subject, evidence, state, exceeded),
        reached_at=reached_at,
    )


def _state(evidence: Evidence) -> State:
    if evidence.reference_rows < evidence.minimum_rows:
        return "warming_up"
    if evidence.rows < evidence.minimum_rows:
        return "insufficient_data"
    exceeded = {score.signal for score in evidence.scores if score.exceeded}
    if "data" in exceeded:
        return "data_fault"
    if exceeded:
        return "drift"
    return "insufficient_data" if evidence.loss_expected and evidence.loss is None else "ok"


def strength(score: Score) -> float:
    """How far a score lies above its threshold, as a ratio, so that unlike methods can be ordered."""
    return score.value / max(score.threshold, 1e-9)


def _worth_telling(scores: tuple[Score, ...]) -> tuple[Score, ...]:
    """In the order given: what exceeds, what is about the model as a whole, and the strongest of the rest."""
    calm = [
        place
        for place, score in enumerate(scores)
        if not score.exceeded and score.signal in ("feature", "data")
    ]
    weakest = set(sorted(calm, key=lambda place: -strength(scores[place]))[MOST_CALM_SCORES:])
    return tuple(score for place, score in enumerate(scores) if place not in weakest)


def _top_drifted_features(exceeded: Sequence[Score], signal: Literal["data", "feature"]) -> tuple[str, ...]:
    strongest: dict[str, float] = {}
    for score in exceeded:
        if score.signal == signal:
            strongest[score.feature] = max(strongest.get(score.feature, 0.0), strength(score))
    return tuple(sorted(strongest, key=lambda feature: (-strongest[feature], feature)))


def _explain(subject: Subject, evidence: Evidence, state: State, exceeded: Sequence[Score]) -> str:
    version = short(subject.version)
    if state == "warming_up":
        return (
            f"The reference of version {version} has {evidence.reference_rows} rows, fewer than the {evidence.minimum_rows} "
            "needed to know what is usual."
        )
    if state == "insufficient_data" and evidence.rows < evidence.minimum_rows:
        return f"The window holds {evidence.rows} rows, fewer than the {evidence.minimum_rows} needed to judge it."
    if state == "insufficient_data":
        return (
            f"Inputs and predictions look as usual, but only {evidence.outcomes} outcomes came in, fewer than the "
            f"{evidence.minimum_rows} needed to see performance."
        )
    if state == "ok":
        return f"Nothing in the window differs from version {version}'s reference by more than chance and tolerance allow."
    if state == "data_fault":
        faults = sorted((score for score in exceeded if score.signal == "data"), key=strength, reverse=True)
        return f"The data look broken: {_phrases(faults)}; a fault never retrains a model."
    order = {"performance": 0, "prediction": 1, "feature": 2}
    worst = sorted(exceeded, key=lambda score: (order.get(score.signal, 3), -strength(score)))
    return f"Against version {version}'s reference: {_phrases(worst)}."


def _phrases(scores: Sequence[Score]) -> str:
    named = [
        f"{score.method}{f' of {score.feature}' if score.feature else ''} {score.value:.4g} above {score.threshold:.4g}"
        for score in scores[:_NAMED]
    ]
    rest = len(scores) - len(named)
    return ", ".join(named) + (f" and {rest} more" if rest else "")
