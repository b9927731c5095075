"""The steps of a run: each with its state, inputs, outputs and digests."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from services.retraining.http.run_steps import describe_steps
from services.retraining.ledger.phases import Phase
from services.retraining.ledger.records import Run
from services.retraining.run_states import State
from services.retraining.runs.workspace import RunFolder, write_json
from shared.contracts.loop_spec import LoopSpec
from tests.fakes.retraining_installation import LOOP, MODEL, START

DONE = {"queued": 0.5, "snapshotting": 1.0, "training": 2.0, "packaging": 3.0, "evaluating": 4.0}
RUN = Run(
    run_id="run-1",
    cause_key="1",
    model=MODEL,
    state="promoted",
    event_time=START,
    change_since=None,
    champion="c" * 64,
    directory="/project",
    loop=LoopSpec.model_validate(LOOP),
    lake={"predictions": 7, "outcomes": 8, "watermark": "2013-01-15", "faulty": []},
    snapshot={"digest": "d" * 64, "train_rows": 900, "holdout_rows": 200, "pin": {"predictions": 7}},
    version="v" * 64,
    generation=4,
    reason_code="gate_passed",
    reason="better by 0.1",
    attempts=1,
    step_starts=0,
    seconds={**DONE, "promoting": 0.1},
    created_at=START,
    state_changed_at=START,
    ended_at=START,
    gate={"passed": True, "rows": 200, "measures": {"long": 1}},
    gate_digest="e" * 64,
)


def steps_of(run: Run, folder: Path, phases: tuple[Phase, ...] = ()) -> dict[str, dict[str, Any]]:
    described = describe_steps(run, RunFolder(folder), phases, None, 2)
    return {one["step"]: one for one in described}


def test_each_step_has_its_inputs_and_digests(tmp_path: Path) -> None:
    write_json(RunFolder(tmp_path).trained, {"attempt": 1, "metrics": {"rows": 900.0}})
    log = RunFolder(tmp_path).attempt(1) / "train.log"
    log.parent.mkdir(parents=True)
    log.write_text("first\nsecond\nlast\n")
    steps = steps_of(RUN, tmp_path)
    assert list(steps) == ["snapshot", "train", "package", "evaluate", "promote"]
    assert [one["state"] for one in steps.values()] == ["done", "done", "done", "done", "promoted"]
    assert [one["seconds"] for one in steps.values()] == [1.5, 2.0, 3.0, 4.0, 0.1]
    assert steps["snapshot"]["inputs"] == RUN.lake
    assert steps["snapshot"]["outputs"] == {"digest": "d" * 64, "train_rows": 900, "holdout_rows": 200}
    train = steps["train"]
    assert train["inputs"]["snapshot"] == "d" * 64
    assert train["inputs"]["command"] == ["python", "train.py"]
    assert train["outputs"] == {"attempt": 1, "metrics": {"rows": 900.0}}
    assert train["log"] == ["second", "last"]
    assert steps["package"]["outputs"]["version"] == "v" * 64
    assert steps["evaluate"]["outputs"] == {"gate": "e" * 64, "passed": True, "rows": 200}
    assert steps["promote"]["outputs"] == {"generation": 4}


@pytest.mark.parametrize(
    ("state", "seconds", "expected"),
    [
        ("queued", {}, ["running", "waiting", "waiting", "waiting", "waiting"]),
        # A step that took less than half a millisecond was reached all the same.
        (
            "training",
            {"queued": 0.0, "snapshotting": 0.0002},
            ["done", "running", "waiting", "waiting", "waiting"],
        ),
        ("training", {"snapshotting": 1.0}, ["done", "running", "waiting", "waiting", "waiting"]),
        (
            "failed",
            {"snapshotting": 1.0, "training": 1.0},
            ["done", "failed", "not reached", "not reached", "not reached"],
        ),
        ("refused", DONE, ["done", "done", "done", "refused", "not reached"]),
    ],
)
def test_state_of_a_step_follows_the_run(
    tmp_path: Path, state: State, seconds: dict[str, float], expected: list[str]
) -> None:
    run = replace(RUN, state=state, seconds=seconds, snapshot=None, gate=None, version="", generation=None)
    assert [one["state"] for one in steps_of(run, tmp_path).values()] == expected


def test_phases_are_steps_once_they_are_reached(tmp_path: Path) -> None:
    canary = Phase(
        "run-1", "canary", MODEL, "v", "c", "log_loss", 0.0, START, outcome="worse", reason="it loses more"
    )
    run = replace(RUN, state="refused", seconds={**DONE, "canarying": 9.0}, generation=None)
    steps = steps_of(run, tmp_path, (canary,))
    assert list(steps) == ["snapshot", "train", "package", "evaluate", "canary", "promote"]
    assert steps["canary"]["state"] == "refused"
    assert steps["canary"]["outputs"] == {"outcome": "worse", "reason": "it loses more", "rows": 0}


def test_long_log_is_read_from_its_end(tmp_path: Path) -> None:
    log = RunFolder(tmp_path).attempt(1) / "train.log"
    log.parent.mkdir(parents=True)
    log.write_bytes(b"x" * (1 << 20) + b"\nthe end \xff\n")
    assert steps_of(RUN, tmp_path)["train"]["log"][-1] == "the end \ufffd"
    log.unlink()
    log.symlink_to("/etc/passwd")
    assert steps_of(RUN, tmp_path)["train"]["log"] == []
