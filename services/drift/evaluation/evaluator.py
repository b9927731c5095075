"""Evaluation of one window: every score with a threshold for its sizes, cardinality, serial correlation and alarm budget.

The detector decides what is measured: `inputs` features, predictions and data quality; `performance` the loss; `request` both.
The thresholds do not depend on it, so that both clocks together keep one budget, and agree with a request about the same rows.
"""

from __future__ import annotations

from dataclasses import dataclass, fields, replace
from functools import cached_property

import numpy as np

from services.drift.evaluation.classify import CONTRADICTING_SHARE, Measurements, Subject, strength
from services.drift.evaluation.columns import Column, Rows, prediction_columns, sample, sample_seed
from services.drift.evaluation.data_quality import SCORES_PER_COLUMN, data_quality_scores, missing
from services.drift.evaluation.estimated_performance import Estimate, estimate_threshold
from services.drift.evaluation.evidently_adapter import METHODS, Sample
from services.drift.evaluation.method_thresholds import Distances, MethodThresholds, method_of
from services.drift.evaluation.performance import loss_threshold, measure_loss
from services.drift.evaluation.reference_profile import Reference
from services.drift.evaluation.scores import score_or_none
from services.drift.evaluation.slice_performance import measured_metrics, slice_scores
from services.drift.thresholds.alarm_budget import FalseAlarmRates, split_budget
from services.drift.thresholds.calibration import Sizes
from services.drift.thresholds.count_limits import poisson_limit
from shared.contracts.verdict import MetricValue, Score, Signal
from shared.stores.contradiction_limit import contradiction_limit


@dataclass(frozen=True)
class Evaluator:
    """Evaluates windows. At most `max_rows` rows of the window and of the reference go to `distances`."""

    distances: Distances
    max_rows: int = 5000

    @cached_property
    def _thresholds(self) -> MethodThresholds:
        return MethodThresholds(self.distances, self.max_rows)

    def evaluate(self, subject: Subject, window: Rows, reference: Reference) -> Measurements:
        """The scores of `window` that the subject's detector measures. Does not raise for any content of the rows."""
        loop = reference.loop
        with_loss = subject.reads_outcomes and loop.performance is not None
        outcomes = int(np.isfinite(window.outcome).sum()) if with_loss else 0
        measurements = Measurements(
            rows=len(window),
            outcomes=outcomes,
            reference_rows=len(reference.rows),
            reference_loss=reference.loss.value if reference.loss and with_loss else None,
            loss_expected=with_loss,
            minimum_rows=loop.drift.window.minimum_rows,
            coverage=outcomes / len(window) if with_loss and len(window) else None,
            outcome_lag_seconds=_median_lag(window) if with_loss else None,
        )
        if min(measurements.rows, measurements.reference_rows) < measurements.minimum_rows:
            return measurements
        rates = _false_alarm_rates(subject, reference)
        scores: list[Score] = []
        loss = estimate = None
        metrics: tuple[MetricValue, ...] = ()
        if subject.reads_inputs:
            expected = reference.expected_rows(subject.span.length, len(window))
            scores += self._data(window, reference, expected, rates)
            scores += self._distances(subject, window, reference, expected, rates)
            of_estimate, estimate = _estimated_performance(window, reference, rates)
            scores += of_estimate
        if with_loss:
            of_loss, loss = self._performance(window, reference, rates)
            scores += [*_contradictions(window, outcomes, reference, rates), *of_loss]
            scores += slice_scores(window, reference, rates.slice)
            metrics = measured_metrics(window, reference)
        return replace(
            measurements,
            scores=tuple(scores),
            loss=loss,
            estimated_loss=estimate.value if estimate else None,
            estimated_auc=estimate.auc if estimate else None,
            metrics=metrics,
            contradicting=window.contradicting,
        )

    def drift_scores(self, subject: Subject, window: Rows, reference: Reference, alpha: float) -> list[Score]:
        """Data quality and distances of the columns of `reference`, and distances of the predictions, each with a false-alarm
        rate of `alpha`."""
        rates = FalseAlarmRates(*(alpha for _ in fields(FalseAlarmRates)))
        expected = reference.expected_rows(subject.span.length, len(window))
        return [
            *self._data(window, reference, expected, rates),
            *self._distances(subject, window, reference, expected, rates),
        ]

    def _data(
        self, window: Rows, reference: Reference, expected: float, rates: FalseAlarmRates
    ) -> list[Score]:
        scores: list[Score] = []
        for column in reference.columns:
            scores += data_quality_scores(
                column,
                window.columns[column.name],
                reference.rows.columns[column.name],
                reference.baselines[column.name],
                reference.loop.drift,
                expected,
                rates.data,
            )
        return scores

    def _distances(
        self, subject: Subject, window: Rows, reference: Reference, expected: float, rates: FalseAlarmRates
    ) -> list[Score]:
        seed = sample_seed(subject.model, subject.version, subject.span.end)
        window_sample, reference_sample = (
            sample(window, self.max_rows, seed),
            sample(reference.rows, self.max_rows, seed),
        )
        scores: list[Score | None] = []
        drift = reference.loop.drift
        for column in reference.columns:
            if not column.feature.watch:
                continue
            name, kind = column.name, column.kind
            sizes = _sizes(
                window.columns[name],
                window_sample.columns[name],
                reference.rows.columns[name],
                reference_sample.columns[name],
                expected,
            )
            pair = Sample(
                name,
                kind,
                window_sample.columns[name],
                reference_sample.columns[name],
                method=method_of(drift, kind, column),
            )
            scores.append(
                self._score(
                    pair, "feature", column.feature.name, column.summary, reference, sizes, rates.feature
                )
            )
            if kind == "category":
                scores.append(_new_categories(column, window, reference, rates.feature))
        for answer in prediction_columns(reference.loop):
            name = answer.name
            sizes = _sizes(
                window.predictions[name],
                window_sample.predictions[name],
                reference.rows.predictions[name],
                reference_sample.predictions[name],
                expected,
            )
            pair = Sample(
                name,
                answer.kind,
                window_sample.predictions[name],
                reference_sample.predictions[name],
                method=method_of(drift, answer.kind),
            )
            scores.append(
                self._score(pair, "prediction", "", answer.summary, reference, sizes, rates.prediction)
            )
        return _one_of_each_timestamp([score for score in scores if score is not None], reference)

    def _score(
        self,
        pair: Sample,
        signal: Signal,
        feature: str,
        summary: str,
        reference: Reference,
        sizes: Sizes,
        alpha: float,
    ) -> Score | None:
        value = self.distances.distance(pair)
        limit = None if value is None else self._thresholds.threshold(pair, value, reference, sizes, alpha)
        if value is None or limit is None:
            if pair.chosen == METHODS[pair.kind]:
                return None
            # The chosen method gives no number here, or the reference is too short for it.
            return self._score(replace(pair, method=""), signal, feature, summary, reference, sizes, alpha)
        method = pair.chosen + (f".{summary}" if summary else "")
        return score_or_none(signal, feature, method, value, limit)

    def _performance(
        self, window: Rows, reference: Reference, rates: FalseAlarmRates
    ) -> tuple[list[Score], float | None]:
        loop, performance = reference.loop, reference.loop.performance
        if performance is None:
            return [], None
        metric, floor = performance.metric.name, performance.metric.floor
        loss = measure_loss(metric, window.loss)
        if loss is None or loss.rows < loop.drift.window.minimum_rows:
            return [], None
        scores: list[Score | None] = []
        if reference.loss is not None:
            limit = loss_threshold(loss, reference.loss, loop.drift.loss_increase, rates.performance)
            scores.append(score_or_none("performance", "", metric, loss.value, limit))
        if floor is not None:
            scores.append(score_or_none("performance", "", f"{metric}_floor", loss.value, floor))
        return [score for score in scores if score is not None], loss.value


def _estimated_performance(
    window: Rows, reference: Reference, rates: FalseAlarmRates
) -> tuple[list[Score], Estimate | None]:
    """The loss that the window's inputs and answers suggest, before outcomes are known."""
    performance, loss = reference.loop.performance, reference.loss
    if performance is None or loss is None or reference.estimator is None:
        return [], None
    estimate = reference.estimator.estimate(window)
    if estimate is None or not np.isfinite(estimate.error):
        return [], None
    increase = reference.loop.drift.loss_increase
    limit = estimate_threshold(estimate, loss.value, loss.error, increase, rates.estimated_performance)
    method = f"estimated_{performance.metric.name}"
    score = score_or_none("estimated_performance", "", method, estimate.value, limit)
    return [score] if score is not None else [], estimate


def _contradictions(window: Rows, outcomes: int, reference: Reference, rates: FalseAlarmRates) -> list[Score]:
    """Share of outcomes that another one contradicts. It costs no false alarms: the tolerance lies far above usual shares."""
    performance = reference.loop.performance
    if performance is None or not outcomes:
        return []
    limit = contradiction_limit(outcomes, performance.outcome.contradictions, rates.data)
    share = min(1.0, window.contradicted_outcomes / outcomes)
    score = score_or_none("data", "", CONTRADICTING_SHARE, share, limit)
    return [score] if score is not None else []


def _median_lag(window: Rows) -> float | None:
    lag = np.array([]) if window.outcome_lag is None else window.outcome_lag[np.isfinite(window.outcome_lag)]
    return float(np.median(lag)) if lag.size else None


def _one_of_each_timestamp(scores: list[Score], reference: Reference) -> list[Score]:
    """Of the value and the age of a timestamp, the one that drifted less: the timestamp drifts only if both do."""
    times = {one.name for one in reference.loop.features if one.type == "timestamp"}
    calmest: dict[str, Score] = {}
    for score in scores:
        if score.feature in times:
            other = calmest.get(score.feature, score)
            calmest[score.feature] = min(other, score, key=strength)
    return [score for score in scores if calmest.get(score.feature, score) is score]


def _false_alarm_rates(subject: Subject, reference: Reference) -> FalseAlarmRates:
    watched = [column for column in reference.columns if column.feature.watch]
    categories = sum(1 for column in watched if column.kind == "category")
    return split_budget(
        reference.loop.drift.false_alarms_per_30_days,
        subject.span.length,
        feature_scores=len(watched) + categories,
        data_scores=len(reference.columns) * SCORES_PER_COLUMN,
        prediction_scores=len(prediction_columns(reference.loop)),
        slices=len(reference.slices),
    )


def _sizes(window, window_sampled, reference, reference_sampled, expected) -> Sizes:  # type: ignore[no-untyped-def]
    counts = [int((~missing(side)).sum()) for side in (window, window_sampled, reference, reference_sampled)]
    # Serial correlation is counted among the rows that have a value.
    share = counts[2] / max(1, reference.size)
    return Sizes(counts[0], counts[1], counts[2], counts[3], expected * share)


def _new_categories(column: Column, window: Rows, reference: Reference, alpha: float) -> Score | None:
    """Share of rows whose category is not in the reference. This is drift, not a data fault."""
    now, before = window.columns[column.name], reference.rows.columns[column.name]
    now, before = now[~missing(now)], before[~missing(before)]
    if now.size == 0 or before.size == 0:
        return None
    levels, counts = np.unique(before.astype(str), return_counts=True)
    known = frozenset(levels.tolist())
    share = sum(1 for value in now if value not in known) / now.size
    # The mass of categories never seen is about that of those seen once (Good 1953).
    usual = now.size * max(1, int((counts == 1).sum())) / before.size
    limit = poisson_limit(usual, alpha) / now.size + reference.loop.drift.minimum_effect
    return score_or_none("feature", column.feature.name, "new_category_share", share, limit)
