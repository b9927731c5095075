"""The training rows of a version, made again from the lake as it is now, and compared with those it was trained on.

A version of a run: the run's record names table versions, watermark and intervals that were left out, and how far each stream was
stored then. A deployed version: the rows that its deployment imported, in the order of its training file.
"""

from __future__ import annotations

import shutil
from dataclasses import dataclass
from hashlib import sha256
from pathlib import Path
from typing import Any

from services.retraining.ledger.ledger import Ledger
from services.retraining.ledger.records import Run
from services.retraining.runs.data_snapshot import SnapshotSummary, take_snapshot
from services.retraining.runs.workspace import RunFolder
from services.retraining.snapshots.imported_file import training_files
from services.retraining.snapshots.pin import Pin
from shared.contracts.manifest import Manifest, short
from shared.errors import Conflict, NotFound
from shared.stores.as_of.marked_lake import MarkedLake
from shared.stores.as_of.stream_marks import StreamMarks
from shared.stores.lake import Lake
from shared.stores.model_store import ModelStore


@dataclass(frozen=True)
class MadeAgain:
    """`train`: the file of training rows. `expected` and `found`: digests, of train and holdout or of the training file alone."""

    manifest: Manifest
    run: Run | None
    train: Path
    train_rows: int
    holdout_rows: int
    expected: str
    found: str

    @property
    def is_equal(self) -> bool:
        """Whether every byte is the same."""
        return self.found == self.expected

    def to_json(self) -> dict[str, Any]:
        """For the command line."""
        return {
            "model": self.manifest.model,
            "version": self.manifest.version,
            "origin": self.manifest.origin.kind,
            "run_id": self.manifest.origin.run_id,
            "train_rows": self.train_rows,
            "holdout_rows": self.holdout_rows,
            "expected_digest": self.expected,
            "digest": self.found,
            "equal": self.is_equal,
        }


def find_version(store: ModelStore, version: str) -> Manifest:
    """The manifest of a version, live or archived. Raises NotFound; Conflict for a prefix of several."""
    found = [
        (model, name)
        for model in store.models()
        for name in store.versions(model)
        if name.startswith(version)
    ]
    if not found:
        raise NotFound(f"there is no version {version}", hint="`homeostat releases MODEL` lists them")
    if len(found) > 1:
        raise Conflict(f"{len(found)} versions begin with {version}", hint="give more characters of it")
    return store.manifest(*found[0])


def make_again(lake: Lake, ledger: Ledger, manifest: Manifest, folder: Path) -> MadeAgain:
    """Make the rows again in `folder`. Raises NotFound, with what is missing, where they cannot be found."""
    if manifest.origin.kind == "run":
        return _of_run(lake, ledger, manifest, folder)
    if not manifest.origin.snapshot:
        raise NotFound(
            f"version {short(manifest.version)} was trained elsewhere: its training rows were never here",
            hint="deploy it with --train and --holdout",
        )
    return _of_deployment(lake, manifest, folder)


def _of_run(lake: Lake, ledger: Ledger, manifest: Manifest, folder: Path) -> MadeAgain:
    run = ledger.run(manifest.origin.run_id)
    if run.snapshot is None:
        raise NotFound(f"run {run.run_id} has no snapshot in the ledger", hint="restore the ledger")
    stored = ledger.snapshot_marks.find(run.run_id)
    if stored is None:
        raise NotFound(
            f"run {run.run_id} was made by a release that did not record how far its rows were stored",
            hint="versions of later runs can be made again",
        )
    summary = SnapshotSummary(**run.snapshot)
    marked = MarkedLake(lake.root, marks=StreamMarks.of_json(stored))
    made = RunFolder(folder / "runs" / run.run_id)
    made.root.mkdir(parents=True)
    again = take_snapshot(marked, run.loop, Pin.of_json(summary.pin), run.change_since, made)
    return MadeAgain(
        manifest, run, made.train, again.train_rows, again.holdout_rows, summary.digest, again.digest
    )


def _of_deployment(lake: Lake, manifest: Manifest, folder: Path) -> MadeAgain:
    expected = manifest.origin.snapshot
    target = folder / "train.parquet"
    folder.mkdir(parents=True, exist_ok=True)
    found, rows = "", 0
    for candidate, count in training_files(lake, manifest.loop, folder):
        digest = sha256(candidate.read_bytes()).hexdigest()
        if not found or digest == expected:
            shutil.move(candidate, target)
            found, rows = digest, count
        if digest == expected:
            break
    if not found:
        raise NotFound(
            f"the lake has no imported rows of {manifest.model}, which version {short(manifest.version)} was trained on",
            hint=f"import its training rows: homeostat import TRAIN.parquet --model {manifest.model}",
        )
    return MadeAgain(manifest, None, target, rows, 0, expected, found)
