"""Direct loss estimation finds where the losses are."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from services.drift.evaluation.direct_loss import DirectLoss
from tests.unit.services.drift.evaluation.scored_rows import value_rows

REFERENCE = value_rows(6000, 1)
FITTED = DirectLoss.of(REFERENCE, REFERENCE.loss)


@pytest.mark.parametrize("shift", [0.0, 1.0, -1.0])
def test_estimate_follows_the_losses_where_features_move(shift: float) -> None:
    window = value_rows(6000, 2, shift=shift)
    assert FITTED.losses(window).mean() == pytest.approx(window.loss.mean(), rel=0.06)


def test_categories_count() -> None:
    window = value_rows(2000, 3)
    estimates, category = FITTED.losses(window), window.columns["c"]
    assert estimates[category == "b"].mean() > 1.5 * estimates[category == "a"].mean()


def test_new_categories_and_missing_values_have_an_estimate() -> None:
    window = value_rows(100, 4)
    odd = replace(
        window,
        columns={"x": np.full(100, np.nan), "c": np.array(["new", None] * 50, dtype=object)},
    )
    assert np.isfinite(FITTED.losses(odd)).all()


def test_fit_is_deterministic_and_ignores_rows_without_loss() -> None:
    losses = REFERENCE.loss.copy()
    losses[::2] = np.nan
    window = value_rows(50, 5)
    first, second = (DirectLoss.of(REFERENCE, losses).losses(window) for _ in range(2))
    assert (first == second).all()
    assert not (first == FITTED.losses(window)).all()


def test_empty_and_constant_columns_are_left_out() -> None:
    """Also one whose values all lie in one part of the reference."""
    late = np.where(np.arange(6000) > 5900, np.arange(6000.0), np.nan)
    for empty in (np.full(6000, np.nan), np.full(6000, 3.0), late):
        columns = {**REFERENCE.columns, "x": empty, "c": np.full(6000, None, dtype=object)}
        rows = replace(REFERENCE, columns=columns)
        estimates = DirectLoss.of(rows.take(np.arange(3000)), rows.loss[:3000]).losses(rows)
        assert np.isfinite(estimates).all()


def test_without_a_telling_column_every_row_has_the_mean() -> None:
    rows = replace(REFERENCE, columns={}, predictions={"score": np.full(6000, 1.0)})
    assert DirectLoss.of(rows, rows.loss).losses(rows) == pytest.approx(REFERENCE.loss.mean())


def test_no_rows() -> None:
    assert FITTED.losses(value_rows(10, 6).take(np.array([], dtype=np.int64))).size == 0
