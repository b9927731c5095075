"""A replay finds what the service found; another loop.yaml finds what it would have found."""

from __future__ import annotations

from datetime import timedelta
from pathlib import Path

import pytest

from services.drift.evaluation.evaluator import Evaluator
from services.drift.monitoring.lake_reader import DeltaLakeReader
from services.drift.monitoring.references import StoredReferences
from services.drift.replay.past import Configured, Interval, LakeRows, Past
from services.drift.replay.windows_replay import Progress, Replay, Replayed
from services.drift.verdicts.store import VerdictStore
from shared.contracts.verdict import Verdict
from shared.errors import NotFound
from tests.unit.services.drift.distances import ScipyDistances
from tests.unit.services.drift.installation import Installation
from tests.unit.services.drift.world import World, loop, minutes, ordinary

HOUR = 360  # rows: one every ten seconds


@pytest.fixture
def logged(installation: Installation) -> World:
    """Two generations of three hours each; x has moved since the second hour of the second."""
    world = installation.world
    for number, version in enumerate((loop(), loop(description="two"))):
        manifest = world.version(version, ordinary(3000, 1), note=f"v{number}")
        world.release(manifest)
        start = minutes(200 * number)
        world.answer(manifest, number + 1, ordinary(HOUR, 2 + number, start=start))
        shift = 1.0 * number
        later = start + timedelta(minutes=60)
        world.answer(manifest, number + 1, ordinary(2 * HOUR, 4 + number, start=later, shift=shift))
    return world


def replayed(
    world: World,
    folder: Path,
    configured: Configured | None = None,
    interval: Interval | None = None,
    steps: list[Progress] | None = None,
) -> Replayed:
    configure = (configured or Configured()).of
    references = StoredReferences(world.store, folder / "versions", world.keys.verifying, configure=configure)
    past = Past("toy", references, DeltaLakeReader(world.lake), LakeRows(world.lake, references, "toy"))
    store = VerdictStore(folder / "verdicts.sqlite")
    seen = steps if steps is not None else []
    try:
        return Replay(
            past,
            Evaluator(ScipyDistances()),
            store,
            interval or Interval(),
            stream=False,
            on_progress=seen.append,
        ).run()
    finally:
        store.close()


def conclusions(verdicts: list[Verdict] | tuple[Verdict, ...]) -> list[tuple[object, ...]]:
    return sorted(
        (one.verdict_id, one.generation, one.state, one.rows, one.scores, one.loss) for one in verdicts
    )


def test_a_replay_finds_what_the_service_found(
    logged: World, installation: Installation, tmp_path: Path
) -> None:
    steps: list[Progress] = []
    found = replayed(logged, tmp_path / "replay", steps=steps)
    assert conclusions(found.verdicts) == conclusions(installation.settle())
    assert "drift" in {one.state for one in found.verdicts}
    assert steps[-1].done == len(found.verdicts) <= steps[-1].total
    # The service's own store is untouched.
    assert installation.verdicts.count_unpublished() > 0


def test_another_configuration_finds_something_else(logged: World, tmp_path: Path) -> None:
    drift = {"window": {"every": "30m", "minimum_rows": 100}, "minimum_effect": 5.0}
    found = replayed(logged, tmp_path / "replay", Configured(loop(drift=drift), false_alarms=0.5))
    assert {one.window_end - one.window_start for one in found.verdicts} == {timedelta(minutes=30)}
    assert {one.state for one in found.verdicts} == {"ok"}
    assert found.false_alarms_per_30_days == 0.5


def test_a_version_with_other_features_is_skipped_and_named(logged: World, tmp_path: Path) -> None:
    manifest = logged.version(
        loop(features=[{"name": "x", "type": "number", "nullable": True}]), ordinary(3000, 1), note="bare"
    )
    logged.release(manifest)
    logged.answer(manifest, 3, ordinary(HOUR, 9, start=minutes(400)))
    found = replayed(logged, tmp_path / "replay", Configured(loop()))
    assert [one.generation for one in found.generations.generations] == [1, 2]
    [skipped] = found.generations.skipped
    assert skipped.startswith("generation 3 (version ")
    assert skipped.endswith("its features differ from those of loop.yaml: c")


def test_only_the_interval_is_replayed(logged: World, tmp_path: Path) -> None:
    interval = Interval(minutes(200), minutes(330))
    found = replayed(logged, tmp_path / "replay", interval=interval)
    assert {one.generation for one in found.verdicts} == {2}
    assert max(one.window_end for one in found.verdicts) == minutes(320)
    with pytest.raises(NotFound, match="there are no rows of toy to replay"):
        replayed(logged, tmp_path / "none", interval=Interval(end=minutes(-10)))
