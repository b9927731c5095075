"""Data faults: signs that the window's data are broken rather than that the world has changed."""

from __future__ import annotations

import math
from collections import Counter

import numpy as np
import numpy.typing as npt
from scipy import stats

from services.drift.evaluation.columns import Column, Floats, Objects
from services.drift.evaluation.scores import scored
from services.drift.thresholds.calibration import Baseline
from shared.contracts.loop_spec import Drift
from shared.contracts.verdict import Score

# Scores a column can give, for the split of the budget.
SCORES_PER_COLUMN = 3
# A sensor whose commonest value makes up more of the reference than this may well stand still for a window.
COMMONEST = 0.5


def missing(values: Floats | Objects) -> npt.NDArray[np.bool_]:
    """Which values are missing."""
    if values.dtype == object:
        return np.array([value is None or value != value for value in values], dtype=bool)
    result: npt.NDArray[np.bool_] = np.isnan(values.astype(np.float64))
    return result


def fault_scores(
    column: Column,
    window: Floats | Objects,
    reference: Floats | Objects,
    baseline: Baseline,
    drift: Drift,
    expected: float,
    alarm_chance: float,
) -> list[Score]:
    """Missing share, out-of-range share and a frozen value of one column, each against its threshold.

    `expected` is how many rows the reference has in as much time: a run of missing values counts as often as it is independent.
    """
    if window.size == 0:
        return []
    scores = _missing_score(column, missing(window), missing(reference), drift, expected, alarm_chance)
    present = window[~missing(window)]
    outside = _outside(column, present)
    if outside is not None and present.size:
        limit = float(stats.binom.isf(alarm_chance, present.size, drift.out_of_range)) / present.size
        scores += _score(column, "out_of_range_share", outside / present.size, limit)
    if column.kind == "numeric" and present.size > 1:
        scores += _frozen_score(column, present, reference, baseline, expected, alarm_chance)
    return scores


def _missing_score(
    column: Column,
    gone: npt.NDArray[np.bool_],
    gone_before: npt.NDArray[np.bool_],
    drift: Drift,
    expected: float,
    alarm_chance: float,
) -> list[Score]:
    share = float(gone_before.mean()) if gone_before.size else 0.0
    limit = share + drift.missing_increase
    inflation = _inflation(gone_before, expected)
    size = 1 / gone.size + (inflation - 1) / max(1.0, expected) + inflation / max(1, gone_before.size)
    chance = math.sqrt(min(limit, 0.5) * (1 - min(limit, 0.5)) * size) * float(stats.norm.isf(alarm_chance))
    # Wholly missing is a fault whatever chance allows, unless the reference was so, too.
    threshold = max(min(limit + chance, 1 - 0.5 / gone.size), share)
    return _score(column, "missing_share", float(gone.mean()), threshold)


def _inflation(gone: npt.NDArray[np.bool_], expected: float) -> float:
    """Variance of the missing share between blocks, as a multiple of what independent rows would give."""
    share = float(gone.mean()) if gone.size else 0.0
    length = int(max(10, min(expected, gone.size / 16)))
    blocks = gone.size // length
    if share in (0.0, 1.0) or blocks < 4:
        return 1.0
    means = gone[gone.size - blocks * length :].reshape(blocks, length).mean(axis=1)
    return max(1.0, float(means.var(ddof=1)) * length / (share * (1 - share)))


def _outside(column: Column, present: Floats | Objects) -> int | None:
    """Values outside what loop.yaml allows; None where it sets no bounds."""
    feature = column.feature
    if column.part:
        return None
    if feature.type == "category":
        allowed = frozenset(feature.values)
        return sum(1 for value in present if value not in allowed)
    if feature.minimum is None and feature.maximum is None:
        return None
    low = -math.inf if feature.minimum is None else feature.minimum
    high = math.inf if feature.maximum is None else feature.maximum
    return int(np.count_nonzero((present < low) | (present > high)))


def _frozen_score(
    column: Column,
    present: Floats | Objects,
    reference: Floats | Objects,
    baseline: Baseline,
    expected: float,
    alarm_chance: float,
) -> list[Score]:
    """The commonest value's share; all rows alike is a fault where the reference makes that as good as impossible."""
    before = reference[~missing(reference)]
    if before.size == 0:
        return []
    commonest_before = Counter(before.tolist()).most_common(1)[0][1] / before.size
    if commonest_before > COMMONEST:
        return []
    moments = min(present.size, expected) / baseline.inflation(expected).factor
    possible = commonest_before ** max(1.0, moments) >= alarm_chance
    share = Counter(present.tolist()).most_common(1)[0][1] / present.size
    return _score(column, "frozen_share", share, 1.0 if possible else 1 - 0.5 / present.size)


def _score(column: Column, method: str, value: float, threshold: float) -> list[Score]:
    part = f".{column.part}" if column.part else ""
    return scored("data", column.feature.name, method + part, value, threshold)
