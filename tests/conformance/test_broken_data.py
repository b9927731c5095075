"""Six kinds of broken data, from the records of a stream to verdicts: each is a data fault, and a changed world is not."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from datetime import timedelta
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import pytest
from prometheus_client import CollectorRegistry

from services.drift.evaluation.evaluator import Evaluator
from services.drift.stream.stream_profile import StreamProfile
from services.drift.stream_monitor.confirmation import Confirmation
from services.drift.stream_monitor.examiner import Examiner
from services.drift.stream_monitor.metrics import StreamMetrics
from services.drift.stream_monitor.pending import PendingSuspicions
from services.drift.stream_monitor.stream_state import StreamState
from services.drift.thresholds.alarm_budget import stream_budget
from shared.contracts.loop_spec import LoopSpec
from shared.contracts.manifest import Manifest
from shared.contracts.verdict import Verdict
from tests.fakes.prediction_stream import PredictionStream
from tests.unit.services.drift.distances import ScipyDistances
from tests.unit.services.drift.installation import Installation
from tests.unit.services.drift.stream_monitor.streams import MAC, records
from tests.unit.services.drift.world import World, loop, minutes

Columns = dict[str, Any]
Floats = npt.NDArray[np.float64]
MEANS = {"degrees": (18.0, 6.0), "metres": (1200.0, 300.0), "kilograms": (70.0, 12.0)}
CALM = 360  # rows before the fault, one every ten seconds: an hour, one window
# A reference with a row every ten seconds has tiles of six minutes, hence of 36 rows.
TILE = timedelta(minutes=6)


def spec() -> LoopSpec:
    features: list[dict[str, object]] = [{"name": name, "type": "number", "nullable": True} for name in MEANS]
    features.append(
        {
            "name": "service",
            "type": "category",
            "values": ["a", "b", "d"],
            "unknown": "serve",
            "nullable": True,
        }
    )
    return loop(features=features)


def rows(count: int, seed: int, start: float = 0.0) -> Columns:
    random = np.random.default_rng(seed)
    score = np.clip(random.beta(2, 5, count), 0.01, 0.99)
    return {
        "event_time": [minutes(start) + timedelta(seconds=10) * place for place in range(count)],
        **{name: random.normal(mean, spread, count) for name, (mean, spread) in MEANS.items()},
        "service": random.choice(["a", "b", "d"], count, p=[0.5, 0.3, 0.2]),
        "score": score,
        "outcome": (random.random(count) < score).astype(float),
    }


def units(columns: Columns) -> None:
    columns["degrees"] = columns["degrees"] * 1.8 + 32


def nulls(columns: Columns) -> None:
    columns["metres"] = np.where(np.arange(columns["metres"].size) % 2, np.nan, columns["metres"])


def new_category(columns: Columns) -> None:
    columns["service"] = np.where(np.arange(columns["service"].size) % 2, "unheard", columns["service"])


def swapped(columns: Columns) -> None:
    columns["metres"], columns["kilograms"] = columns["kilograms"], columns["metres"]


def frozen(columns: Columns) -> None:
    columns["kilograms"] = np.full(columns["kilograms"].size, 71.25)


def schema(columns: Columns) -> None:
    columns["metres"] = np.full(columns["metres"].size, np.nan)  # the records have no such column


def warmer(columns: Columns) -> None:
    columns["degrees"] = columns["degrees"] + 9


def heavier_and_farther(columns: Columns) -> None:
    columns["kilograms"], columns["metres"] = columns["kilograms"] + 18, columns["metres"] + 450


Change = Callable[[Columns], None]
FAULTS: dict[Change, set[str]] = {
    units: {"degrees"},
    nulls: {"metres"},
    new_category: {"service"},
    swapped: {"metres", "kilograms"},
    frozen: {"kilograms"},
    schema: {"metres"},
}
# By version: its thresholds take longer to calibrate than a test takes, and all tests have the same reference.
PROFILES: dict[str, StreamProfile] = {}


@dataclass
class Known:
    profile: StreamProfile

    def get(self, model: str, generation: int, version: str) -> StreamProfile:
        return self.profile


@dataclass
class Watched:
    """A released model whose rows are in the lake and in its stream."""

    installation: Installation
    verdicts: list[Verdict] = field(default_factory=list)

    def __post_init__(self) -> None:
        world = self.installation.world
        self.manifest: Manifest = world.version(spec(), rows(5000, 1))
        world.release(self.manifest)
        reference = self.installation.references.get("toy", self.manifest.version)
        if self.manifest.version not in PROFILES:
            PROFILES[self.manifest.version] = StreamProfile.of(reference, stream_budget(1.0))
        self.state = StreamState(Known(PROFILES[self.manifest.version]), 16)
        self.pending = PendingSuspicions()
        evaluator = Evaluator(ScipyDistances())
        self.examiner = Examiner(
            self.pending,
            Confirmation(
                self.installation.references,
                self.installation.lake_reader,
                evaluator,
                self.installation.verdicts,
                lambda: self.installation.now,
            ),
            self.installation.verdicts,
            self.installation.metrics,
            StreamMetrics(CollectorRegistry()),
            on_verdict=self.verdicts.append,
            clock=iter(range(0, 10**9, 1000)).__next__,
        )
        self.source = PredictionStream("toy", self.manifest.version, spec().features, 1, MAC)

    def answer(self, columns: Columns, *, record: int = 36) -> None:
        self.installation.world.answer(self.manifest, 1, columns)
        for one in records(self.source, columns, record):
            added = self.state.add(one)
            assert added.results == ("counted",), added.errors
            self.pending.add(added.suspicions)

    def change(self, change: Change, seed: int = 3, count: int = CALM) -> None:
        """An hour as ever, then rows that are changed."""
        self.answer(rows(CALM, 2))
        assert self.pending.all() == ()
        columns = rows(count, seed, start=60.0)
        change(columns)
        self.answer(columns)
        self.examiner.step()


@pytest.fixture
def watched(tmp_path: Path) -> Iterator[Watched]:
    installation = Installation(World(tmp_path))
    yield Watched(installation)
    installation.verdicts.close()


@pytest.mark.parametrize("fault", FAULTS, ids=lambda fault: fault.__name__)
def test_broken_data_are_called_a_data_fault(watched: Watched, fault: Change) -> None:
    watched.change(fault)
    assert {verdict.state for verdict in watched.verdicts} == {"data_fault"}
    first = watched.verdicts[0]
    assert first.drifted == ()
    assert first.window_end <= minutes(60) + 2 * TILE, "within two tiles"
    named = {name for verdict in watched.verdicts for name in verdict.top_drifted_features}
    assert named == FAULTS[fault]
    assert first.explanation.endswith("A data fault never starts retraining.")


@pytest.mark.parametrize("change", [warmer, heavier_and_farther], ids=lambda change: change.__name__)
def test_a_changed_world_is_drift(watched: Watched, change: Change) -> None:
    watched.change(change)
    assert watched.verdicts
    assert {verdict.state for verdict in watched.verdicts} == {"drift"}


@pytest.mark.parametrize("fault", [units, swapped, new_category], ids=lambda fault: fault.__name__)
def test_windows_of_broken_data_are_faulty_until_it_is_repaired(watched: Watched, fault: Change) -> None:
    """A window has no check of its own for these: it would call them drift, which starts a retraining. The alarm of the first
    window is examined, and no other: while a column is held the rows say whether the fault lasts."""
    watched.change(fault)
    again = rows(CALM, 4, start=120.0)
    fault(again)
    watched.answer(again)
    watched.answer(rows(2 * CALM + 1, 5, start=180.0))
    windows = watched.installation.judged("inputs")
    assert [verdict.state for verdict in windows] == ["ok", "data_fault", "data_fault", "ok", "ok"]
    assert windows[1].drifted == ()
    assert set(windows[1].top_drifted_features) == FAULTS[fault]
    assert windows[1].explanation.startswith("The stream detectors have found faulty data in this window.")
    assert watched.installation.judged()[1].state == "data_fault", "performance is not judged on them"


def test_window_that_is_faulty_at_its_end_is_no_drift(watched: Watched) -> None:
    """Twenty minutes of an hour: no repair explains the whole window, and its distance is that of drift."""
    watched.answer(rows(CALM + 240, 2))
    late = rows(120, 3, start=100.0)
    swapped(late)
    watched.answer(late)
    watched.answer(rows(1, 4, start=120.0))
    watched.examiner.step()
    _, window = watched.installation.judged("inputs")
    assert "feature" in {score.signal for score in window.scores if score.exceeded}
    assert (window.state, window.drifted) == ("data_fault", ())
