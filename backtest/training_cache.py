"""A launcher that keeps what training commands wrote: the same rows, command and project are trained once for all policies."""

from __future__ import annotations

import os
import shutil
from dataclasses import replace
from hashlib import sha256
from pathlib import Path
from threading import Event

from backtest.record import RECORD
from services.retraining.launchers.launcher import Launcher
from shared.models.training.training_process import OUT_VARIABLE, TrainingJob

_TRAIN, _CHAMPION = "HOMEOSTAT_TRAIN", "HOMEOSTAT_CHAMPION"
# Folders of a project that no training result depends on.
_IGNORED = frozenset({"__pycache__", ".git", ".venv", ".homeostat"})
# Files that say when to train, not how.
_OF_POLICY = frozenset({"loop.yaml", RECORD})
_PROGRAMS = frozenset({".py", ".sh", ".r", ".jl"})


class TrainingCache:
    """Runs jobs with `launcher`, and copies the result of a job whose digest is known from `folder`.

    The digest is of the command, the variables that `retraining.environment` passes on, the files of the project except
    `ignored`, and the training rows. A project that names the champion's variable starts from the champion's model, so that model
    counts too; any other project does not get it.
    """

    def __init__(self, launcher: Launcher, folder: Path, ignored: tuple[Path, ...] = ()) -> None:
        self._launcher = launcher
        self._folder = folder
        self._ignored = frozenset(path.resolve() for path in ignored)
        self._projects: dict[Path, tuple[str, bool]] = {}
        self.trained = 0
        self.reused = 0

    def train(self, job: TrainingJob, stop: Event) -> None:
        """Copy the known result, or run the command and keep what it wrote. A failed training is not kept."""
        out = Path(job.environment[OUT_VARIABLE])
        project, takes_champion = self._project(job.directory)
        environment = dict(job.environment)
        if not takes_champion:
            environment[_CHAMPION] = ""
        kept = self._folder / self._digest(job, environment, project)
        if kept.is_dir():
            shutil.copytree(kept, out, dirs_exist_ok=True)
            self.reused += 1
            return
        self._launcher.train(replace(job, environment=environment), stop)
        self.trained += 1
        draft = kept.with_name(f"{kept.name}.{os.getpid()}")
        shutil.rmtree(draft, ignore_errors=True)
        shutil.copytree(out, draft)
        try:
            draft.rename(kept)
        except OSError:  # another back-test was faster
            shutil.rmtree(draft, ignore_errors=True)

    def _digest(self, job: TrainingJob, environment: dict[str, str], project: str) -> str:
        digest = sha256(project.encode())
        digest.update("\0".join(job.command).encode())
        for name in sorted(environment.keys() - {_TRAIN, _CHAMPION, OUT_VARIABLE}):
            digest.update(f"\0{name}={environment[name]}".encode())
        digest.update(Path(environment[_TRAIN]).read_bytes())
        if environment[_CHAMPION]:
            # Its model only: the manifest beside it names the policy.
            for path in sorted(Path(environment[_CHAMPION]).glob("model.*")):
                digest.update(sha256(path.read_bytes()).digest())
        return digest.hexdigest()

    def _project(self, directory: Path) -> tuple[str, bool]:
        """Digest of the project's files, and whether one of its programs names the champion's variable."""
        if directory not in self._projects:
            digest, takes_champion = sha256(), False
            for path in sorted(directory.rglob("*")):
                name = path.relative_to(directory)
                if path.name in _OF_POLICY or not path.is_file() or path.resolve() in self._ignored:
                    continue
                if _IGNORED.isdisjoint(name.parts):
                    content = path.read_bytes()
                    digest.update(name.as_posix().encode() + b"\0" + sha256(content).digest())
                    takes_champion |= path.suffix.lower() in _PROGRAMS and _CHAMPION.encode() in content
            self._projects[directory] = (digest.hexdigest(), takes_champion)
        return self._projects[directory]
