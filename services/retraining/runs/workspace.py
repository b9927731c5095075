"""Paths of a run's files: `runs/<run_id>/…`, and its holdout outside that folder."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import orjson

from shared.files import write_atomic


@dataclass(frozen=True)
class RunFolder:
    """The files of one run. `root` is `<home>/runs/<run_id>`."""

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
        """The rows on which the gate compares both models.

        The file is outside the run's folder, because the training command receives paths in that folder: a model trained on
        the holdout would pass any gate.
        """
        return self.root.parent.parent / "holdouts" / f"{self.root.name}.parquet"

    @property
    def champion(self) -> Path:
        """The champion's version folder, verified."""
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
        return self.root / "version"

    @property
    def reference(self) -> Path:
        """The challenger's reference rows before packaging."""
        return self.root / "reference.parquet"


def write_json(path: Path, content: object) -> None:
    """Write JSON atomically and durably; creates the parent folder."""
    path.parent.mkdir(parents=True, exist_ok=True)
    write_atomic(path, orjson.dumps(content, option=orjson.OPT_INDENT_2 | orjson.OPT_SORT_KEYS), durable=True)
