"""The steps of a run: inputs, outputs with their digests, and the end of the training's log."""

from __future__ import annotations

import os
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from services.retraining.ledger.phases import Phase
from services.retraining.ledger.records import Run
from services.retraining.run_states import ENDS, State
from services.retraining.runs.training import trained_attempt
from services.retraining.runs.workspace import RunFolder
from shared.contracts.manifest import Manifest
from shared.errors import HomeostatError
from shared.files import open_regular

_STATES: dict[str, tuple[State, ...]] = {
    "snapshot": ("queued", "snapshotting"),
    "train": ("training",),
    "package": ("packaging",),
    "evaluate": ("evaluating",),
    "approval": ("waiting_for_approval",),
    "shadow": ("shadowing",),
    "canary": ("canarying",),
    "promote": ("promoting",),
}
STEPS: tuple[str, ...] = tuple(_STATES)
# Not shown until a run has reached them: most runs never do.
_OPTIONAL = ("approval", "shadow", "canary")
_MAX_LOG_BYTES = 256 << 10


def describe_steps(
    run: Run, folder: RunFolder, phases: Sequence[Phase], manifest: Manifest | None, log_lines: int
) -> list[dict[str, Any]]:
    """The steps of a run in order: state, seconds, inputs, outputs, and the last `log_lines` lines of the log.

    State: `done`, `running`, `waiting` (not begun), or the state in which the run ended in that step. `manifest`: of the version
    that the run made, None if there is none.
    """
    reached = [
        step for step, states in _STATES.items() if run.state in states or _seconds(run, states) is not None
    ]
    described = []
    for step, states in _STATES.items():
        if step in _OPTIONAL and step not in reached:
            continue
        inputs, outputs = _parts(step, run, folder, phases, manifest)
        described.append(
            {
                "step": step,
                "state": _state(step, run, reached),
                "seconds": _seconds(run, states),
                "inputs": inputs,
                "outputs": outputs,
                "log": _log_tail(folder.attempt(run.attempts) / "train.log", log_lines)
                if step == "train" and run.attempts
                else [],
            }
        )
    return described


def _seconds(run: Run, states: Sequence[State]) -> float | None:
    spent = [run.seconds[state] for state in states if state in run.seconds]
    return round(sum(spent), 3) if spent else None


def _state(step: str, run: Run, reached: Sequence[str]) -> str:
    if step not in reached:
        return "waiting" if run.state not in ENDS else "not reached"
    if run.state in _STATES[step]:
        return "running"
    ended_here = run.state in ENDS and step == reached[-1]
    return run.state if ended_here else "done"


def _parts(
    step: str, run: Run, folder: RunFolder, phases: Sequence[Phase], manifest: Manifest | None
) -> tuple[dict[str, Any], dict[str, Any]]:
    """Inputs and outputs of a step by name; empty where the run has not made them."""
    snapshot = run.snapshot or {}
    made = {"version": run.version} if run.version else {}
    if step == "snapshot":
        since = {} if run.change_since is None else {"change_since": run.change_since}
        return {**(run.lake or {}), **since}, {
            name: value for name, value in snapshot.items() if name != "pin"
        }
    if step == "train":
        inputs = {"snapshot": snapshot.get("digest"), "champion": run.champion, "attempts": run.attempts}
        done = trained_attempt(folder)
        command = list(run.loop.require_performance().retraining.command)
        return {**inputs, "command": command, "directory": run.directory}, (
            {} if done is None else {"attempt": done[0], "metrics": done[1]}
        )
    if step == "package":
        files = {} if manifest is None else {name: one.sha256 for name, one in manifest.files.items()}
        return {"snapshot": snapshot.get("digest")}, {**made, "files": files} if made else {}
    if step == "evaluate":
        gate = run.gate or {}
        names = ("passed", "reason", "rows", "metric", "champion_loss", "challenger_loss")
        outcome = {name: gate[name] for name in names if name in gate}
        return {**made, "champion": run.champion, "holdout_rows": snapshot.get("holdout_rows")}, (
            {"gate": run.gate_digest, **outcome} if gate else {}
        )
    if step == "promote":
        done_here = {} if run.generation is None else {"generation": run.generation}
        return {**made, "gate": run.gate_digest}, done_here
    found = next((phase for phase in phases if phase.slot == step), None)
    return made, {} if found is None else {
        "outcome": found.outcome,
        "reason": found.reason,
        "rows": found.rows,
    }


def _log_tail(path: Path, lines: int) -> list[str]:
    """The last lines of a text file of any size; none where it is not there."""
    try:
        with open_regular(path) as log:
            log.seek(max(0, os.fstat(log.fileno()).st_size - _MAX_LOG_BYTES))
            text = log.read(_MAX_LOG_BYTES).decode("utf-8", "replace")
    except (OSError, HomeostatError):
        return []
    return text.splitlines()[-lines:] if lines else []
