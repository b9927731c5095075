"""The alarm budget: one number of false alarms per model, split over windows, signals and columns."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import timedelta

MONTH = timedelta(days=30)

# Of the whole budget, for the stream detectors, which watch the same features and predictions between windows; the windows have
# the rest, also where stream detection is off, so that their thresholds do not depend on it.
STREAM_SHARE = 0.25

# Shares of the windows' part. Performance, a single score, gets a large one: only it shows a changed relation of inputs and
# outcome.
FEATURE_SHARE = 0.3
ESTIMATED_PERFORMANCE_SHARE = 0.1
PREDICTION_SHARE = 0.2
PERFORMANCE_SHARE = 0.3
DATA_SHARE = 0.1

# A long window would be granted more than one alarm; with a higher false-alarm rate a threshold means nothing.
MAX_PER_WINDOW = 0.25


@dataclass(frozen=True)
class FalseAlarmRates:
    """False-alarm rate (alpha) of each single score of one window."""

    feature: float
    prediction: float
    estimated_performance: float
    performance: float
    data: float


def stream_budget(false_alarms_per_30_days: float) -> float:
    """False alarms per 30 days that all stream detectors of a model may raise together."""
    return STREAM_SHARE * false_alarms_per_30_days


def split_budget(
    false_alarms_per_30_days: float,
    window: timedelta,
    *,
    feature_scores: int,
    data_scores: int,
    prediction_scores: int = 1,
) -> FalseAlarmRates:
    """Split the windows' part of the budget by the union bound (Boole's inequality; Bonferroni 1936, Dunn 1961).

    It holds for any dependence between the scores: the expected number of false alarms is at most the sum of the rates.
    `window` is the event time that one window covers. The counts are scores per window; at least 1 is assumed.

    >>> rates = split_budget(1.0, timedelta(days=1), feature_scores=4, data_scores=10)
    >>> round(rates.feature, 6), round(rates.prediction, 6), round(rates.performance, 6), round(rates.data, 6)
    (0.001875, 0.005, 0.0075, 0.00025)
    >>> total = 4 * rates.feature + rates.prediction + rates.estimated_performance + rates.performance + 10 * rates.data
    >>> round(30 * total + stream_budget(1.0), 6)  # thirty windows a month, and the stream: one false alarm
    1.0
    """
    windows = MONTH / max(window, timedelta(seconds=1))
    per_window = min(MAX_PER_WINDOW, (1 - STREAM_SHARE) * false_alarms_per_30_days / windows)
    return FalseAlarmRates(
        feature=FEATURE_SHARE * per_window / max(1, feature_scores),
        prediction=PREDICTION_SHARE * per_window / max(1, prediction_scores),
        estimated_performance=ESTIMATED_PERFORMANCE_SHARE * per_window,
        performance=PERFORMANCE_SHARE * per_window,
        data=DATA_SHARE * per_window / max(1, data_scores),
    )
