"""The driving of runs on the real library: one workflow per run, resumed after a death, nothing but JSON in its store."""

from __future__ import annotations

import sqlite3
import time
from collections.abc import Iterator
from pathlib import Path
from threading import Event

import pytest

from services.retraining.runs.durable_runs import DurableRuns
from shared.errors import OperatorError
from shared.models.training_command import Interrupted
from tests.fakes.retraining_service import wait_for

STEPS = ("one", "two", "three")


class Work:
    """Remembers what was done; a step may be told to block, or to die once."""

    def __init__(self) -> None:
        self.done: list[tuple[str, str]] = []
        self.dies_at = ""
        self.pauses_at = ""
        self.died = Event()
        self.states: dict[str, str] = {}

    def __call__(self, run_id: str, step: str) -> str:
        if step == self.dies_at:
            self.died.set()
            raise Interrupted(run_id)
        self.done.append((run_id, step))
        if step == self.pauses_at or step == STEPS[-1]:
            self.states[run_id] = "over"
        return self.states.get(run_id, "working")

    def steps(self, run_id: str) -> list[str]:
        return [step for run, step in self.done if run == run_id]


@pytest.fixture
def work() -> Work:
    return Work()


@pytest.fixture
def runs(tmp_path: Path, work: Work) -> Iterator[DurableRuns]:
    made = open_runs(tmp_path, work)
    made.launch()
    yield made
    made.close()


def open_runs(folder: Path, work: Work) -> DurableRuns:
    return DurableRuns(
        f"sqlite:///{folder / 'dbos.sqlite'}",
        steps=STEPS,
        do=work,
        at_work=lambda state: state == "working",
        at_once=1,
        poll_seconds=0.05,
        silence_seconds=0.5,
    )


def test_a_run_asked_for_many_times_is_driven_once(runs: DurableRuns, work: Work) -> None:
    for _ in range(5):
        runs.ensure("run-1")
    runs.ensure("run-2")
    wait_for(lambda: len(work.done) == 6, 20, "both runs to end")
    assert work.steps("run-1") == ["one", "two", "three"]
    assert work.steps("run-2") == ["one", "two", "three"]
    # One at a time: they do not mix.
    assert [run for run, _ in work.done] in (["run-1"] * 3 + ["run-2"] * 3, ["run-2"] * 3 + ["run-1"] * 3)


def test_a_run_that_is_over_stops_and_goes_on_when_it_is_at_work_again(runs: DurableRuns, work: Work) -> None:
    work.pauses_at = "two"
    runs.ensure("run-1")
    wait_for(lambda: work.states.get("run-1") == "over", 20, "the run to pause")
    wait_for(lambda: resumed(runs, work), 20, "the run to go on")
    assert work.steps("run-1")[:2] == ["one", "two"]


def resumed(runs: DurableRuns, work: Work) -> bool:
    work.pauses_at = ""
    work.states["run-1"] = "working"
    runs.ensure("run-1")
    return "three" in work.steps("run-1")


def test_an_interrupted_run_is_resumed_by_the_next_process_at_the_step_it_was_in(
    tmp_path: Path, work: Work
) -> None:
    work.dies_at = "two"
    first = open_runs(tmp_path, work)
    first.launch()
    first.ensure("run-1")
    assert work.died.wait(20)
    first.close()
    work.dies_at = ""
    second = open_runs(tmp_path, work)
    second.launch()
    try:
        wait_for(lambda: len(work.done) == 3, 30, "the run to end")
        # Also the driver asks; that changes nothing.
        second.ensure("run-1")
        assert work.steps("run-1") == ["one", "two", "three"]
    finally:
        second.close()


def test_a_workflow_that_died_without_a_word_is_replaced(
    runs: DurableRuns, work: Work, tmp_path: Path
) -> None:
    """As after a full disk: the store says it is running, and nobody runs it."""
    runs.ensure("run-1")
    wait_for(lambda: len(work.done) == 3, 20, "the run to end")
    sql = "UPDATE workflow_status SET status = 'PENDING' WHERE workflow_uuid = 'run-1'"
    with sqlite3.connect(tmp_path / "dbos.sqlite", timeout=10) as store:
        store.execute(sql)
    work.states.clear()
    runs.ensure("run-1")
    time.sleep(0.2)
    runs.ensure("run-1")
    assert len(work.done) == 3, "it was not silent for long enough"
    time.sleep(0.5)
    runs.ensure("run-1")
    wait_for(lambda: len(work.done) == 6, 20, "the run to be driven anew")


def test_a_lost_store_means_starting_over_not_losing_runs(tmp_path: Path, work: Work) -> None:
    for place in ("a", "b"):
        (tmp_path / place).mkdir()
        runs = open_runs(tmp_path / place, work)
        runs.launch()
        runs.ensure("run-1")
        wait_for(lambda: work.states.get("run-1") == "over", 20, "the run to end")
        runs.close()
        work.states.clear()
    assert work.steps("run-1") == ["one", "two", "three"] * 2


def test_nothing_pickled_lies_in_the_store(runs: DurableRuns, work: Work, tmp_path: Path) -> None:
    runs.ensure("run-1")
    wait_for(lambda: len(work.done) == 3, 20, "the run to end")
    with sqlite3.connect(tmp_path / "dbos.sqlite") as store:
        kept = store.execute("SELECT serialization FROM workflow_status").fetchall()
    assert kept
    assert {row[0] for row in kept} == {"homeostat_json"}


def test_a_store_that_cannot_be_opened_is_the_operators_and_is_tried_again(
    tmp_path: Path, work: Work
) -> None:
    (tmp_path / "dbos.sqlite").write_bytes(b"no database at all, but a text of some length" * 50)
    runs = open_runs(tmp_path, work)
    with pytest.raises(OperatorError, match="the store of durable steps cannot be opened"):
        runs.launch()
    (tmp_path / "dbos.sqlite").unlink()
    runs.launch()
    try:
        runs.ensure("run-1")
        wait_for(lambda: len(work.done) == 3, 20, "the run to end")
    finally:
        runs.close()
