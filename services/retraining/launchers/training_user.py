"""The user that runs training commands where retraining runs as root: it reaches the files of its run, and no others."""

from __future__ import annotations

import os
import pwd
import stat
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path

from shared.errors import OperatorError
from shared.models.training.confinement import TrainingUser
from shared.models.training.training_process import OUT_VARIABLE, TrainingJob

_SETTING = "HOMEOSTAT_RETRAINING_TRAINING_USER"
_RUNS = "runs"


def find_training_user(name: str) -> TrainingUser | None:
    """The user of the setting; None if it is empty. Raises OperatorError if there is no such user, or this is not root."""
    if not name:
        return None
    try:
        found = pwd.getpwnam(name)
    except KeyError as error:
        raise OperatorError(
            f"{_SETTING}: this system has no user {name}",
            hint=f"create it, for example with `useradd --system {name}`",
        ) from error
    if os.geteuid() != 0:
        raise OperatorError(
            f"{_SETTING}={name} needs a retraining service that runs as root: only root may start processes of other users",
            hint="run retraining as root, or unset it",
        )
    if found.pw_uid == 0:
        raise OperatorError(f"{_SETTING}: {name} is root", hint="name a user without rights")
    home = found.pw_dir if Path(found.pw_dir).is_dir() else "/"
    return TrainingUser(name, found.pw_uid, found.pw_gid, home)


@contextmanager
def lent_to(user: TrainingUser, job: TrainingJob) -> Iterator[TrainingJob]:
    """The job for that user, while it may use the files of the run. They are at `<home>/runs/<run>`.

    1. let it pass through the home and the folder of runs, without a right to list them   2. let it read the files of the run
    3. give it the output folder   4. afterwards take that back, also from processes that are left
    Everything else in the home must be out of its reach, which is checked as that user before the command starts.
    """
    run = job.attempts.parent
    out = Path(job.environment[OUT_VARIABLE])
    home = run.parent.parent
    for folder in (home, run.parent):
        os.chmod(folder, stat.S_IMODE(folder.stat().st_mode) | stat.S_IXOTH)
    for path in (run, *_files_to_read(run, out)):
        os.chown(path, -1, user.gid, follow_symlinks=False)
        os.chmod(path, 0o750 if path.is_dir() else 0o640)
    os.chown(out, user.uid, user.gid)
    os.chmod(out, 0o700)
    needed = [(out, os.R_OK | os.W_OK | os.X_OK)]
    needed += [
        (Path(value), os.R_OK)
        for name, value in job.environment.items()
        if value and name in ("HOMEOSTAT_TRAIN", "HOMEOSTAT_CHAMPION")
    ]
    private = [
        path for path in home.iterdir() if path.name != _RUNS and not job.directory.is_relative_to(path)
    ]
    confinement = replace(job.confinement, user=user, needed=tuple(needed), private=tuple(sorted(private)))
    try:
        yield replace(job, confinement=confinement)
    finally:
        os.chown(out, os.geteuid(), os.getegid())


def _files_to_read(run: Path, out: Path) -> Iterator[Path]:
    """The snapshot, the champion, and the folders above the output; not the files of other attempts."""
    for folder in (run / "snapshot", run / "champion"):
        if folder.is_dir():
            yield folder
            yield from (path for path in folder.iterdir() if path.is_file() and not path.is_symlink())
    yield out.parent.parent
    yield out.parent
