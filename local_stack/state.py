"""`run/supervisor.json`: the processes a supervisor has started. Commands read it, and a later supervisor ends what is left."""

from __future__ import annotations

from dataclasses import asdict, dataclass, fields
from pathlib import Path
from typing import Any

import orjson

from shared.files import write_atomic

STATE = "supervisor.json"


@dataclass(frozen=True)
class ProcessState:
    """One process: `pid` is also its process group; `pid` and `created` (seconds since 1970) together identify it."""

    name: str
    pid: int
    created: float
    port: int
    restarts: int
    log: str
    ready_url: str


@dataclass(frozen=True)
class StackState:
    """The supervisor's `pid`, `created` and the `processes` in the order they were started; `ports` and `urls` by name."""

    pid: int
    created: float
    home: str
    kafka: str
    started_at: str
    ports: dict[str, int]
    urls: dict[str, str]
    processes: tuple[ProcessState, ...]

    @classmethod
    def from_json(cls, document: dict[str, Any]) -> StackState:
        """From the content of a state file. Raises `KeyError`, `TypeError` or `ValueError` where it is not one."""
        names = {field.name for field in fields(ProcessState)}
        processes = tuple(
            ProcessState(**{name: process[name] for name in names}) for process in document["processes"]
        )
        return cls(
            pid=int(document["pid"]),
            created=float(document["created"]),
            home=str(document["home"]),
            kafka=str(document["kafka"]),
            started_at=str(document["started_at"]),
            ports={str(name): int(port) for name, port in document["ports"].items()},
            urls={str(name): str(url) for name, url in document["urls"].items()},
            processes=processes,
        )


def run_folder(home: Path) -> Path:
    """Folder of the supervisor's own files."""
    return home.absolute() / "run"


def write_state(home: Path, state: StackState) -> None:
    """Replace the state file atomically."""
    folder = run_folder(home)
    folder.mkdir(parents=True, exist_ok=True)
    write_atomic(folder / STATE, orjson.dumps(asdict(state), option=orjson.OPT_INDENT_2))


def read_state(home: Path) -> StackState | None:
    """The state file; None where there is none, it cannot be read, or it came here in a copy of another home."""
    try:
        found = StackState.from_json(orjson.loads((run_folder(home) / STATE).read_bytes()))
    except (OSError, KeyError, TypeError, ValueError, AttributeError):
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
