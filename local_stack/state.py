"""`run/supervisor.json`: what the supervisor has started, so that others find it and a successor can end what was left."""

from __future__ import annotations

from pathlib import Path

import orjson
from pydantic import BaseModel, ConfigDict, ValidationError

from shared.files import write_atomic

STATE = "supervisor.json"


class ProcessState(BaseModel):
    """One process: `pid` is also its process group; with `created` (seconds since 1970) it cannot be mistaken for another."""

    model_config = ConfigDict(frozen=True)

    name: str
    pid: int
    created: float
    port: int
    restarts: int
    log: str
    ready_url: str


class StackState(BaseModel):
    """The supervisor's `pid`, `created` and the `processes` in the order they were started; `ports` and `urls` by name."""

    model_config = ConfigDict(frozen=True)

    pid: int
    created: float
    home: str
    kafka: str
    started_at: str
    ports: dict[str, int]
    urls: dict[str, str]
    processes: tuple[ProcessState, ...]


def run_folder(home: Path) -> Path:
    """Folder of the supervisor's own files."""
    return home.absolute() / "run"


def write_state(home: Path, state: StackState) -> None:
    """Replace the state file atomically."""
    folder = run_folder(home)
    folder.mkdir(parents=True, exist_ok=True)
    write_atomic(folder / STATE, orjson.dumps(state.model_dump(), option=orjson.OPT_INDENT_2))


def read_state(home: Path) -> StackState | None:
    """The state file; None where there is none, it cannot be read, or it came here in a copy of another home."""
    try:
        found = StackState.model_validate(orjson.loads((run_folder(home) / STATE).read_bytes()))
    except (OSError, orjson.JSONDecodeError, ValidationError):
        return None
    return None if _is_elsewhere(found.home, home) else found


def _is_elsewhere(recorded: str, home: Path) -> bool:
    """Whether the recorded home is another folder that is still there: its processes are not this home's to end. A home that was
    moved keeps its processes: the recorded folder is gone."""
    there = Path(recorded)
    return recorded != "" and there.exists() and not there.samefile(home)


def remove_state(home: Path) -> None:
    """Forget what was started."""
    (run_folder(home) / STATE).unlink(missing_ok=True)
