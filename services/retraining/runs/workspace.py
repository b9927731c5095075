"""Paths of a run's files: what training may see in `runs/<run_id>/`, what evaluation needs in `evaluations/<run_id>/`."""

from __future__ import annotations

import os
import stat
from dataclasses import dataclass
from pathlib import Path

import orjson

from shared.errors import IntegrityError, NotFound
from shared.files import write_atomic


@dataclass(frozen=True)
class RunFolder:
    """The files of one run. `root` is `<home>/runs/<run_id>`.

    The training command receives paths below `root`. The holdout, and every file with rows of it, is below `evaluation`: a
    model trained on the holdout would pass any gate.
    """

    root: Path

    @property
    def snapshot(self) -> Path:
        """train.parquet and snapshot.json; the folder exists only when both are complete."""
        return self.root / "snapshot"

    @property
    def train(self) -> Path:
        """The training rows."""
        return self.snapshot / "train.parquet"

    @property
    def holdout(self) -> Path:
        """The rows on which the gate compares both models."""
        return self.evaluation / "holdout.parquet"

    @property
    def evaluation(self) -> Path:
        """The folder of files that the training command must not read."""
        return self.root.parent.parent / "evaluations" / self.root.name

    @property
    def champion(self) -> Path:
        """The champion's version folder, verified."""
        return self.evaluation / "champion"

    @property
    def champion_for_training(self) -> Path:
        """The champion's model and manifest. Its reference rows may overlap this run's holdout, so they are left out."""
        return self.root / "champion"

    def attempt(self, number: int) -> Path:
        """A training attempt: its `out` folder and `train.log`. Attempts share no files."""
        return self.root / "attempts" / str(number)

    @property
    def trained(self) -> Path:
        """The number of the successful attempt, and its metrics."""
        return self.root / "trained.json"

    @property
    def version(self) -> Path:
        """The packaged challenger."""
        return self.evaluation / "version"

    @property
    def reference(self) -> Path:
        """The challenger's reference rows before packaging."""
        return self.evaluation / "reference.parquet"

    def create(self, *, is_new: bool) -> None:
        """Create the run's two folders, each by exactly one call. Raises IntegrityError for one that somebody else has put there.

        Files in them are taken for those of this run. Those of a new run are empty, as a process that was killed leaves them.
        """
        for folder in (self.root, self.evaluation):
            folder.parent.mkdir(parents=True, exist_ok=True)
            try:
                folder.mkdir(mode=0o700)
            except FileExistsError:
                status = folder.lstat()
                is_own = stat.S_ISDIR(status.st_mode) and status.st_uid == os.geteuid()
                if not is_own or (is_new and any(folder.iterdir())):
                    raise IntegrityError(
                        f"{folder} exists, and this run has not created it",
                        hint="find out who did; move it away, and start a new run",
                    ) from None

    def require_holdout(self) -> None:
        """Raises NotFound where the holdout was deleted."""
        if not self.holdout.is_file():
            raise NotFound(f"the holdout {self.holdout} was deleted", hint="start a new run")


def write_json(path: Path, content: object) -> None:
    """Write JSON atomically and durably; creates the parent folder."""
    path.parent.mkdir(parents=True, exist_ok=True)
    write_atomic(path, orjson.dumps(content, option=orjson.OPT_INDENT_2 | orjson.OPT_SORT_KEYS), durable=True)
