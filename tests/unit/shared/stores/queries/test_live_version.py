"""The live version of a model and its logged rows, from a home on disk."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import timedelta
from pathlib import Path

import numpy as np
import pytest

from shared.contracts.manifest import Manifest
from shared.errors import IntegrityError, NotFound
from shared.settings import HomeostatSettings
from shared.stores.queries.live_version import live_version, logged_rows
from tests.unit.cli.command import run
from tests.unit.services.drift.world import World, loop, minutes, ordinary


@dataclass
class Home:
    """A home with one released model and two hours of its rows."""

    world: World
    manifest: Manifest

    @property
    def settings(self) -> HomeostatSettings:
        return HomeostatSettings(home=self.world.home)


@pytest.fixture
def home(tmp_path: Path) -> Home:
    world = World(tmp_path / "home")
    manifest = world.version(loop(), ordinary(800, 1))
    generation = world.release(manifest)
    early, late = ordinary(300, 2), ordinary(300, 3, start=minutes(120))
    world.answer(manifest, generation, early)
    world.answer(manifest, generation, {**late, "x": np.asarray(late["x"]) * 1000})
    return Home(world, manifest)


def test_version_with_its_loop_and_reference(home: Home) -> None:
    live = live_version(home.settings, "toy")
    assert live.version == home.manifest.version
    assert live.loop == loop()
    assert live.reference.num_rows == 800


def test_unknown_model_lists_the_others(home: Home) -> None:
    with pytest.raises(NotFound) as unknown:
        live_version(home.settings, "absent")
    assert "toy" in unknown.value.hint


def test_changed_reference_is_refused(home: Home) -> None:
    [path] = home.world.home.glob("models/**/reference.parquet")
    path.chmod(0o600)
    path.write_bytes(path.read_bytes()[:-1] + b"x")
    with pytest.raises(IntegrityError):
        live_version(home.settings, "toy")


def test_rows_of_the_last_hour_under_their_own_names(home: Home) -> None:
    rows = logged_rows(home.settings, loop(), timedelta(hours=1))
    assert rows.num_rows == 300
    assert rows.column_names == ["event_time", "generation", "score", "x", "c", "outcome"]
    assert rows["outcome"].null_count == 0
    assert logged_rows(home.settings, loop(), timedelta(hours=10)).num_rows == 600


def test_model_without_rows(home: Home) -> None:
    with pytest.raises(NotFound, match="no predictions"):
        logged_rows(home.settings, loop(model="quiet"), timedelta(hours=1))


def test_eda_and_check_read_the_home(home: Home, monkeypatch: pytest.MonkeyPatch) -> None:
    place = str(home.world.home)
    found = run("eda", "--model", "toy", "--last", "1h", "--home", place)
    assert found.exit_code == 0, found.output
    assert "multiplied by 1000" in found.output
    rows = home.world.home / "rows.jsonl"
    rows.write_text("\n".join(f'{{"x": {0.1 * number}, "c": "a"}}' for number in range(-30, 30)))
    checked = run("check", str(rows), "--model", "toy", "--home", place)
    assert checked.exit_code == 1
    assert "800 reference rows" in checked.output
    wrong = run("eda", "--model", "toy", "--last", "soon", "--home", place)
    assert wrong.exit_code == 3


def test_the_newest_rows_up_to_a_number(home: Home) -> None:
    every = logged_rows(home.settings, loop(), timedelta(days=7))
    newest = logged_rows(home.settings, loop(), timedelta(days=7), maximum_rows=70)
    assert newest.equals(every.slice(every.num_rows - 70))
    assert logged_rows(home.settings, loop(), timedelta(days=7), maximum_rows=10_000).equals(every)
