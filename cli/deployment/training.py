"""Runs a model project's training command, as a process with a time limit."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from collections.abc import Mapping
from contextlib import suppress
from math import isfinite
from pathlib import Path

import orjson

from shared.contracts.loop_spec import LoopSpec
from shared.contracts.manifest import MODEL
from shared.errors import ProjectError, TrainingFailed

METRICS = "metrics.json"


def train(
    project: Path, loop: LoopSpec, *, train: Path, holdout: Path, out: Path, log: Path
) -> dict[str, float]:
    """Run the command; `out` then holds model.onnx, and its metrics are returned. Raises `TrainingFailed`."""
    out.mkdir(parents=True, exist_ok=True)
    limit_s = loop.retraining.time_limit.total_seconds()
    with log.open("wb") as output:
        try:
            process = subprocess.Popen(
                loop.retraining.command,
                cwd=project,
                env=_environment(os.environ, train=train, holdout=holdout, out=out),
                stdin=subprocess.DEVNULL,
                stdout=output,
                stderr=output,
                start_new_session=True,
            )
        except OSError as error:
            raise TrainingFailed(
                f"the training command {loop.retraining.command[0]} cannot be started: {error.strerror}",
                hint="mend retraining.command in loop.yaml",
            ) from error
        try:
            status = process.wait(limit_s)
        except subprocess.TimeoutExpired as error:
            raise TrainingFailed(
                f"the training command took longer than {limit_s:.0f} s and was ended",
                hint=f"read {log}; raise retraining.time_limit in loop.yaml if it needs longer",
            ) from error
        finally:
            _end(process)
    if status != 0:
        raise TrainingFailed(
            f"the training command ended with status {status}: {_last_line(log)}",
            hint=f"read {log}, mend the project",
        )
    if not (out / MODEL).is_file():
        raise TrainingFailed(
            f"the training command wrote no {MODEL}", hint="write it to the folder in HOMEOSTAT_OUT"
        )
    return read_metrics(out / METRICS)


def read_metrics(path: Path) -> dict[str, float]:
    """The numbers in metrics.json. Raises `ProjectError` where it is missing or holds anything but finite numbers."""
    try:
        found = orjson.loads(path.read_bytes())
    except (OSError, orjson.JSONDecodeError) as error:
        raise ProjectError(
            f"{path} cannot be read: {error}", hint="write a JSON object of numbers there"
        ) from error
    if not isinstance(found, dict):
        raise ProjectError(f"{path} holds no JSON object", hint="write a JSON object of numbers there")
    for name, value in found.items():
        if isinstance(value, bool) or not isinstance(value, int | float) or not isfinite(value):
            raise ProjectError(
                f"{path}: {name} is {value!r}; expected a finite number", hint="leave it out or mend it"
            )
    return {name: float(value) for name, value in found.items()}


def _environment(inherited: Mapping[str, str], *, train: Path, holdout: Path, out: Path) -> dict[str, str]:
    # `python` in a training command means the Python Homeostat runs on, also when its environment is not switched on.
    path = os.pathsep.join([str(Path(sys.executable).parent), inherited.get("PATH", "")])
    return {
        **inherited,
        "PATH": path,
        "HOMEOSTAT_TRAIN": str(train.absolute()),
        "HOMEOSTAT_HOLDOUT": str(holdout.absolute()),
        "HOMEOSTAT_CHAMPION": "",
        "HOMEOSTAT_OUT": str(out.absolute()),
    }


def _end(process: subprocess.Popen[bytes]) -> None:
    with suppress(ProcessLookupError, PermissionError):
        os.killpg(process.pid, signal.SIGKILL)
    process.wait(10)


def _last_line(log: Path) -> str:
    lines = [line.strip() for line in log.read_text(errors="replace").splitlines() if line.strip()]
    return lines[-1] if lines else "it said nothing"
