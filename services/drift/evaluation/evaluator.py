"""Judging one window: every score against a threshold that knows sizes, cardinality, serial correlation and the alarm budget."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Protocol

import numpy as np
from scipy import stats

from services.drift.evaluation.classify import Evidence, Subject
from services.drift.evaluation.columns import SCORE, Column, Rows, sample
from services.drift.evaluation.data_quality import SCORES_PER_COLUMN, fault_scores, missing
from services.drift.evaluation.evidently_adapter import METHODS, Sample
from services.drift.evaluation.performance import loss_limit, measure_loss
from services.drift.evaluation.reference_profile import Reference, judged_by_loss, metric_of
from services.drift.evaluation.scores import scored
from services.drift.thresholds.alarm_budget import AlarmChances, split_budget
from services.drift.thresholds.calibration import Sizes, distance_limit
from shared.contracts.verdict import Score, Signal


class Distances(Protocol):
    """How far a column is from the reference; None where that cannot be said."""

    def distance(self, sample: Sample) -> float | None: ...


@dataclass(frozen=True)
class Judge:
    """Measures windows. At most `most_rows` rows a side go to `examiner`."""

    examiner: Distances
    most_rows: int = 5000

    def measure(self, subject: Subject, window: Rows, reference: Reference) -> Evidence:
        """Everything that can be said about `window`. Never raises for what the rows hold."""
        loop = reference.loop
        outcomes = int(np.isfinite(window.outcome).sum())
        evidence = Evidence(
            rows=len(window),
            outcomes=outcomes,
            reference_rows=len(reference.rows),
            reference_loss=reference.loss.value if reference.loss else None,
            loss_expected=judged_by_loss(loop),
            minimum_rows=loop.drift.window.minimum_rows,
        )
        if min(evidence.rows, evidence.reference_rows) < evidence.minimum_rows:
            return evidence
        chances = _chances(subject, reference)
        expected = reference.expected_rows(subject.span.length, len(window))
        performance, loss = self._performance(window, reference, chances)
        scores = [
            *self._data(window, reference, expected, chances),
            *self._distances(subject, window, reference, expected, chances),
            *performance,
        ]
        return Evidence(
            rows=evidence.rows,
            outcomes=outcomes,
            reference_rows=evidence.reference_rows,
            scores=tuple(scores),
            loss=loss,
            reference_loss=evidence.reference_loss,
            loss_expected=evidence.loss_expected,
            minimum_rows=evidence.minimum_rows,
        )

    def _data(
        self, window: Rows, reference: Reference, expected: float, chances: AlarmChances
    ) -> list[Score]:
        scores: list[Score] = []
        for column in reference.columns:
            scores += fault_scores(
                column,
                window.columns[column.name],
                reference.rows.columns[column.name],
                reference.baselines[column.name],
                reference.loop.drift,
                expected,
                chances.data,
            )
        return scores

    def _distances(
        self, subject: Subject, window: Rows, reference: Reference, expected: float, chances: AlarmChances
    ) -> list[Score]:
        seed = int(subject.verdict_id[:8], 16)
        few, few_before = sample(window, self.most_rows, seed), sample(reference.rows, self.most_rows, seed)
        scores: list[Score] = []
        for column in reference.columns:
            name, kind = column.name, column.kind
            sizes = _sizes(
                window.columns[name],
                few.columns[name],
                reference.rows.columns[name],
                few_before.columns[name],
                expected,
            )
            pair = Sample(name, kind, few.columns[name], few_before.columns[name])
            scores += self._score(
                pair, "feature", column.feature.name, column.part, reference, sizes, chances.feature
            )
            if kind == "category":
                scores += _new_categories(column, window, reference, chances.feature)
        sizes = _sizes(window.score, few.score, reference.rows.score, few_before.score, expected)
        pair = Sample(SCORE, "numeric", few.score, few_before.score)
        return scores + self._score(pair, "prediction", "", "", reference, sizes, chances.prediction)

    def _score(
        self,
        pair: Sample,
        signal: Signal,
        feature: str,
        part: str,
        reference: Reference,
        sizes: Sizes,
        chance: float,
    ) -> list[Score]:
        value = self.examiner.distance(pair)
        if value is None:
            return []
        limit = distance_limit(reference.baselines[pair.name], sizes, chance)
        method = METHODS[pair.kind] + (f".{part}" if part else "")
        return scored(signal, feature, method, value, limit + reference.loop.drift.minimum_effect)

    def _performance(
        self, window: Rows, reference: Reference, chances: AlarmChances
    ) -> tuple[list[Score], float | None]:
        loop = reference.loop
        metric = metric_of(loop)
        loss = measure_loss(metric, window.score, window.outcome) if judged_by_loss(loop) else None
        if loss is None or loss.rows < loop.drift.window.minimum_rows:
            return [], None
        scores: list[Score] = []
        if reference.loss is not None:
            limit = loss_limit(loss, reference.loss, loop.drift.loss_increase, chances.performance)
            scores += scored("performance", "", metric, loss.value, limit)
        if loop.metric.floor is not None:
            scores += scored("performance", "", f"{metric}_floor", loss.value, loop.metric.floor)
        return scores, loss.value


def _chances(subject: Subject, reference: Reference) -> AlarmChances:
    columns = len(reference.columns)
    categories = sum(1 for column in reference.columns if column.kind == "category")
    return split_budget(
        reference.loop.drift.false_alarms_per_30_days,
        subject.span.length,
        feature_scores=columns + categories,
        data_scores=columns * SCORES_PER_COLUMN,
    )


def _sizes(window, window_sampled, reference, reference_sampled, expected) -> Sizes:  # type: ignore[no-untyped-def]
    counts = [int((~missing(side)).sum()) for side in (window, window_sampled, reference, reference_sampled)]
    # Serial correlation is counted among the rows that have a value.
    share = counts[2] / max(1, reference.size)
    return Sizes(counts[0], counts[1], counts[2], counts[3], expected * share)


def _new_categories(column: Column, window: Rows, reference: Reference, chance: float) -> list[Score]:
    """Share of rows with a category the reference does not have; the world changed, the data are not broken."""
    now, before = window.columns[column.name], reference.rows.columns[column.name]
    now, before = now[~missing(now)], before[~missing(before)]
    if now.size == 0 or before.size == 0:
        return []
    levels, counts = np.unique(before.astype(str), return_counts=True)
    known = frozenset(levels.tolist())
    share = sum(1 for value in now if value not in known) / now.size
    # The mass of categories never seen is about that of those seen once (Good and Turing).
    usual = now.size * max(1, int((counts == 1).sum())) / before.size
    limit = float(stats.poisson.isf(chance, usual)) / now.size + reference.loop.drift.minimum_effect
    return scored("feature", column.feature.name, "new_category_share", share, limit)
