"""The stack of an example, started and stopped through the command line."""

from __future__ import annotations

import os
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path

import orjson

from local_stack.state import read_state
from shared.tls.client_environment import PATHS

SOURCES = Path(__file__).resolve().parent.parent.parent


@dataclass(frozen=True)
class Stack:
    """Where the running services are."""

    home: Path
    inference: str
    drift: str
    retraining: str


def start(home: Path, *, free_ports: bool, shown: bool) -> Stack:
    """`homeostat up --detach`; `shown`: its progress and its complaints go to the terminal. Raises RuntimeError."""
    options = ["--free-ports"] if free_ports else []
    command = ["up", "--detach", f"--home={home}", *options]
    if shown:
        done = subprocess.run(_command(*command), cwd=SOURCES, env=_environment(), stdout=subprocess.DEVNULL)
        if done.returncode != 0:
            raise RuntimeError("error: the stack did not start; the lines above say why")
    else:
        homeostat(*command, "--json")
    state = read_state(home)
    if state is None:
        raise RuntimeError(
            f"error: the stack on {home} is gone again; read {home / 'logs' / 'supervisor.log'}"
        )
    places = {name: state.base_url(name) for name in ("inference", "drift", "retraining")}
    return Stack(home, **places)


def end(home: Path) -> None:
    """`homeostat down`."""
    homeostat("down", f"--home={home}")


def homeostat(*arguments: str, timeout_s: float = 300.0) -> bytes:
    """Run a `homeostat` command. Returns its standard output; raises RuntimeError with its error and hint."""
    done = subprocess.run(
        _command(*arguments), cwd=SOURCES, env=_environment(), capture_output=True, timeout=timeout_s
    )
    if done.returncode != 0:
        raise RuntimeError(_problem(done.stdout) or _unexplained(arguments, done))
    return done.stdout


def _problem(printed: bytes) -> str:
    """Error and hint of a command with `--json`, as the command shows them without; empty if it printed none."""
    try:
        found = orjson.loads(printed)
        return f"error: {found['error']}\nhint: {found['hint']}"
    except (orjson.JSONDecodeError, KeyError, TypeError):
        return ""


def _unexplained(arguments: tuple[str, ...], done: subprocess.CompletedProcess[bytes]) -> str:
    output = (done.stderr or done.stdout).decode(errors="replace").strip()
    return f"error: `homeostat {' '.join(arguments)}` exited with status {done.returncode}: {output}"


def _command(*arguments: str) -> list[str]:
    return [sys.executable, "-m", "cli", *arguments]


def _environment() -> dict[str, str]:
    """The example's stack is on this machine only, and its clients are plain ones: it has no TLS."""
    kept = {name: value for name, value in os.environ.items() if name not in PATHS}
    return {**kept, "DO_NOT_TRACK": "1"}
