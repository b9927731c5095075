"""What a policy cost, and what the best schedule of the trained models would have cost. Pure."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from backtest.schedule import BestSchedule, best_schedule
from shared.contracts.retraining_spec import Costs

Floats = npt.NDArray[np.float64]


@dataclass(frozen=True)
class Candidate:
    """A model that could have served. `first`: number of the first row that it could have answered, from 0 at the start.

    `losses`: of every row, 0 where its outcome is not known.
    """

    digest: str
    first: int
    losses: Floats


def distinct(candidates: Sequence[Candidate]) -> list[Candidate]:
    """Each model once, from the earliest row on; the first one given stays first."""
    found: dict[str, Candidate] = {}
    for one in candidates:
        if one.digest not in found or one.first < found[one.digest].first:
            found[one.digest] = one
    first = found.pop(candidates[0].digest)
    return [first, *sorted(found.values(), key=lambda one: one.first)]


def served_loss(served: Sequence[tuple[int, Floats]]) -> float:
    """The sum of losses over all rows; `served`: the losses of each model that answered, with the first row it answered.

    >>> served_loss([(0, np.array([1.0, 1.0, 1.0])), (2, np.array([0.0, 0.0, 0.25]))])
    2.25
    """
    ends = [first for first, _ in served[1:]] + [None]
    return float(sum(losses[first:end].sum() for (first, losses), end in zip(served, ends, strict=True)))


def best_in_hindsight(candidates: Sequence[Candidate], costs: Costs) -> BestSchedule:
    """The schedule of `candidates` (the first version first) that costs least, of models from `distinct`.

    The windows lie between the rows at which a model becomes available: within one, nothing can change.
    """
    edges = sorted({one.first for one in candidates})
    windows = [*edges, len(candidates[0].losses)]
    cumulative = [np.concatenate([[0.0], one.losses.cumsum()]) for one in candidates]
    losses = np.array([np.diff(total[windows]) for total in cumulative]) * costs.loss
    available = np.array([edges.index(one.first) for one in candidates])
    return best_schedule(losses, available, costs.training)
