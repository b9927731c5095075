"""One training by any launcher, on the same rows as every other one, and the version that it makes."""

from __future__ import annotations

from pathlib import Path
from threading import Event

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq

from services.retraining.launchers.launcher import Launcher
from services.retraining.runs.training import train
from services.retraining.runs.workspace import RunFolder
from shared.contracts.manifest import Origin
from shared.contracts.retraining_spec import Training
from shared.models.signed_versions.packaging import package_version
from tests.fakes.retraining_installation import START, Installation

ROWS = 400


def trained(
    installation: Installation,
    launcher: Launcher,
    run: str,
    limits: Training | None = None,
    *words: str,
    stop: Event | None = None,
) -> RunFolder:
    """A run whose training command is the project's `train.py` with these words."""
    folder = RunFolder(installation.home / "runs" / run)
    folder.snapshot.mkdir(parents=True)
    write_rows(folder.train)
    train(
        launcher,
        run_id=run,
        command=("python", "train.py", *words),
        passed=(),
        limits=limits,
        directory=installation.project,
        time_limit=installation.spec.require_performance().retraining.time_limit,
        folder=folder,
        attempt=1,
        stop=stop or Event(),
    )
    return folder


def write_rows(path: Path) -> None:
    """Training rows: the outcome is one with probability sigmoid(2x)."""
    random = np.random.default_rng(3)
    x = random.normal(size=ROWS)
    rows = {
        "event_time": pa.array([START] * ROWS),
        "x": x,
        "color": ["red", "blue"] * (ROWS // 2),
        "outcome": (random.random(ROWS) < 1 / (1 + np.exp(-2 * x))).astype(float),
    }
    pq.write_table(pa.table(rows), path)


def version_of(installation: Installation, folder: RunFolder) -> str:
    """The name of the version that the run's model becomes: the digest of its content."""
    reference = installation.home.parent / "champion-0.5" / "reference.parquet"
    folder.evaluation.mkdir(parents=True)
    manifest = package_version(
        folder.version,
        loop=installation.spec,
        model=folder.attempt(1) / "out" / "model.onnx",
        reference=reference,
        origin=Origin(kind="deployment"),
        metrics={},
        signing_key=installation.keys.signing,
    )
    return manifest.version
