"""Rows in, suspicions out: only of what is watched, each row once, and the same after any number of kills."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from services.drift.stream_monitor.row_numbers import RowNumbers
from services.drift.stream_monitor.snapshot import Snapshot
from services.drift.stream_monitor.stream_state import MAX_GENERATIONS_OF_A_MODEL, StreamState
from services.drift.stream_monitor.suspicion import Suspicion
from shared.messaging.interfaces import TopicIdentity
from shared.messaging.log_record import LogRecord
from tests.unit.services.drift.stream_monitor.streams import (
    KnownVersions,
    eventful,
    new_state,
    records,
    stream,
)
from tests.unit.services.drift.world import minutes, ordinary

TOPIC = TopicIdentity("cluster", "topic")


def run(state: StreamState, found: list[LogRecord]) -> list[Suspicion]:
    return [suspicion for record in found for suspicion in state.add(record).suspicions]


def test_shift_and_missing_values_are_suspicions() -> None:
    state = new_state()
    shifted = ordinary(400, 3, start=minutes(50), shift=1.5)
    assert run(state, records(stream(), ordinary(300, 2), 50)) == []
    found = run(state, records(stream(writer="w2"), shifted, 50))
    assert [(one.state, one.counting[0].features) for one in found] == [("drift", ("x",))]
    span = found[0].subject.span
    assert minutes(40) <= span.start < span.end <= minutes(80)
    assert found[0].rows == pytest.approx((span.end - span.start).total_seconds() / 10, abs=40)

    missing = ordinary(200, 4)
    missing["c"] = [None] * 200
    found = run(new_state(), records(stream(), missing, 50))
    assert [(one.state, one.counting[0].features) for one in found] == [("data_fault", ("c",))]


@pytest.mark.parametrize(("every", "states"), [(12, []), (2, ["data_fault"])])
def test_missing_values_within_the_tolerance_of_loop_yaml_are_no_fault(every: int, states: list[str]) -> None:
    """`missing_increase` is 10 %: one of twelve is within it, and very unlike the reference, which has none."""
    columns = ordinary(400, 2)
    columns["c"] = [None if row % every == 0 else value for row, value in enumerate(columns["c"])]  # type: ignore[arg-type, var-annotated]
    assert [one.state for one in run(new_state(), records(stream(), columns, 50))][:1] == states


def test_new_categories_are_drift_as_in_a_window() -> None:
    columns = ordinary(200, 2)
    columns["c"] = ["e"] * 200  # declared in loop.yaml, and not in the reference
    [first, *_] = run(new_state(), records(stream(), columns, 50))
    assert (first.state, first.counting[0].signal, first.counting[0].features) == ("drift", "feature", ("c",))


def test_value_that_only_looks_broken_is_examined_as_drift() -> None:
    columns = ordinary(200, 2)
    columns["x"] = [0.5] * 200
    found = run(new_state(), records(stream(), columns, 50))
    assert found
    assert {(one.state, alarm.signal) for one in found for alarm in one.alarms} == {("drift", "feature")}


def test_repeated_rows_are_counted_once() -> None:
    state = new_state()
    [first, second] = records(stream(), ordinary(100, 2), 50)
    assert state.add(first).results == ("counted",)
    assert state.add(first).results == ("repeated",)
    both = replace(
        second,
        batch=second.batch.slice(0, 50),
        sequences=second.sequences - 20,  # twenty of fifty rows were seen
    )
    assert state.add(both).results == ("counted",)
    [generation] = state.generations.values()
    assert generation.take_progress().rows == 80


def test_rows_without_released_reference_change_nothing() -> None:
    profiles = KnownVersions(frozenset({"nobody"}))
    state = new_state(profiles=profiles)
    [record] = records(stream("nobody"), ordinary(50, 2), 50)
    assert state.add(record).results == ("unknown_model",)
    assert state.add(replace(record, flaw="column colour")).results == ("flawed",)
    assert state.generations == {}


def test_rows_of_another_version_under_a_generation_are_left_out() -> None:
    state = new_state()
    [record] = records(stream(), ordinary(50, 2), 50)
    state.add(record)
    index = record.batch.schema.get_field_index("version")
    changed = record.batch.set_column(
        index, record.batch.schema.field(index), record.batch["prediction_id"]
    ).slice(0, 1)
    forged = replace(record, batch=changed, sequences=np.array([1000]))
    assert state.add(forged).results == ("unknown_release",)


def test_each_generation_has_detectors_of_its_own_while_the_old_one_drains() -> None:
    state = new_state()
    old, new = stream(), stream(generation=2)
    run(state, records(old, ordinary(300, 2), 50))
    for start in range(50, 100, 10):
        run(state, records(new, ordinary(60, start, start=minutes(start), shift=1.5), 60))
        run(state, records(old, ordinary(6, start, start=minutes(start)), 6))
    assert sorted(state.generations) == [("toy", 1), ("toy", 2)]
    evidence = {number: state.evidence(("toy", number))["x"] for number in (1, 2)}
    assert evidence[1] < 0.5


def test_generations_in_memory_are_bounded() -> None:
    state = new_state(limit=5)
    for generation in range(1, 9):
        source = stream("toy", generation)
        run(state, records(source, ordinary(20, generation, start=minutes(generation)), 20))
    kept = [number for _, number in state.generations]
    assert kept == [6, 7, 8]
    assert len(kept) == MAX_GENERATIONS_OF_A_MODEL
    for name in ("a", "b", "c", "d", "e", "f"):
        [record] = records(stream(name), ordinary(20, 1), 20)
        state.add(record)
        assert len(state.generations) <= 5
    assert ("toy", 8) in state.generations, "the newest of a model stays"
    [record] = records(stream("late"), ordinary(20, 1), 20)
    assert state.add(record).results == ("too_many_generations",)
    [record] = records(stream("toy", 1, "again"), ordinary(20, 1), 20)
    assert state.add(record).results == ("too_many_generations",)


def test_failed_step_starts_its_generation_anew(monkeypatch: pytest.MonkeyPatch) -> None:
    state = new_state()
    first, *others = records(stream(), ordinary(400, 2), 200)
    state.add(first)
    [generation] = state.generations.values()

    def fail(_: object) -> None:
        raise ArithmeticError("nobody foresaw this")

    monkeypatch.setattr(generation.detector, "step", fail)
    with pytest.raises(ArithmeticError):
        run(state, others)
    assert state.generations == {}


class Service:
    """State that is saved now and then and lost with every kill; what it found is known outside once it is saved."""

    def __init__(self) -> None:
        self.stored = Snapshot(TOPIC, {0: 0}).to_bytes()
        self.restart()

    def restart(self) -> None:
        snapshot = Snapshot.from_bytes(self.stored)
        self.state = new_state()
        self.state.numbers = RowNumbers(snapshot.numbers)
        self.state.stored = dict(snapshot.generations)
        self.at = snapshot.positions[0]
        self.found = list(snapshot.suspicions)

    def save(self) -> None:
        generations = {key: one.state() for key, one in self.state.generations.items()}
        self.stored = Snapshot(
            TOPIC,
            {0: self.at},
            self.state.numbers.as_mapping(),
            tuple(self.found),
            {**self.state.stored, **generations},
        ).to_bytes()

    def read(self, log: list[LogRecord]) -> None:
        self.found += self.state.add(log[self.at]).suspicions
        self.at += 1


@pytest.mark.parametrize("seed", range(6))
def test_kills_at_random_steps_change_no_alarm(seed: int) -> None:
    random = np.random.default_rng(seed)
    size = int(random.integers(3, 40))
    log = records(stream(), eventful(seed), size) + records(stream(generation=2), eventful(seed + 100), size)
    order = np.argsort([record.batch["event_time"][0].as_py() for record in log], kind="stable")
    log = [log[int(place)] for place in order]
    undisturbed = Service()
    while undisturbed.at < len(log):
        undisturbed.read(log)
    killed = Service()
    while killed.at < len(log):
        what = random.random()
        if what < 0.05:
            killed.restart()
        elif what < 0.15:
            killed.save()
        else:
            killed.read(log)
    assert len(undisturbed.found) >= 2
    assert killed.found == undisturbed.found
    for key, generation in undisturbed.state.generations.items():
        again = killed.state.generations[key].state()
        for name, array in generation.state().items():
            assert np.array_equal(array, again[name], equal_nan=True), name
