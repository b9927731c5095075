"""The best schedule of trainings in hindsight, by exact dynamic programming. Pure.

Models 0 … M-1 may be trained; model m can serve from window a(m) on, and model 0 is the first version, with a(0) = 0. L(m, k) is
the loss of model m on window k, of K. A schedule is a sequence 0 = m(0), m(1), … with a(m(0)) < a(m(1)) < …: each model serves
until the next one can. It costs c per training (not for model 0) and the losses of what was served.

Derivation. Let V(m) be the least cost from window a(m) on, if m starts to serve there. Costs after that do not depend on what
was served before, so by the principle of optimality (Bellman, Dynamic Programming, 1957, chapter III) the schedule after the next
training is a best one itself:

    V(m) = min( S(m, K),  min over n with a(n) > a(m) of  S(m, a(n)) + c + V(n) ),   S(m, e) = L(m, a(m)) + … + L(m, e - 1)

Models in the order of falling a(m) need values only that are known already. S comes from cumulative sums: O(M² + M K) in all. The
best schedule is traced back from V(0). It is exact: the minimum is taken over every schedule, of which there are up to 2^(M-1).
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

Floats = npt.NDArray[np.float64]


@dataclass(frozen=True)
class BestSchedule:
    """`models`: those that serve, in order, the first version first. `cost`: of trainings and losses."""

    cost: float
    models: tuple[int, ...]


def best_schedule(losses: Floats, available: npt.NDArray[np.int64], training_cost: float) -> BestSchedule:
    """The schedule with the least cost. `losses`: [M, K], in units of cost; `available`: a(m), [M], with a(0) = 0.

    A training that saves nothing is left out. Losses before a(m) are not read.

    >>> losses = np.array([[1.0, 5.0, 5.0], [9.0, 1.0, 3.0], [9.0, 9.0, 1.0]])
    >>> best_schedule(losses, np.array([0, 1, 2]), training_cost=2.5)
    BestSchedule(cost=7.5, models=(0, 1))
    >>> best_schedule(losses, np.array([0, 1, 2]), training_cost=0.0)
    BestSchedule(cost=3.0, models=(0, 1, 2))
    >>> best_schedule(losses, np.array([0, 1, 2]), training_cost=9.0)
    BestSchedule(cost=11.0, models=(0,))
    """
    models, windows = losses.shape
    if len(available) != models or available[0] != 0:
        raise ValueError("every model needs its first window, and model 0 serves from window 0")
    cumulative = np.concatenate([np.zeros((models, 1)), losses.cumsum(axis=1)], axis=1)
    cost = np.empty(models)
    following = np.full(models, -1)
    # Stable, so that the first version is the last of those that serve from window 0.
    order = np.argsort(-available, kind="stable")
    for model in order:
        served = cumulative[model] - cumulative[model, available[model]]
        cost[model] = served[windows]
        later = np.flatnonzero(available > available[model])
        if later.size:
            totals = served[available[later]] + training_cost + cost[later]
            least = int(totals.argmin())
            if totals[least] < cost[model]:
                cost[model], following[model] = totals[least], later[least]
    chosen = [0]
    while following[chosen[-1]] >= 0:
        chosen.append(int(following[chosen[-1]]))
    return BestSchedule(float(cost[0]), tuple(chosen))
