"""The alarm budget: one number per model, split over windows, signals and columns."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import timedelta

MONTH = timedelta(days=30)

# Shares of the budget. Labels get most per signal: only they see a changed relation between inputs and outcome.
FEATURE_SHARE = 0.4
PREDICTION_SHARE = 0.2
PERFORMANCE_SHARE = 0.3
DATA_SHARE = 0.1

# Long windows would be granted more than one alarm each; past this chance a threshold would say nothing.
MOST_PER_WINDOW = 0.25


@dataclass(frozen=True)
class AlarmChances:
    """Chance of a false alarm that each single score of one window may spend."""

    feature: float
    prediction: float
    performance: float
    data: float


def split_budget(
    false_alarms_per_30_days: float, window: timedelta, *, feature_scores: int, data_scores: int
) -> AlarmChances:
    """Split the budget by the union bound, which holds whatever the dependence between the scores.

    `window` is the event time one window covers; counts are of scores per window, at least 1 is assumed.
    """
    windows = MONTH / max(window, timedelta(seconds=1))
    per_window = min(MOST_PER_WINDOW, false_alarms_per_30_days / windows)
    return AlarmChances(
        feature=FEATURE_SHARE * per_window / max(1, feature_scores),
        prediction=PREDICTION_SHARE * per_window,
        performance=PERFORMANCE_SHARE * per_window,
        data=DATA_SHARE * per_window / max(1, data_scores),
    )
