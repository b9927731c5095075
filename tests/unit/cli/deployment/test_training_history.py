"""Training rows of a deployment in the lake: once, as an import of their file, and the file can be made again from them."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from hashlib import sha256
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from cli.deployment.parquet_rows import read_rows
from cli.deployment.training_history import checked_rows
from cli.history.history_file import check_file
from services.retraining.snapshots.imported_file import training_files
from tests.unit.cli.history.conftest import NOW, loop, validation
from tests.unit.cli.history.test_importer import bring
from tests.unit.services.prediction_log.conftest import Log


@pytest.fixture
def log(tmp_path: Path) -> Iterator[Log]:
    log = Log(tmp_path)
    yield log
    log.spool.close()


def training_file(path: Path, rows: int) -> Path:
    start = datetime(2013, 1, 1, tzinfo=UTC)
    table = pa.table(
        {
            "event_time": pa.array(
                [start + timedelta(hours=row) for row in range(rows)], pa.timestamp("us", "UTC")
            ),
            "distance": [float(row) for row in range(rows)],
            "carrier": ["AA", "UA"] * (rows // 2),
            "note": pa.array([f"ps(n{row})" for row in range(rows)]),
            "outcome": [float(row % 2) for row in range(rows)],
        }
    )
    pq.write_table(table, path)
    return path


def test_file_of_a_deployment_is_made_again_from_the_lake(log: Log, tmp_path: Path) -> None:
    path = training_file(tmp_path / "train.parquet", 100)
    rows = read_rows(path, loop(), NOW)
    deployed = tmp_path / "deployed.parquet"
    pq.write_table(rows.combine_chunks(), deployed)
    done = bring(log, checked_rows(loop(), rows, tmp_path / "rows.arrow"))
    assert (done.added, done.added_outcomes) == (100, 100)
    (tmp_path / "again").mkdir()
    [(again, count)] = training_files(log.lake, loop(), tmp_path / "again")
    assert count == 100
    assert sha256(again.read_bytes()).digest() == sha256(deployed.read_bytes()).digest()


def test_import_of_the_same_file_adds_nothing(log: Log, tmp_path: Path) -> None:
    path = training_file(tmp_path / "train.parquet", 20)
    bring(log, checked_rows(loop(), read_rows(path, loop(), NOW), tmp_path / "rows.arrow"))
    spec = validation()
    same = type(spec)(spec.loop, spec.columns, spec.now, str)  # the notes are pseudonyms already
    file, _ = check_file(path, same, tmp_path / "file.arrow")
    again = bring(log, file)
    assert (again.added, again.added_outcomes, again.known) == (0, 0, 20)
