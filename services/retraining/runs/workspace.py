"""Where a run keeps its files: `runs/<run_id>/…`."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import orjson

from shared.files import write_atomic


@dataclass(frozen=True)
class RunFolder:
    """The places below one run's folder."""

    root: Path

    @property
    def snapshot(self) -> Path:
        """train.parquet, holdout.parquet and snapshot.json; there whole or not at all."""
        return self.root / "snapshot"

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
