"""The stack the demo runs on, started and ended through the command line like anyone's."""

from __future__ import annotations

import os
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path

import orjson

SOURCES = Path(__file__).resolve().parent.parent.parent


@dataclass(frozen=True)
class Stack:
    """Where the running services are."""

    home: Path
    inference: str
    drift: str
    retraining: str


def start(home: Path, *, free_ports: bool) -> Stack:
    """`homeostat up --detach`. Raises RuntimeError with what it said."""
    options = ["--free-ports"] if free_ports else []
    state = orjson.loads(homeostat("up", "--detach", "--json", f"--home={home}", *options))
    ports = state["ports"]
    places = {name: f"http://127.0.0.1:{ports[name]}" for name in ("inference", "drift", "retraining")}
    return Stack(home, **places)


def end(home: Path) -> None:
    """`homeostat down`."""
    homeostat("down", f"--home={home}")


def homeostat(*arguments: str, timeout_s: float = 300.0) -> bytes:
    """Run a command of the command line; its standard output. Raises RuntimeError with what it said."""
    done = subprocess.run(
        [sys.executable, "-m", "cli", *arguments],
        cwd=SOURCES,
        env={**os.environ, "DO_NOT_TRACK": "1"},
        capture_output=True,
        timeout=timeout_s,
    )
    if done.returncode != 0:
        said = (done.stderr or done.stdout).decode(errors="replace").strip()
        raise RuntimeError(f"`homeostat {' '.join(arguments)}` ended with status {done.returncode}: {said}")
    return done.stdout
