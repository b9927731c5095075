"""Where a run keeps its files: `runs/<run_id>/…`, and its holdout outside that folder."""

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
        """The rows the training command reads."""
        return self.snapshot / "train.parquet"

    @property
    def holdout(self) -> Path:
        """The rows the gate measures both models on.

        They lie outside the run's folder, the only one the training command is told about: a version that trained on
        its own test rows would pass any gate.
        """
        return self.root.parent.parent / "holdouts" / f"{self.root.name}.parquet"

    @property
    def champion(self) -> Path:
        """The champion's version folder, verified."""
        return self.root / "champion"

    def attempt(self, number: int) -> Path:
        """A training attempt: its `out` folder and `train.log`. A later attempt never reads an earlier one's."""
        return self.root / "attempts" / str(number)

    @property
    def trained(self) -> Path:
        """Says which attempt ended well, and its metrics."""
        return self.root / "trained.json"

    @property
    def version(self) -> Path:
        """The packaged challenger."""
        return self.root / "version"

    @property
    def reference(self) -> Path:
        """The challenger's reference rows, before they are packaged."""
        return self.root / "reference.parquet"


def write_json(path: Path, content: object) -> None:
    """Write JSON atomically and durably, and the folder it lies in."""
    path.parent.mkdir(parents=True, exist_ok=True)
    write_atomic(path, orjson.dumps(content, option=orjson.OPT_INDENT_2 | orjson.OPT_SORT_KEYS), durable=True)
