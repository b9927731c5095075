"""The alarm budget: one number of false alarms per model, split over windows, signals and columns."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import timedelta

from shared.contracts.verdict import Clock

MONTH = timedelta(days=30)

# Of the whole budget, for the stream detectors, which watch the same features and predictions between windows; the windows have
# the rest, also where stream detection is off, so that their thresholds do not depend on it.
STREAM_SHARE = 0.25
# Of the stream detectors' part, for the evidence that realised losses add up over windows.
ERRORS_SHARE = 0.2

# Shares of the windows' part. Performance, a single score, gets a large one: only it shows a changed relation of inputs and
# outcome.
FEATURE_SHARE = 0.3
ESTIMATED_PERFORMANCE_SHARE = 0.1
PREDICTION_SHARE = 0.2
PERFORMANCE_SHARE = 0.3
# Of the share of performance, for all slices together: a change of the whole window is still found where there are many of them.
SLICES_SHARE = 0.5
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
    slice: float = 0.0


def stream_budget(false_alarms_per_30_days: float) -> float:
    """False alarms per 30 days that all detectors of features, predictions and data of a model may raise together."""
    return STREAM_SHARE * (1 - ERRORS_SHARE) * false_alarms_per_30_days


def error_budget(false_alarms_per_30_days: float) -> float:
    """False alarms per 30 days that the detector of realised losses may raise."""
    return STREAM_SHARE * ERRORS_SHARE * false_alarms_per_30_days


def split_budget(
    false_alarms_per_30_days: float,
    window: timedelta,
    *,
    feature_scores: int,
    data_scores: int,
    prediction_scores: int = 1,
    slices: int = 0,
) -> FalseAlarmRates:
    """Split the windows' part of the budget by the union bound (Boole's inequality; Bonferroni 1936, Dunn 1961).

    It holds for any dependence between the scores: the expected number of false alarms is at most the sum of the rates.
    `window` is the event time that one window covers. The counts are scores per window; at least 1 is assumed.

    >>> rates = split_budget(1.0, timedelta(days=1), feature_scores=4, data_scores=10)
    >>> round(rates.feature, 6), round(rates.prediction, 6), round(rates.performance, 6), round(rates.data, 6)
    (0.001875, 0.005, 0.0075, 0.00025)
    >>> total = 4 * rates.feature + rates.prediction + rates.estimated_performance + rates.performance + 10 * rates.data
    >>> round(30 * total + stream_budget(1.0) + error_budget(1.0), 6)  # thirty windows a month, and the rest: one false alarm
    1.0

    Where there are slices, they have half of the share of performance together.

    >>> sliced = split_budget(1.0, timedelta(days=1), feature_scores=4, data_scores=10, slices=5)
    >>> round(sliced.performance + 5 * sliced.slice, 6), round(sliced.slice, 6)
    (0.0075, 0.00075)
    """
    per_window = _per_window(false_alarms_per_30_days, window)
    return FalseAlarmRates(
        feature=FEATURE_SHARE * per_window / max(1, feature_scores),
        prediction=PREDICTION_SHARE * per_window / max(1, prediction_scores),
        estimated_performance=ESTIMATED_PERFORMANCE_SHARE * per_window,
        performance=PERFORMANCE_SHARE * per_window * (1 - SLICES_SHARE if slices else 1),
        data=DATA_SHARE * per_window / max(1, data_scores),
        slice=PERFORMANCE_SHARE * per_window * SLICES_SHARE / max(1, slices),
    )


def expected_false_alarms(false_alarms_per_30_days: float, window: timedelta, clock: Clock) -> float:
    """False alarms to expect, at most, of one window that this clock judges.

    >>> day = timedelta(days=1)
    >>> both = expected_false_alarms(1.0, day, "inputs") + expected_false_alarms(1.0, day, "performance")
    >>> round(30 * both + stream_budget(1.0) + error_budget(1.0), 6)
    1.0
    """
    share = PERFORMANCE_SHARE if clock == "performance" else 1 - PERFORMANCE_SHARE
    return share * _per_window(false_alarms_per_30_days, window)


def _per_window(false_alarms_per_30_days: float, window: timedelta) -> float:
    windows = MONTH / max(window, timedelta(seconds=1))
    return min(MAX_PER_WINDOW, (1 - STREAM_SHARE) * false_alarms_per_30_days / windows)
