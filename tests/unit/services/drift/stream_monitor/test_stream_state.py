"""Rows in, suspicions out: only of what is watched, each row once, and the same after any number of kills."""

from __future__ import annotations

from dataclasses import replace
from datetime import timedelta

import numpy as np
import pyarrow as pa
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


@pytest.mark.parametrize(
    ("column", "values", "method"), [("c", "unheard", "new_category"), ("x", 0.5, "frozen")]
)
def test_fault_that_is_inferred_is_not_certain(column: str, values: object, method: str) -> None:
    """The class is kept for the confirmation, which has the rows themselves."""
    columns = ordinary(200, 2)
    columns[column] = [values] * 200
    [first, *_] = run(new_state(), records(stream(), columns, 50))
    assert (first.state, first.counting[0].method, first.counted) == ("data_fault", method, ())
    assert first.counting[0].features == (column,)


def test_tolerated_fault_does_not_hide_a_greater_one() -> None:
    """`missing_increase` is 10 %. One value in twelve is missing for an hour, then every second one: an alarm that was tolerated
    would hold the column for a window."""
    columns = ordinary(800, 2)
    every = [12 if row < 500 else 2 for row in range(800)]
    values: list[object] = list(columns["c"])  # type: ignore[call-overload]
    columns["c"] = [None if row % every[row] == 0 else value for row, value in enumerate(values)]
    [first, *_] = run(new_state(), records(stream(), columns, 50))
    assert (first.state, first.counting[0].features) == ("data_fault", ("c",))
    onset = minutes(500 / 6)
    assert onset - timedelta(minutes=12) <= first.subject.span.start
    assert first.subject.span.end <= onset + timedelta(minutes=18), "within two tiles and the one it began in"


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


def test_imported_rows_reach_no_detector() -> None:
    profiles = KnownVersions()
    state = new_state(profiles=profiles)
    [record] = records(stream(), ordinary(50, 2), 50)
    imported = record.batch.append_column("source", pa.array(["import"] * 50))
    assert state.add(replace(record, batch=imported)).results == ("imported",)
    assert (state.generations, profiles.asked, state.numbers.as_mapping()) == ({}, [], {})


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

    def fail(*_: object) -> None:
        raise ArithmeticError("nobody foresaw this")

    monkeypatch.setattr(generation.detector, "step", fail)
    failed = state.add(others[0])
    assert failed.results == ("failed",)
    assert [type(error) for error in failed.errors] == [ArithmeticError]
    assert state.generations == {}


def test_alarm_of_a_generation_stands_though_a_later_one_fails(monkeypatch: pytest.MonkeyPatch) -> None:
    """Rows of both come in one record while a swap drains."""
    state = new_state()
    rows = ordinary(100, 2)
    rows["c"] = [None] * 100
    [first] = records(stream(), rows, 100)
    [second] = records(stream(generation=2), rows, 100)
    state.add(second)
    both = pa.Table.from_batches([first.batch, second.batch]).combine_chunks().to_batches()[0]
    record = replace(first, batch=both, sequences=np.arange(1000, 1200))

    def fail(_: object) -> None:
        raise ArithmeticError("nobody foresaw this")

    monkeypatch.setattr(state.generations["toy", 2], "add", fail)
    added = state.add(record)
    assert added.results == ("counted", "failed")
    assert [one.generation for one in added.suspicions] == [1]
    assert list(state.generations) == [("toy", 1)]


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


def test_rows_far_ahead_close_no_tile_and_are_counted() -> None:
    """A request without event_time during a replay: its time is now, and answered_at is now for all rows."""
    plain, state = new_state(), new_state()
    source, other = stream(), stream()
    columns = {**ordinary(720, 3), "answered_at": [minutes(60 * 24 * 800)] * 720}
    for part in range(0, 720, 90):
        rows = {name: list(values)[part : part + 90] for name, values in columns.items()}  # type: ignore[call-overload]
        for record in records(source, rows, 90):
            plain.add(record)
        stray = {name: list(values[:1]) for name, values in rows.items()}
        stray["event_time"] = stray["answered_at"]
        for record in [*records(other, rows, 90), *records(other, stray, 1)]:
            state.add(record)
    first, second = plain.generations["toy", 1], state.generations["toy", 1]
    assert second.clock.newest == first.clock.newest
    assert second.clock.open.keys() == first.clock.open.keys()
    assert (first.take_progress().left_out, second.take_progress().left_out) == (0, 8)
    again = new_state()
    again.stored["toy", 1] = second.state()
    for record in records(stream(generation=2), {name: values[:1] for name, values in stray.items()}, 1):
        again.add(record)
    assert again.generations["toy", 2].clock.closed_below is None, "nor does it begin a generation"
