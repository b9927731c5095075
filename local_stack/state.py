"""The supervisor's state file of one home: write, read, remove."""

from __future__ import annotations

from dataclasses import asdict
from pathlib import Path

import orjson

from shared.contracts.stack_state import StackState, read_stack_state, state_path
from shared.files import write_atomic


def run_folder(home: Path) -> Path:
    """Folder of the supervisor's own files."""
    return state_path(home).parent


def write_state(home: Path, state: StackState) -> None:
    """Replace the state file atomically."""
    path = state_path(home)
    path.parent.mkdir(parents=True, exist_ok=True)
    write_atomic(path, orjson.dumps(asdict(state), option=orjson.OPT_INDENT_2))


def read_state(home: Path) -> StackState | None:
    """The state of this home's stack; None if it does not run."""
    return read_stack_state(state_path(home))


def remove_state(home: Path) -> None:
    """Remove the state file."""
    state_path(home).unlink(missing_ok=True)
