"""The scale of losses, and the mean above which evidence adds up."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

import numpy as np
import numpy.typing as npt
import pytest

from services.drift.evaluation.columns import Rows
from services.drift.evaluation.performance import measure_loss
from services.drift.evaluation.reference_profile import Reference
from services.drift.stream.loss_standard import LossStandard
from services.drift.thresholds.alarm_budget import error_budget
from tests.unit.services.drift.world import loop

Floats = npt.NDArray[np.float64]
STEP = timedelta(seconds=10) // timedelta(microseconds=1)


def standard(losses: Floats, *, metric: str = "log_loss", **drift: Any) -> LossStandard | None:
    spec = loop(
        metric={"name": metric},
        drift={"window": {"every": "1h", "minimum_rows": 100}, "loss_increase": 0.0, **drift},
        **({"prediction": {"kind": "value"}} if metric == "rmse" else {}),
    )
    rows = Rows(np.arange(losses.size) * STEP, {}, {}, np.ones(losses.size), losses)
    return LossStandard.of(
        Reference("ab" * 32, spec, rows, (), {}, measure_loss("mae", losses), "held out", -1)
    )


def gamma(rows: int, seed: int = 1) -> Floats:
    return np.random.default_rng(seed).gamma(1.3, 0.44, rows)


def test_scale_reaches_to_the_99th_percentile() -> None:
    losses = gamma(20_000)
    found = standard(losses)
    assert found is not None
    assert found.bound == np.quantile(losses, 0.99)
    assert found.scaled(np.array([0.0, found.bound / 2, 5.0])).tolist() == [0.0, 0.5, 1.0]
    assert found.mean < found.null < 1.02 * found.mean
    assert found.dependence == pytest.approx(1.0, abs=1.0)


def test_tolerated_increase_is_in_the_metric_and_so_is_that_of_rmse() -> None:
    losses = gamma(20_000)
    without, tolerant = standard(losses), standard(losses, loss_increase=0.05)
    assert without is not None
    assert tolerant is not None
    assert (tolerant.null - without.null) * without.bound == pytest.approx(0.05)
    without, tolerant = standard(losses, metric="rmse"), standard(losses, metric="rmse", loss_increase=0.05)
    assert without is not None
    assert tolerant is not None
    risen = (np.sqrt(losses.mean()) + 0.05) ** 2 - losses.mean()
    assert (tolerant.null - without.null) * without.bound == pytest.approx(risen)


def test_correlated_losses_raise_the_limit_and_the_dependence() -> None:
    level = np.repeat(np.random.default_rng(2).normal(1, 0.2, 40), 500)
    calm, moved = standard(gamma(20_000)), standard(gamma(20_000) * level)
    assert calm is not None
    assert moved is not None
    assert moved.dependence > 3 * calm.dependence
    assert moved.null / moved.mean > calm.null / calm.mean


def test_alarms_per_row_come_from_the_budget() -> None:
    found = standard(gamma(20_000), false_alarms_per_30_days=2)
    assert found is not None
    per_month = 30 * 24 * 360 * 20_000 / 19_999  # a row every ten seconds
    assert found.rows_between_alarms == pytest.approx(per_month / error_budget(2))


def test_seldom_errors_have_the_scale_of_an_error() -> None:
    found = standard((np.arange(5_000) % 500 == 0).astype(float), metric="brier")
    assert found is not None
    assert found.bound == 1.0
    assert found.null > 0.002


@pytest.mark.parametrize("losses", [np.zeros(500), np.ones(500)], ids=["no loss", "nothing can be worse"])
def test_losses_without_a_standard(losses: Floats) -> None:
    assert standard(losses) is None
