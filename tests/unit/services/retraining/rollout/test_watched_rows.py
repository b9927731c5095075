"""Paired losses: of the watched generation only, on rows that both versions can be compared on."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import timedelta
from pathlib import Path

import numpy as np
import pytest

from services.retraining.rollout.stored_model import StoredModel, stored_model
from services.retraining.rollout.watched_rows import PairedLosses, paired_losses
from tests.fakes.in_process_models import open_in_process
from tests.fakes.retraining_installation import MODEL, fill_lake
from tests.fakes.watched_installation import PER_HOUR, RELEASED_AT, Watched, watched

HOURS = 10
# One row in 50 has no x.
ROWS, WITHOUT_X = HOURS * PER_HOUR, 5


@pytest.fixture
def one(tmp_path: Path) -> Iterator[Watched]:
    with watched(tmp_path, slope=1.0) as made:
        made.answer(HOURS, 1.0)
        yield made


def answer(one: Watched, generation: int, slope: float) -> None:
    """Further rows in the same hours."""
    fill_lake(
        one.installation.lake,
        RELEASED_AT,
        HOURS / 24,
        PER_HOUR,
        20 + generation,
        generation=generation,
        slope=slope,
    )


def losses(one: Watched, *, nullable: bool = True) -> PairedLosses:
    """Of generation 2. `nullable`: whether the former version accepts rows without a feature."""
    made = one.installation
    version = made.store.releases(MODEL)[0].version
    with stored_model(made.store, made.keys, MODEL, version, open_in_process, "it was compared") as stored:
        features = [item.model_copy(update={"nullable": nullable}) for item in stored.spec.features]
        spec = stored.spec.model_copy(update={"features": features})
        former = StoredModel(version, spec, stored.model)
        end = RELEASED_AT + timedelta(hours=HOURS)
        return paired_losses(made.lake, former, made.spec, 2, RELEASED_AT, end, 10_000)


def test_rows_of_other_generations_are_left_out(one: Watched) -> None:
    before = losses(one)
    assert before.losses.size == ROWS
    answer(one, 1, -2.0)
    answer(one, 3, -2.0)
    after = losses(one)
    np.testing.assert_array_equal(after.times, before.times)
    np.testing.assert_array_equal(after.losses, before.losses)
    np.testing.assert_array_equal(after.former_losses, before.former_losses)


def test_rows_without_a_feature_that_the_former_version_needs_are_left_out(one: Watched) -> None:
    assert losses(one, nullable=False).losses.size == ROWS - WITHOUT_X


def test_rows_that_the_served_version_answered_without_a_number_are_left_out(one: Watched) -> None:
    answer(one, 2, float("nan"))
    found = losses(one)
    assert found.losses.size == found.former_losses.size == found.times.size == ROWS
    assert np.isfinite(found.losses).all()
