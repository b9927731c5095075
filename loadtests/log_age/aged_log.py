"""An old lake: the sink's own tables and compaction, seeded rows at a steady rate, and commits in the real format.

A million rows are a year, so ten times the rows are ten times the age. Each row has an outcome two hours later. Commits beyond
those that wrote the rows hold no files: compaction merges files, so what is left of a commit is its entry in the log.
"""

from __future__ import annotations

import json
import os
import time
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path

import numpy as np
import numpy.typing as npt
import pyarrow as pa
from deltalake import DeltaTable, write_deltalake

from services.prediction_log.sink.table_properties import Retention
from services.prediction_log.sink.table_writer import TableWriter
from shared.contracts.lake_schema import OUTCOME_COLUMNS, PARTITION, PREDICTION_COLUMNS, TIMESTAMP
from shared.stores.lake import Lake
from shared.stores.tables.id_hours import with_id_hours

MODEL = "bench"
FEATURES = 12
END = datetime(2026, 1, 1, tzinfo=UTC)
ROWS_A_YEAR = 1_000_000
VERSION = "a" * 64
COMMIT_SECONDS = 0.4
_OUTCOME_DELAY = timedelta(hours=2)
_FILE_ROWS = 20_000
_STEP = int(timedelta(days=365) / timedelta(microseconds=1)) // ROWS_A_YEAR
_ALPHABET = np.frombuffer(b"0123456789abcdefghijklmnopqrstuv", np.uint8)

Micros = npt.NDArray[np.int64]


@dataclass(frozen=True)
class AgedLog:
    """`ids`: of predictions spread over the log, with their time."""

    root: Path
    ids: list[tuple[str, datetime]]


def age_log(root: Path, rows: int, commits: int) -> AgedLog:
    """Make a lake of `rows` predictions with outcomes, whose two tables have had that many commits."""
    lake, random = Lake(str(root)), np.random.default_rng(rows)
    predictions = _writer(lake.predictions(MODEL), PREDICTION_COLUMNS, "event_time")
    outcomes = _writer(lake.outcomes(MODEL), OUTCOME_COLUMNS, "observed_at")
    examples: list[tuple[str, datetime]] = []
    for first in range(0, rows, _FILE_ROWS):
        places = np.arange(first, min(first + _FILE_ROWS, rows))
        times = _micros(start_of(rows)) + places * _STEP
        ids = _ids(times, random)
        examples.append((ids[len(ids) // 2].as_py(), _moment(int(times[len(ids) // 2]))))
        _append(lake.predictions(MODEL), _predictions(ids, times, places, random))
        _append(lake.outcomes(MODEL), _outcomes(ids, times, places, random))
    for writer, location in ((predictions, lake.predictions(MODEL)), (outcomes, lake.outcomes(MODEL))):
        writer.compact()
        _add_commits(Path(location), commits)
    return AgedLog(root, examples)


def start_of(rows: int) -> datetime:
    """Time of the first row of a log with so many rows."""
    return END - timedelta(microseconds=rows * _STEP)


def _writer(location: str, columns: pa.Schema, time_column: str) -> TableWriter:
    writer = TableWriter(location, columns, time_column=time_column, retention=Retention())
    writer.check()  # creates the table
    return writer


def _append(location: str, rows: pa.Table) -> None:
    write_deltalake(DeltaTable(location), rows, mode="append", schema_mode="merge")


def _predictions(ids: pa.Array, times: Micros, places: Micros, random: np.random.Generator) -> pa.Table:
    count = len(times)
    columns = {
        "prediction_id": ids,
        "version": pa.array([VERSION]).take(pa.array(np.zeros(count, np.int8))),
        "generation": np.ones(count, np.int64),
        "event_time": pa.array(times, TIMESTAMP),
        "answered_at": pa.array(times + 5_000, TIMESTAMP),
        "writer": pa.array(["w"]).take(pa.array(np.zeros(count, np.int8))),
        "epoch": np.ones(count, np.int64),
        "sequence": places,
        "score": random.random(count),
        "traceparent": pa.nulls(count, pa.string()),
        **{f"f_number_{place}": random.normal(0, 1, count).round(2) for place in range(FEATURES)},
        PARTITION: _months(times),
    }
    return pa.table(columns)


def _outcomes(ids: pa.Array, times: Micros, places: Micros, random: np.random.Generator) -> pa.Table:
    count, observed = len(times), times + int(_OUTCOME_DELAY / timedelta(microseconds=1))
    columns = {
        "prediction_id": ids,
        "value": (random.random(count) < 0.5).astype(np.float64),
        "observed_at": pa.array(observed, TIMESTAMP),
        "received_at": pa.array(observed, TIMESTAMP),
        "writer": pa.array(["w"]).take(pa.array(np.zeros(count, np.int8))),
        "epoch": np.ones(count, np.int64),
        "sequence": places,
        "traceparent": pa.nulls(count, pa.string()),
    }
    return with_id_hours(pa.table(columns)).append_column(PARTITION, _months(observed))


def _ids(times: Micros, random: np.random.Generator) -> pa.Array:
    """Ids of the real form: the hour, 13 characters of the group, the place of an id with an hour, 13 of the check."""
    characters = _ALPHABET[random.integers(0, 32, (len(times), 32))]
    hours = times // 3_600_000_000
    for position in range(4):
        characters[:, position] = _ALPHABET[hours >> 5 * (3 - position) & 31]
    characters[:, 17] = ord("2")
    text = characters.tobytes()
    offsets = np.arange(0, len(text) + 1, 32, dtype=np.int32)
    return pa.StringArray.from_buffers(len(times), pa.py_buffer(offsets), pa.py_buffer(text))


def _months(times: Micros) -> pa.Array:
    return pa.array(np.datetime_as_string(times.astype("datetime64[us]"), unit="M").tolist())


def _add_commits(table: Path, commits: int) -> None:
    """Let the table's log be that of a table with so many commits, one each COMMIT_SECONDS until now.

    Entries that clean-up had deleted long ago are left out: a checkpoint stands in their place, as clean-up leaves one. The
    others are files with their own times, and clean-up by delta-rs decides about them, as with any checkpoint.
    """
    log = table / "_delta_log"
    present = DeltaTable(str(table)).version()
    if commits <= present + 1:
        return
    kept = min(commits - present, int(4 * Retention().log.total_seconds() / COMMIT_SECONDS))
    first = commits - kept
    DeltaTable(str(table)).create_checkpoint()
    for path in log.glob("*.json"):
        path.unlink()
    checkpoint = next(log.glob("*.checkpoint.parquet"))
    checkpoint.rename(log / f"{first:020}.checkpoint.parquet")
    hint = json.loads((log / "_last_checkpoint").read_bytes())
    (log / "_last_checkpoint").write_text(json.dumps({**hint, "version": first}))
    now = time.time()
    for version in range(first, commits):
        path, age = log / f"{version:020}.json", (commits - version) * COMMIT_SECONDS
        info = {"timestamp": int((now - age) * 1000), "operation": "WRITE", "operationParameters": {}}
        transaction = {"appId": "offset/bench", "version": version}
        path.write_text(json.dumps({"commitInfo": info}) + "\n" + json.dumps({"txn": transaction}) + "\n")
        os.utime(path, (now - age, now - age))
    os.utime(log / f"{first:020}.checkpoint.parquet", (now - kept * COMMIT_SECONDS,) * 2)
    newest = DeltaTable(str(table))
    newest.create_checkpoint()
    newest.cleanup_metadata()


def _micros(time: datetime) -> int:
    return int(time.timestamp()) * 1_000_000


def _moment(micros: int) -> datetime:
    return datetime.fromtimestamp(micros / 1e6, UTC)
