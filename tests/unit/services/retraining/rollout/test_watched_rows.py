"""Paired losses: of the watched generation only, on rows that both versions can be compared on."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from datetime import timedelta
from pathlib import Path

import numpy as np
import pyarrow as pa
import pytest

from services.retraining.rollout import watched_rows
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


def losses(one: Watched, *, nullable: bool = True, max_rows: int = 10_000) -> PairedLosses:
    """Of generation 2. `nullable`: whether the former version accepts rows without a feature."""
    made = one.installation
    version = made.store.releases(MODEL)[0].version
    with stored_model(made.store, made.keys, MODEL, version, open_in_process, "it was compared") as stored:
        features = [item.model_copy(update={"nullable": nullable}) for item in stored.spec.features]
        spec = stored.spec.model_copy(update={"features": features})
        former = StoredModel(version, spec, stored.model)
        end = RELEASED_AT + timedelta(hours=HOURS)
        return paired_losses(made.lake, former, made.spec, 2, RELEASED_AT, end, max_rows)


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


@pytest.mark.parametrize("max_rows", [200, 100, 30, 7])
def test_part_of_many_rows_is_spread_over_all_of_them(
    one: Watched, max_rows: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    """However the rows are cut into blocks, it is the same part, and never much more is held."""
    every = losses(one)
    held: list[int] = []
    spread = watched_rows._spread

    def watch(blocks: Iterable[pa.Table], most: int) -> pa.Table:
        return spread(kept(blocks, held), most)

    monkeypatch.setattr(watched_rows, "_spread", watch)
    hour = timedelta(hours=1)
    hours = [(RELEASED_AT + place * hour, RELEASED_AT + (place + 1) * hour) for place in range(HOURS)]
    monkeypatch.setattr(watched_rows, "blocks_between", lambda *_: hours)
    found = losses(one, max_rows=max_rows)
    assert len(held) == HOURS
    assert max(held) <= PER_HOUR
    assert found.times.size == max_rows
    places = np.searchsorted(every.times, found.times)
    np.testing.assert_array_equal(every.losses[places], found.losses)
    gaps = np.diff(places)
    assert gaps.max() <= 2 * gaps.min() + 2
    assert places[0] == 0
    assert places[-1] >= ROWS - 2 * gaps.max()
    monkeypatch.setattr(watched_rows, "blocks_between", lambda *_: [(RELEASED_AT, hours[-1][1])])
    np.testing.assert_array_equal(losses(one, max_rows=max_rows).times, found.times)


def kept(blocks: Iterable[pa.Table], held: list[int]) -> Iterator[pa.Table]:
    for block in blocks:
        held.append(block.num_rows)
        yield block
