"""Which outcomes were added after a version of their table."""

from __future__ import annotations

import shutil
from datetime import timedelta
from pathlib import Path

import numpy as np
import pytest
from deltalake import DeltaTable

from shared.stores.added_outcomes import outcome_ids_since
from tests.unit.services.drift.world import World, minutes


@pytest.fixture
def world(tmp_path: Path) -> World:
    return World(tmp_path)


def observe(world: World, *ids: str) -> int:
    """One commit with outcomes of these predictions; the table's version after it."""
    world.observe("toy", ids, np.ones(len(ids)), [minutes(1)] * len(ids))
    return DeltaTable(world.lake.outcomes("toy")).version()


def added(world: World, version: int) -> list[str] | None:
    found = outcome_ids_since(world.lake, "toy", version)
    return None if found is None else sorted(found.to_pylist())


def test_only_later_commits_count(world: World) -> None:
    assert added(world, -1) == []
    first, second = observe(world, "a", "b"), observe(world, "b", "c")
    assert added(world, -1) == ["a", "b", "b", "c"]
    assert added(world, first) == ["b", "c"]
    assert added(world, second) == []


def test_compaction_adds_nothing(world: World) -> None:
    observe(world, "a")
    version = observe(world, "b")
    table = DeltaTable(world.lake.outcomes("toy"))
    table.optimize.compact()
    assert added(world, version) == []
    observe(world, "c")
    DeltaTable(world.lake.outcomes("toy")).optimize.compact()
    observe(world, "d")
    assert added(world, version) == ["c", "d"]


def test_compaction_followed_by_vacuum_is_not_mistaken(world: World) -> None:
    version = observe(world, "a")
    observe(world, "b")
    table = DeltaTable(world.lake.outcomes("toy"))
    table.optimize.compact()
    table.vacuum(0, enforce_retention_duration=False, dry_run=False)
    # The files of the commit in between are gone: what was added is not known.
    assert added(world, version) is None


def test_table_made_anew_is_not_known(world: World) -> None:
    observe(world, "a")
    version = observe(world, "b")
    shutil.rmtree(world.lake.outcomes("toy"))
    observe(world, "c")
    assert added(world, version + 5) is None


def test_delay_of_the_world_is_irrelevant(world: World) -> None:
    """Outcomes count by when they were written, not by when they were observed."""
    version = observe(world, "a")
    world.observe("toy", ["old"], np.ones(1), [minutes(1) - timedelta(days=400)])
    assert added(world, version) == ["old"]
