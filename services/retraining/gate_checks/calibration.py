"""The calibration of probabilities may not become much worse than the champion's. Pure."""

from __future__ import annotations

from typing import Any

import numpy as np
import numpy.typing as npt

from services.retraining.gate_checks.check import Check, Measured
from services.retraining.gate_checks.comparison import Comparison, Scored
from services.retraining.gate_checks.jackknife import Sums, block_sums, jackknife_lower
from shared.contracts.gate.challenger_checks import Calibration
from shared.models.losses import Floats

CALIBRATION = "calibration"
# With fewer rows in a bin its share of positives is noise.
_ROWS_PER_BIN = 20


def check_calibration(settings: Calibration, compared: Comparison) -> Measured | None:
    """The expected calibration error of both models; None for other predictions, and with too few rows for the bins.

    Refuses if the lower confidence bound of the increase, by a jackknife over blocks of time, is above the bound.
    """
    if compared.spec.prediction.kind not in ("probability", "classes"):
        return None
    if compared.rows.num_rows < _ROWS_PER_BIN * settings.bins:
        return None
    models = [confidences(one) for one in (compared.champion, compared.challenger)]
    bins = [mass_bins(p, settings.bins) for p, _ in models]
    # Per block of time, model and bin: the sum of probability - hit; and the rows.
    columns = [
        np.where(number[:, None] == np.arange(settings.bins), (p - hit)[:, None], 0.0)
        for (p, hit), number in zip(models, bins, strict=True)
    ]
    values = np.concatenate([*columns, np.ones((len(bins[0]), 1))], axis=1)
    sums = block_sums(values, compared.blocks)

    def increase(total: Sums) -> float:
        before, after = (np.abs(total[place : place + settings.bins]).sum() for place in (0, settings.bins))
        return float((after - before) / total[-1])

    before, after = (
        expected_calibration_error(p, hit, number) for (p, hit), number in zip(models, bins, strict=True)
    )
    lower = jackknife_lower(sums, increase, settings.confidence)
    passed = lower <= settings.maximum_increase
    reason = (
        f"expected calibration error {before:.4f} → {after:.4f}; an increase of more than {settings.maximum_increase:g} "
        f"(gate.calibration.maximum_increase) is {'not ' if passed else ''}shown with {settings.confidence:.0%} confidence"
    )
    numbers = {
        "champion": {"error": before, "bins": _reliability(*models[0], bins[0])},
        "challenger": {"error": after, "bins": _reliability(*models[1], bins[1])},
    }
    return Measured(CALIBRATION, Check(CALIBRATION, passed, reason), numbers)


def expected_calibration_error(p: Floats, hit: Floats, bins: npt.NDArray[np.int64]) -> float:
    """The mean over the rows of |mean p - share of hits| of their bin.

    Naeini, Cooper and Hauskrecht, Obtaining well calibrated probabilities using Bayesian binning, AAAI (2015); with bins of
    equal mass: Nguyen and O'Connor, Posterior calibration and exploratory analysis, EMNLP (2015).

    >>> p, hit = np.array([0.1, 0.3, 0.6, 0.8]), np.array([0.0, 1.0, 1.0, 1.0])
    >>> round(expected_calibration_error(p, hit, np.array([0, 0, 1, 1])), 3)  # (|0.2 - 0.5| + |0.7 - 1|) / 2
    0.3
    """
    return float(np.abs(np.bincount(bins, weights=p - hit)).sum() / len(p))


def mass_bins(p: Floats, count: int) -> npt.NDArray[np.int64]:
    """The bin of each row, from 0: rows in order of p, in bins of equal size.

    >>> mass_bins(np.array([0.9, 0.1, 0.5, 0.2]), 2)
    array([1, 0, 1, 0])
    """
    ranks = np.empty(len(p), np.int64)
    ranks[np.argsort(p, kind="stable")] = np.arange(len(p))
    return ranks * count // len(p)


def confidences(model: Scored) -> tuple[Floats, Floats]:
    """A probability per row, and whether what it was given to happened: the positive class, or the most probable one.

    Of classes that is the confidence of Guo, Pleiss, Sun and Weinberger, On calibration of modern neural networks, ICML (2017).
    """
    scores = np.asarray(model.scores, np.float64)
    if scores.ndim == 1:
        return scores, model.outcomes
    return scores.max(axis=1), (scores.argmax(axis=1) == model.outcomes).astype(np.float64)


def _reliability(p: Floats, hit: Floats, bins: npt.NDArray[np.int64]) -> list[dict[str, Any]]:
    count = np.bincount(bins)
    mean, share = np.bincount(bins, weights=p) / count, np.bincount(bins, weights=hit) / count
    return [
        {"rows": int(rows), "probability": round(float(one), 6), "share": round(float(other), 6)}
        for rows, one, other in zip(count, mean, share, strict=True)
    ]
