"""A training job as a file, for a process that shares the files with this one but was not started by it: a Kubernetes pod.

    python -m shared.models.training.job_file JOB RESULT

RESULT is written at the end, also of a training that failed; without it, the process did not get to its end.
"""

from __future__ import annotations

import signal
import sys
from datetime import timedelta
from pathlib import Path
from threading import Event
from typing import Any

import orjson

from shared.errors import HomeostatError, OperatorError, TrainingFailed
from shared.files import read_regular, write_atomic
from shared.models.training.confinement import Confinement
from shared.models.training.training_process import TrainingJob, run_training

_MAXIMUM_BYTES = 4 << 20
_ENDS: dict[str, type[HomeostatError]] = {"TrainingFailed": TrainingFailed, "OperatorError": OperatorError}


def write_job(job: TrainingJob, path: Path) -> None:
    """Write what `run_file` needs. The file holds the variables that the command gets, so only its owner reads it."""
    limits = job.confinement
    document = {
        "run_id": job.run_id,
        "command": list(job.command),
        "directory": str(job.directory),
        "environment": dict(job.environment),
        "log": str(job.log),
        "seconds": job.time_limit.total_seconds(),
        "memory_bytes": limits.memory_bytes,
        "cpu_seconds": limits.cpu_seconds,
        "network": limits.network,
    }
    write_atomic(path, orjson.dumps(document), mode=0o600)


def run_file(path: Path, result: Path, stop: Event) -> int:
    """Run the job to its end and write its result; returns an exit status."""
    told: dict[str, Any] = orjson.loads(read_regular(path, maximum_bytes=_MAXIMUM_BYTES))
    job = TrainingJob(
        run_id=told["run_id"],
        command=tuple(told["command"]),
        directory=Path(told["directory"]),
        environment=told["environment"],
        log=Path(told["log"]),
        time_limit=timedelta(seconds=told["seconds"]),
        confinement=Confinement(told["memory_bytes"], told["cpu_seconds"], told["network"]),
    )
    ending: dict[str, str] = {}
    try:
        run_training(job, stop=stop)
    except HomeostatError as error:
        ending = {"kind": type(error).__name__, "error": error.message, "hint": error.hint}
    write_atomic(result, orjson.dumps(ending))
    return 1 if ending else 0


def read_result(path: Path) -> bool:
    """Whether there is a result. Raises the error of a training that failed, and TrainingFailed for what is no result.

    The training command can write there; what is no result now would be none at the next attempt.
    """
    if not path.is_file():
        return False
    try:
        told = orjson.loads(read_regular(path, maximum_bytes=_MAXIMUM_BYTES))
        if told == {}:
            return True
        kind, message, hint = (str(told[name]) for name in ("kind", "error", "hint"))
    except (OSError, ValueError, LookupError, TypeError) as error:
        raise TrainingFailed(
            f"{path.name} is not the result of a training: {error}",
            hint="something else has written this file, such as the training command",
        ) from error
    raise _ENDS.get(kind, TrainingFailed)(message, hint=hint)


def main(arguments: list[str]) -> int:
    """Ends the command when the pod is deleted, which is a SIGTERM."""
    stop = Event()
    signal.signal(signal.SIGTERM, lambda *_: stop.set())
    return run_file(Path(arguments[0]), Path(arguments[1]), stop)


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
