"""No slice may lose more than its bound. Pure."""

from __future__ import annotations

import numpy as np

from services.retraining.gate_checks.check import Check, Measured
from services.retraining.gate_checks.comparison import Comparison
from services.retraining.gate_checks.gain import gain_of, total_metric
from shared.contracts.gate.challenger_checks import SliceBound
from shared.contracts.slices.slice_spec import slices_of

SLICES = "slices"


def check_slices(bound: SliceBound, compared: Comparison) -> Measured | None:
    """The loss of each declared slice, before and after; None if none is declared.

    A slice refuses a challenger if the lower confidence bound of its increase (see `gain_of`) is above its bound. With m slices
    the confidence of each is 1 - (1 - confidence) / m, so that chance refuses a challenger with probability 1 - confidence at
    most, however many slices there are: Dunn, Multiple comparisons among means, JASA 56 (1961).
    """
    spec, rows = compared.spec, compared.rows
    parts = [(one.name, one.rows(rows)) for one in slices_of(spec.slices, spec.features, rows)]
    parts = [(name, chosen) for name, chosen in parts if chosen.any()]
    if not spec.slices:
        return None
    judged = sum(int(chosen.sum()) >= bound.minimum_rows for _, chosen in parts)
    confidence = 1 - (1 - bound.confidence) / max(1, judged)
    numbers, losing = [], []
    for name, chosen in parts:
        before, after = compared.champion.losses[chosen], compared.challenger.losses[chosen]
        increase = gain_of(after, before, compared.timestamps[chosen], confidence, root=compared.root)
        loss = total_metric(before, compared.root)
        limit = bound.maximum_increase * loss
        judged_here = len(before) >= bound.minimum_rows
        if judged_here and increase.lower > limit:
            losing.append(f"{name} {loss:.5f} → {total_metric(after, compared.root):.5f}")
        numbers.append(
            {
                "name": name,
                "rows": len(before),
                "champion_loss": loss,
                "challenger_loss": total_metric(after, compared.root),
                "increase": increase.mean,
                "increase_lower": increase.lower if np.isfinite(increase.lower) else None,
                "maximum_increase": limit,
                "judged": judged_here,
            }
        )
    share = f"{bound.maximum_increase:.0%}"
    if losing:
        reason = (
            f"{len(losing)} of {judged} slices lose more than {share} of the champion's loss "
            f"(gate.slices.maximum_increase): {', '.join(losing[:5])}"
        )
    else:
        reason = f"none of {judged} slices with {bound.minimum_rows} rows or more is known to lose more than {share}"
    return Measured(SLICES, Check(SLICES, not losing, reason), {"slices": numbers})
