"""A training job with its files as bytes, for a machine that has none of them: packed here, run there, unpacked here.

    package:  job.json   project/…   train/train.parquet   champion/…
    result:   result.json   train.log   out/…

Both are tar archives. Nothing in them is code that unpacking would run, and only regular files are taken out.
"""

from __future__ import annotations

import io
import os
import tarfile
import tempfile
from collections.abc import Iterator, Sequence
from datetime import timedelta
from pathlib import Path, PurePosixPath
from typing import Any

import orjson

from shared.errors import HomeostatError, OperatorError, TrainingFailed
from shared.models.training.confinement import Confinement
from shared.models.training.training_process import (
    OUT_VARIABLE,
    RUN_VARIABLE,
    TRAINING_VARIABLES,
    Stop,
    TrainingJob,
    run_training,
)

# A package is held in memory by this process, the scheduler and the worker.
MAXIMUM_BYTES = 2 << 30
_JOB, _RESULT, _LOG = "job.json", "result.json", "train.log"
_PROJECT, _TRAIN, _CHAMPION, _OUT = "project", "train", "champion", "out"
# Folders of a project that no training command reads.
_LEFT_OUT = frozenset({"__pycache__", ".git", ".venv", ".homeostat"})
_ENDS: dict[str, type[HomeostatError]] = {"TrainingFailed": TrainingFailed, "OperatorError": OperatorError}


def pack(job: TrainingJob, *, hidden: Sequence[Path] = (), niceness: int = 0) -> bytes:
    """The job with its project folder, training rows and champion. `hidden`: folders with holdouts, should they be there too.

    Raises TrainingFailed above MAXIMUM_BYTES, and for a link of the project into `hidden`; OSError.
    """
    limits = job.confinement
    train, champion = job.environment["HOMEOSTAT_TRAIN"], job.environment.get("HOMEOSTAT_CHAMPION", "")
    document = {
        "run_id": job.run_id,
        "command": list(job.command),
        "environment": {
            name: value for name, value in job.environment.items() if name not in TRAINING_VARIABLES
        },
        "train": Path(train).name,
        "champion": bool(champion),
        "seconds": job.time_limit.total_seconds(),
        "memory_bytes": limits.memory_bytes,
        "cpu_seconds": limits.cpu_seconds,
        "network": limits.network,
        "hidden": [str(path) for path in hidden],
        "niceness": niceness,
    }
    archive = _Archive()
    archive.add_bytes(_JOB, orjson.dumps(document))
    archive.add(f"{_TRAIN}/{Path(train).name}", Path(train))
    for folder, source in ((_PROJECT, job.directory), (_CHAMPION, Path(champion) if champion else None)):
        if source is not None:
            for path in _files(source):
                _check_link(path, hidden, source)
                archive.add(f"{folder}/{path.relative_to(source).as_posix()}", path)
    return archive.close()


def run_packed(package: bytes, stop: Stop) -> bytes:
    """Run a packed job in a folder of its own, which is deleted afterwards; returns its result, also of one that failed.

    Raises Interrupted once `stop` is set.
    """
    with tempfile.TemporaryDirectory(prefix="homeostat-job-", ignore_cleanup_errors=True) as place:
        root = Path(place).resolve()
        _extract(package, root)
        told: dict[str, Any] = orjson.loads((root / _JOB).read_bytes())
        out = root / "attempts" / "1" / _OUT
        out.mkdir(parents=True)
        project = root / _PROJECT
        project.mkdir(exist_ok=True)
        hidden = [Path(path) for path in told["hidden"] if Path(path).is_dir()]
        limits = Confinement(told["memory_bytes"], told["cpu_seconds"], told["network"])
        job = TrainingJob(
            run_id=told["run_id"],
            command=tuple(told["command"]),
            directory=project,
            environment={
                **told["environment"],
                "HOMEOSTAT_TRAIN": str(root / _TRAIN / told["train"]),
                "HOMEOSTAT_CHAMPION": str(root / _CHAMPION) if told["champion"] else "",
                OUT_VARIABLE: str(out),
                RUN_VARIABLE: told["run_id"],
            },
            log=root / _LOG,
            time_limit=timedelta(seconds=told["seconds"]),
            confinement=limits.hiding(hidden, (root,)) if hidden else limits,
        )
        ending: dict[str, str] = {}
        try:
            run_training(job, niceness=told["niceness"], stop=stop)
        except HomeostatError as error:
            ending = {"kind": type(error).__name__, "error": error.message, "hint": error.hint or ""}
        archive = _Archive()
        archive.add_bytes(_RESULT, orjson.dumps(ending))
        if job.log.is_file():
            archive.add(_LOG, job.log)
        for path in _files(out):
            # What a link leads to is read here by the worker, whom nothing is hidden from.
            if path.resolve().is_relative_to(root):
                archive.add(f"{_OUT}/{path.relative_to(out).as_posix()}", path)
        return archive.close()


def unpack(result: bytes, job: TrainingJob, *, where: str) -> None:
    """Write the log and the outputs of a packed job where a local one would. `where`: names the machine in errors.

    Raises what the training raised there.
    """
    out = Path(job.environment[OUT_VARIABLE])
    with tempfile.TemporaryDirectory(prefix=".result-", dir=out.parent) as place:
        _extract(result, Path(place))
        job.log.parent.mkdir(parents=True, exist_ok=True)
        log = Path(place) / _LOG
        job.log.write_bytes(log.read_bytes() if log.is_file() else b"")
        made = Path(place) / _OUT
        if made.is_dir():
            out.rmdir()  # made empty for this attempt
            made.rename(out)
        told: dict[str, str] = orjson.loads((Path(place) / _RESULT).read_bytes())
    if told:
        error = _ENDS.get(told["kind"], TrainingFailed)
        hint = told["hint"] if error is OperatorError else f"its log is {job.log}; it ran on {where}"
        raise error(told["error"], hint=hint)


class _Archive:
    """A tar archive in memory, whose bytes depend only on names and contents."""

    def __init__(self) -> None:
        self._bytes = io.BytesIO()
        self._tar = tarfile.TarFile(fileobj=self._bytes, mode="w", format=tarfile.PAX_FORMAT)

    def add(self, name: str, path: Path) -> None:
        size = path.stat().st_size
        self._check(size)
        info = tarfile.TarInfo(name)
        info.size, info.mode = size, 0o700 if os.access(path, os.X_OK) else 0o600
        with path.open("rb") as file:
            self._tar.addfile(info, file)

    def add_bytes(self, name: str, content: bytes) -> None:
        info = tarfile.TarInfo(name)
        info.size, info.mode = len(content), 0o600
        self._tar.addfile(info, io.BytesIO(content))

    def close(self) -> bytes:
        self._tar.close()
        return self._bytes.getvalue()

    def _check(self, size: int) -> None:
        if self._bytes.tell() + size > MAXIMUM_BYTES:
            raise TrainingFailed(
                f"the files of the training are larger than {MAXIMUM_BYTES >> 30} GiB together, which is not sent to a worker",
                hint="train on fewer rows (retraining.window in loop.yaml), keep data out of the project folder, or train with "
                "training.launcher: process or kubernetes",
            )


def _files(folder: Path) -> Iterator[Path]:
    """Regular files below a folder in a fixed order, also those that links to files lead to."""
    for place, folders, names in os.walk(folder):
        folders[:] = sorted(name for name in folders if name not in _LEFT_OUT)
        yield from (path for name in sorted(names) if (path := Path(place) / name).is_file())


def _check_link(path: Path, hidden: Sequence[Path], source: Path) -> None:
    """A file is read by this process, which may read what the command may not: the holdout, or a key."""
    real = path.resolve()
    if real.is_relative_to(source.resolve()):
        return
    if any(real.is_relative_to(folder.resolve()) for folder in hidden):
        raise TrainingFailed(
            f"{path} leads to {real}, which no training may read",
            hint="replace the link by a file of the project",
        )


def _extract(archive: bytes, into: Path) -> None:
    with tarfile.open(fileobj=io.BytesIO(archive), mode="r:") as tar:
        for member in tar:
            path = PurePosixPath(member.name)
            if not member.isreg() or path.is_absolute() or ".." in path.parts:
                raise TrainingFailed(
                    f"the archive of a training holds {member.name}, which is no file below its folder",
                    hint="it was changed on its way, or made by another version of Homeostat",
                )
            tar.extract(member, into, filter="data")
