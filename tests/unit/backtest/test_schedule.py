from __future__ import annotations

from itertools import combinations

import numpy as np
import pytest

from backtest.schedule import best_schedule


def brute_force(losses: np.ndarray, available: np.ndarray, training_cost: float) -> float:
    """The least cost over every subset of models that serve in order."""
    models, windows = losses.shape
    least = np.inf
    for size in range(models):
        for chosen in combinations(range(1, models), size):
            served = sorted((0, *chosen), key=lambda model: available[model])
            starts = [int(available[model]) for model in served]
            if len(set(starts)) < len(starts):
                continue
            ends = [*starts[1:], windows]
            total = sum(
                losses[model, start:end].sum() for model, start, end in zip(served, starts, ends, strict=True)
            )
            least = min(least, float(total) + training_cost * size)
    return least


@pytest.mark.parametrize("seed", range(40))
def test_the_cost_is_that_of_the_best_of_all_schedules(seed: int) -> None:
    rng = np.random.default_rng(seed)
    models, windows = int(rng.integers(1, 9)), int(rng.integers(2, 13))
    losses = rng.gamma(2.0, 1.0, (models, windows))
    # Several models may become available in the same window, in any order.
    available = np.concatenate([[0], rng.integers(1, windows, models - 1)])
    cost = float(rng.choice([0.0, 0.5, 3.0]))
    assert best_schedule(losses, available, cost).cost == pytest.approx(
        brute_force(losses, available, cost), abs=1e-9
    )


def test_the_models_of_the_schedule_cost_what_it_says() -> None:
    rng = np.random.default_rng(5)
    losses, available = rng.gamma(2.0, 1.0, (8, 20)), np.array([0, 9, 3, 3, 15, 6, 18, 12])
    best = best_schedule(losses, available, 0.7)
    starts = [int(available[model]) for model in best.models]
    assert starts == sorted(set(starts))
    ends = [*starts[1:], 20]
    total = sum(
        losses[model, start:end].sum() for model, start, end in zip(best.models, starts, ends, strict=True)
    )
    assert best.cost == pytest.approx(total + 0.7 * (len(best.models) - 1), abs=1e-9)


def test_the_first_model_serves_from_the_first_window() -> None:
    with pytest.raises(ValueError, match="model 0 serves from window 0"):
        best_schedule(np.ones((2, 3)), np.array([1, 2]), 0.0)
