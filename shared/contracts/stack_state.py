"""`run/supervisor.json`: what the local stack's supervisor has started. The supervisor writes it; other processes read it."""

from __future__ import annotations

from dataclasses import dataclass, fields
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import orjson

RUN_FOLDER = "run"
STATE_FILE = "supervisor.json"


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

    def base_url(self, name: str) -> str:
        """Scheme, host and port of a process; empty where the stack has none of this name."""
        found = urlsplit(self.urls.get(name, ""))
        return f"{found.scheme}://{found.netloc}" if found.netloc else ""

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


def state_path(home: Path) -> Path:
    """Where the supervisor of a home writes its state."""
    return home.absolute() / RUN_FOLDER / STATE_FILE


def read_stack_state(path: Path) -> StackState | None:
    """The state in a file; None if it is missing, cannot be parsed, or is a copy that belongs to another home."""
    try:
        found = StackState.from_json(orjson.loads(path.read_bytes()))
    except (OSError, KeyError, TypeError, ValueError, AttributeError):
        return None
    return None if _belongs_elsewhere(found.home, path.absolute().parent.parent) else found


def _belongs_elsewhere(recorded: str, home: Path) -> bool:
    """Whether the recorded home is another folder that still exists. A home that was moved keeps its processes: then the recorded
    folder is gone."""
    there = Path(recorded)
    return recorded != "" and there.exists() and not there.samefile(home)
