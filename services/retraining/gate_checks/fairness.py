"""The difference between groups of rows. Pure."""

from __future__ import annotations

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from services.retraining.gate_checks.check import Check, Measured
from services.retraining.gate_checks.comparison import Comparison, Scored
from services.retraining.gate_checks.jackknife import Sums, block_sums, jackknife_lower
from shared.contracts.gate.challenger_checks import Fairness
from shared.models.losses import Floats

FAIRNESS = "fairness"


def check_fairness(settings: Fairness | None, compared: Comparison) -> Measured | None:
    """The largest difference between two groups, before and after; None if not declared, or with fewer than two groups.

    `rate` is the difference of demographic parity (Dwork et al., Fairness through awareness, ITCS (2012)), `loss` that of
    overall error (Hashimoto et al., Fairness without demographics in repeated loss minimization, ICML (2018)). Refuses if the
    lower confidence bound of the difference, by a jackknife over blocks of time, is above the bound, and it is not below the
    champion's.
    """
    if settings is None:
        return None
    texts = pc.cast(compared.rows[settings.feature], pa.string()).combine_chunks()
    members = {
        str(value): np.asarray(pc.fill_null(pc.equal(texts, value), False).to_numpy(zero_copy_only=False))
        for value in sorted(pc.unique(texts.drop_null()).to_pylist())
    }
    groups = {name: rows for name, rows in members.items() if int(rows.sum()) >= settings.minimum_rows}
    if len(groups) < 2:
        return None
    belongs = np.stack(list(groups.values()), axis=1).astype(np.float64)
    values = [_measured(settings, one) for one in (compared.champion, compared.challenger)]
    sums = [
        block_sums(np.stack([belongs * value[:, None], belongs], axis=1), compared.blocks) for value in values
    ]
    before, after = (difference(one.sum(axis=0)) for one in sums)
    lower = jackknife_lower(sums[1], difference, settings.confidence)
    shown = lower > settings.maximum_difference
    reason = (
        f"the {settings.measure} of the groups of {settings.feature} differs by {before:.4f} → {after:.4f}; more than "
        f"{settings.maximum_difference:g} (gate.fairness.maximum_difference) is {'' if shown else 'not '}shown with "
        f"{settings.confidence:.0%} confidence"
    )
    means = [one.sum(axis=0)[0] / one.sum(axis=0)[1] for one in sums]
    numbers = {
        "measure": settings.measure,
        "feature": settings.feature,
        "champion": before,
        "challenger": after,
        "groups": [
            {"name": name, "rows": int(rows.sum()), "champion": float(old), "challenger": float(new)}
            for (name, rows), old, new in zip(groups.items(), *means, strict=True)
        ],
    }
    return Measured(FAIRNESS, Check(FAIRNESS, not shown or after < before, reason), numbers)


def difference(total: Sums) -> float:
    """The largest difference of two groups' means; `total`: the sums and the numbers of rows by group, [2, groups].

    >>> round(difference(np.array([[3.0, 8.0, 0.0], [10.0, 20.0, 0.0]])), 3)
    0.1
    """
    means = total[0][total[1] > 0] / total[1][total[1] > 0]
    return float(means.max() - means.min())


def _measured(settings: Fairness, model: Scored) -> Floats:
    if settings.measure == "loss":
        return model.losses
    return (np.asarray(model.scores, np.float64) >= settings.threshold).astype(np.float64)
