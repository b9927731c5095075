from __future__ import annotations

import socket
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from services.drift.evaluation.classify import Measurements, Subject, classify
from services.drift.verdicts.state_changes import StateChanges
from services.drift.verdicts.store import VerdictStore
from services.drift.windows import Span
from shared.contracts.verdict import State, Verdict
from shared.grafana.annotator import make_annotator
from tests.unit.services.drift.installation import Installation, MemoryAnnotator
from tests.unit.services.drift.world import World, loop, minutes, ordinary
from tests.waiting import bound

HOUR = 360  # rows


@pytest.fixture
def store(tmp_path: Path) -> Iterator[VerdictStore]:
    store = VerdictStore(tmp_path / "verdicts.sqlite")
    yield store
    store.close()


def verdict(hour: int, state: State, generation: int = 1, model: str = "toy") -> Verdict:
    span = Span(minutes(60 * hour), minutes(60 * hour + 60))
    subject = Subject(model, "ab" * 32, generation, "inputs", span)
    measurements = Measurements(
        rows=200, outcomes=200, reference_rows=500, scores=(), loss=None, minimum_rows=100
    )
    drafted = classify(subject, measurements, minutes(60 * hour + 99))
    return drafted.model_copy(update={"state": state, "explanation": "It says so."})


def hours_marked(store: VerdictStore, *verdicts: Verdict) -> list[int]:
    annotator = MemoryAnnotator()
    state_changes = StateChanges(store, annotator)
    marked = []
    for place, each in enumerate(verdicts):
        store.put(each)
        before = len(annotator.marks)
        state_changes.annotate(each)
        marked += [place] * (len(annotator.marks) - before)
    return marked


@pytest.mark.parametrize(
    ("states", "marked"),
    [
        ("ok ok", []),
        ("drift", [0]),
        ("ok drift drift drift", [1]),
        ("drift ok drift", [0, 2]),
        ("drift insufficient_data warming_up drift", [0]),
        ("insufficient_data drift", [1]),
        ("drift data_fault drift", [0, 1, 2]),
        ("data_fault data_fault ok data_fault", [0, 3]),
    ],
)
def test_the_first_verdict_of_a_streak_is_marked(store: VerdictStore, states: str, marked: list[int]) -> None:
    verdicts = [verdict(hour, state) for hour, state in enumerate(states.split())]  # type: ignore[arg-type]
    assert hours_marked(store, *verdicts) == marked


def test_another_version_and_another_model_begin_streaks_of_their_own(store: VerdictStore) -> None:
    verdicts = (
        verdict(0, "drift"),
        verdict(0, "drift", model="other"),
        verdict(1, "drift"),
        verdict(2, "drift", generation=2),
        verdict(3, "drift", generation=2),
    )
    assert hours_marked(store, *verdicts) == [0, 1, 3]


def test_annotation_has_text_tags_and_verdict_time(store: VerdictStore) -> None:
    annotator = MemoryAnnotator()
    found = verdict(0, "data_fault")
    store.put(found)
    StateChanges(store, annotator).annotate(found)
    assert annotator.marks == [
        (
            "Data fault of toy, version abababababab, in the window until 2026-01-01 01:00 UTC. It says so. "
            f"(verdict {found.verdict_id})",
            ("homeostat", "data_fault", "model:toy"),
            minutes(99),
        )
    ]


def test_a_drift_is_marked_once_also_over_a_restart(world: World) -> None:
    annotator = MemoryAnnotator()
    installation = Installation(world, annotator=annotator)
    manifest = world.version(loop(), ordinary(5000, 1))
    world.release(manifest)
    world.answer(manifest, 1, ordinary(HOUR, 2))
    world.answer(manifest, 1, ordinary(HOUR * 2, 3, start=minutes(60), shift=3.0))
    # What a person asks for is no streak.
    assert installation.monitor.evaluate_now("toy", minutes(70), minutes(110))[0].state == "drift"
    installation.settle()
    installation.verdicts.close()
    installation.restart()
    world.answer(manifest, 1, ordinary(HOUR * 2, 4, start=minutes(180), shift=3.0))
    judged = [each.state for each in installation.settle() if each.detector == "inputs"]
    assert judged == ["ok", "drift", "drift", "drift"]
    [(text, tags, _)] = annotator.marks
    assert text.startswith("Drift of toy, version ")
    assert tags == ("homeostat", "drift", "model:toy")
    installation.verdicts.close()


def test_a_grafana_that_never_answers_holds_up_no_verdict(world: World) -> None:
    with socket.create_server(("127.0.0.1", 0)) as grafana:  # takes connections and says nothing
        results: list[str] = []
        url = f"http://127.0.0.1:{grafana.getsockname()[1]}"
        annotator = make_annotator(url, "a-token", "", "", results.append)
        installation = Installation(world, annotator=annotator)
        manifest = world.version(loop(), ordinary(5000, 1))
        world.release(manifest)
        for hour in range(6):
            rows = ordinary(HOUR, hour, start=minutes(60 * hour), shift=3.0 * (hour % 2))
            world.answer(manifest, 1, rows)
        begun = time.monotonic()
        verdicts = installation.settle()
        inputs = [each.state for each in verdicts if each.detector == "inputs"]
        assert inputs == ["ok", "drift"] * 2 + ["ok"]
        assert installation.publisher.publish() == len(verdicts)
        assert time.monotonic() - begun < bound(10)
        assert results == [], "Grafana has not answered, and nothing waited for it"
        annotator.close(0.1)
        assert results == ["dropped", "dropped"]
        installation.verdicts.close()
