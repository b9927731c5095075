"""Data quality: signs that a window's data are broken, not that the world changed. Sources: docs/statistics.md."""

from __future__ import annotations

import math
from collections import Counter

import numpy as np
import numpy.typing as npt
from scipy.special import ndtri

from services.drift.evaluation.columns import LEVELS, Column, Floats, Objects
from services.drift.evaluation.scores import score_or_none
from services.drift.thresholds.calibration import Baseline
from services.drift.thresholds.count_limits import binomial_limit
from shared.contracts.loop_spec import Drift
from shared.contracts.verdict import Score
from shared.models.valid_values import outside

# Scores that a column can have; the alarm budget is split over them.
SCORES_PER_COLUMN = 3
# A column whose most frequent value has a larger share of the reference may keep one value for a window.
MAX_MODE_SHARE = 0.5


def missing(values: Floats | Objects) -> npt.NDArray[np.bool_]:
    """Which values are missing."""
    if values.dtype == object:
        nothing = np.equal(values, np.array(None, dtype=object))
        return np.asarray(nothing | (values != values), dtype=np.bool_)
    result: npt.NDArray[np.bool_] = np.isnan(values.astype(np.float64))
    return result


def data_quality_scores(
    column: Column,
    window: Floats | Objects,
    reference: Floats | Objects,
    baseline: Baseline,
    drift: Drift,
    expected: float,
    alpha: float,
) -> list[Score]:
    """Missing share, out-of-range share and share of the most frequent value of one column, each with its threshold.

    Out of range: upper `alpha` quantile of the binomial distribution with the tolerated share. `expected`: rows of the reference
    in a time as long as the window, because correlated missing values count by time, not by rows.
    """
    if window.size == 0:
        return []
    absent = missing(window)
    scores = []
    if column.summary != "age":  # the age is missing where the value is
        scores.append(_missing_score(column, absent, missing(reference), drift, expected, alpha))
    present = window[~absent]
    invalid = _outside(column, present)
    if invalid is not None and present.size:
        limit = binomial_limit(present.size, drift.out_of_range, alpha) / present.size
        scores.append(_score(column, "out_of_range_share", invalid / present.size, limit))
    if column.kind == "numeric" and present.size > 1:
        scores.append(_constant_score(column, present, reference, baseline, expected, alpha))
    return [score for score in scores if score is not None]


def _missing_score(
    column: Column,
    absent: npt.NDArray[np.bool_],
    absent_before: npt.NDArray[np.bool_],
    drift: Drift,
    expected: float,
    alpha: float,
) -> Score | None:
    share = float(absent_before.mean()) if absent_before.size else 0.0
    limit = share + drift.missing_increase
    effect = _design_effect(absent_before, expected)
    size = 1 / absent.size + (effect - 1) / max(1.0, expected) + effect / max(1, absent_before.size)
    margin = math.sqrt(min(limit, 0.5) * (1 - min(limit, 0.5)) * size) * -float(ndtri(alpha))
    # All values missing is always a fault, unless the reference is the same.
    threshold = max(min(limit + margin, 1 - 0.5 / absent.size), share)
    return _score(column, "missing_share", float(absent.mean()), threshold)


def _design_effect(absent: npt.NDArray[np.bool_], expected: float) -> float:
    """Variance of the missing share between blocks, as a multiple of the binomial variance (Kish 1965).

    >>> rng = np.random.default_rng(7)
    >>> round(_design_effect(rng.random(4_000) < 0.1, expected=100), 1)
    1.0
    >>> round(_design_effect(np.repeat(rng.random(400) < 0.1, 10), expected=100), 1)  # runs of ten: about ten
    11.4
    """
    share = float(absent.mean()) if absent.size else 0.0
    length = int(max(10, min(expected, absent.size / 16)))
    blocks = absent.size // length
    if share in (0.0, 1.0) or blocks < 4:
        return 1.0
    means = absent[absent.size - blocks * length :].reshape(blocks, length).mean(axis=1)
    return max(1.0, float(means.var(ddof=1)) * length / (share * (1 - share)))


def _outside(column: Column, present: Floats | Objects) -> int | None:
    """Values outside what loop.yaml allows, of a tensor the rows whose mean is; None where it sets no bounds."""
    found = outside(column.feature, present) if column.summary in LEVELS else None
    return None if found is None else int(np.count_nonzero(found))


def _constant_score(
    column: Column,
    present: Floats | Objects,
    reference: Floats | Objects,
    baseline: Baseline,
    expected: float,
    alpha: float,
) -> Score | None:
    """Share of the most frequent value; all rows equal is a fault if the reference makes that less likely than `alpha`."""
    before = reference[~missing(reference)]
    if before.size == 0:
        return None
    mode_share = Counter(before.tolist()).most_common(1)[0][1] / before.size
    if mode_share > MAX_MODE_SHARE:
        return None
    independent = min(present.size, expected) / baseline.design_effect(expected).factor
    possible = mode_share ** max(1.0, independent) >= alpha
    share = Counter(present.tolist()).most_common(1)[0][1] / present.size
    return _score(column, "constant_share", share, 1.0 if possible else 1 - 0.5 / present.size)


def _score(column: Column, method: str, value: float, threshold: float) -> Score | None:
    summary = f".{column.summary}" if column.summary else ""
    return score_or_none("data", column.feature.name, method + summary, value, threshold)
