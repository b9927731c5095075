"""Training and holdout data of a run: rows of the lake at recorded table versions, split by time."""

from __future__ import annotations

import shutil
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from datetime import datetime, timedelta
from hashlib import sha256
from typing import Any

import orjson
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq

from services.retraining.runs.cut_offs import cut_offs, explain_cut_offs
from services.retraining.runs.workspace import RunFolder, write_json
from shared.contracts.lake_schema import feature_column
from shared.contracts.loop_spec import LoopSpec
from shared.contracts.outcome import expected_outcome, fitting
from shared.contracts.retraining_spec import AllRows, LastRows
from shared.files import atomic_path
from shared.models.answers import outcome_source, typed_outcomes
from shared.stores.lake import Lake, LakeSnapshot

_SUMMARY = "snapshot.json"


@dataclass(frozen=True)
class Pin:
    """What determines a snapshot: table versions, the watermark, and the faulty intervals to exclude."""

    predictions: int
    outcomes: int
    watermark: str
    faulty: tuple[tuple[str, str], ...] = ()

    def to_json(self) -> dict[str, Any]:
        """For the ledger."""
        return {**asdict(self), "faulty": [list(interval) for interval in self.faulty]}

    @classmethod
    def of_json(cls, stored: dict[str, Any]) -> Pin:
        """From the ledger."""
        faulty = tuple((str(start), str(end)) for start, end in stored["faulty"])
        return cls(stored["predictions"], stored["outcomes"], stored["watermark"], faulty)


@dataclass(frozen=True)
class SnapshotSummary:
    """`snapshot.json`. Timestamps are ISO 8601; intervals are [from, until].

    `left_out_rows` are in faulty intervals; `unfit_outcome_rows` are other rows whose outcome does not fit the prediction.
    """

    digest: str
    train_rows: int
    holdout_rows: int
    train_from: str
    train_until: str
    holdout_from: str
    holdout_until: str
    left_out_rows: int
    pin: dict[str, Any]
    unfit_outcome_rows: int = 0


def pin_lake(
    lake: Lake, model: str, faulty: Sequence[tuple[datetime, datetime]], now: datetime
) -> Pin | None:
    """Record the current table versions; None if there is no prediction or no outcome yet. Raises DependencyUnavailable.

    The watermark is at most `now`: one row from the future must not move all real rows out of the holdout.
    """
    # The watermark is read after the versions: it may be newer than they are, never older.
    versions = lake.snapshot(model)
    watermark = lake.watermark(model)
    if versions.predictions is None or versions.outcomes is None or watermark is None:
        return None
    intervals = tuple((start.isoformat(), end.isoformat()) for start, end in faulty)
    return Pin(versions.predictions, versions.outcomes, min(watermark, now).isoformat(), intervals)


def take_snapshot(
    lake: Lake, spec: LoopSpec, pin: Pin, change_since: datetime | None, folder: RunFolder
) -> SnapshotSummary:
    """Find or create the snapshot of a run. The same pin gives the same bytes.

    1. read rows with outcomes at the pinned versions
    2. exclude faulty intervals, then outcomes that do not fit: one bad outcome must not stop all training of a model
    3. split: the last `gate.holdout` of event time with outcomes is the holdout; the training window ends before it
    4. write the holdout, then the training rows and the summary in a temporary folder
    5. rename the temporary folder: only now does the snapshot exist
    A snapshot whose holdout was deleted is created again.
    """
    if (folder.snapshot / _SUMMARY).is_file() and folder.holdout.is_file():
        return SnapshotSummary(**orjson.loads((folder.snapshot / _SUMMARY).read_bytes()))
    cut = cut_offs(spec, datetime.fromisoformat(pin.watermark))
    rows = _read(lake, spec, pin, cut.training_from, cut.settled)
    sound = _without(rows, pin.faulty)
    valid = _with_typed_outcomes(sound.filter(fitting(spec.prediction, sound["outcome"])), spec)
    times = valid["event_time"]
    border = pa.scalar(cut.holdout_from, times.type)
    holdout = valid.filter(pc.greater_equal(times, border))
    train = _training_window(valid.filter(pc.less(times, border)), spec, change_since)

    temporary_folder = folder.root / ".snapshot"
    shutil.rmtree(temporary_folder, ignore_errors=True)
    temporary_folder.mkdir(parents=True)
    folder.evaluation.mkdir(mode=0o700, parents=True, exist_ok=True)
    with atomic_path(folder.holdout, durable=True) as temporary:
        pq.write_table(holdout, temporary, compression="zstd", compression_level=1)
    pq.write_table(train, temporary_folder / folder.train.name, compression="zstd", compression_level=1)
    digest = sha256(orjson.dumps(pin.to_json(), option=orjson.OPT_SORT_KEYS))
    for path in (temporary_folder / folder.train.name, folder.holdout):
        digest.update(path.read_bytes())
    summary = SnapshotSummary(
        digest=digest.hexdigest(),
        train_rows=train.num_rows,
        holdout_rows=holdout.num_rows,
        train_from=_edge(train, "min"),
        train_until=_edge(train, "max"),
        holdout_from=_edge(holdout, "min"),
        holdout_until=_edge(holdout, "max"),
        left_out_rows=rows.num_rows - sound.num_rows,
        pin=pin.to_json(),
        unfit_outcome_rows=sound.num_rows - valid.num_rows,
    )
    write_json(temporary_folder / _SUMMARY, asdict(summary))
    shutil.rmtree(folder.snapshot, ignore_errors=True)
    temporary_folder.rename(folder.snapshot)
    return summary


def problem_with(summary: SnapshotSummary, spec: LoopSpec, folder: RunFolder) -> str:
    """Why a snapshot is unfit for training; empty if it is fit."""
    unfit = summary.unfit_outcome_rows
    left_out = (
        f"; {unfit} rows were left out: their outcome is not {expected_outcome(spec.prediction)}"
        if unfit
        else ""
    )
    if summary.left_out_rows:
        left_out += f"; {summary.left_out_rows} rows in windows with data faults were left out"
    cut = cut_offs(spec, datetime.fromisoformat(summary.pin["watermark"]))
    performance = spec.require_performance()
    for rows, name, interval, needed, setting in (
        (
            summary.train_rows,
            "training",
            cut.training(),
            performance.retraining.minimum_rows,
            "retraining.minimum_rows",
        ),
        (summary.holdout_rows, "holdout", cut.holdout(), performance.gate.minimum_rows, "gate.minimum_rows"),
    ):
        if rows < needed:
            # The intervals, because the newest row may lie far from all others: then they hold nothing.
            return (
                f"{rows} {name} rows with outcomes {interval}; {setting} is {needed}{left_out}. "
                f"{explain_cut_offs(spec, cut)}"
            )
    if spec.prediction.kind not in ("probability", "classes"):
        return ""
    for name, path in (("train.parquet", folder.train), ("the holdout", folder.holdout)):
        outcome = pq.read_table(path, columns=["outcome"])["outcome"]
        if len(pc.unique(outcome)) < 2:
            return f"{name} contains outcomes of one class only{left_out}"
    return ""


def _read(lake: Lake, spec: LoopSpec, pin: Pin, start: datetime, end: datetime) -> pa.Table:
    columns = ["event_time", *(feature_column(feature.name) for feature in spec.features)]
    versions = LakeSnapshot(pin.predictions, pin.outcomes)
    # One microsecond more: the interval is half open, and includes the last row.
    until = end + timedelta(microseconds=1)
    rows = lake.read_joined(
        spec.model,
        start,
        until,
        columns=columns,
        snapshot=versions,
        with_outcome=True,
        source=outcome_source(spec.prediction),
    )
    names = ["event_time", *(feature.name for feature in spec.features), "outcome", "prediction_id"]
    source = [*columns, "outcome", "prediction_id"]
    return pa.table([rows[column].combine_chunks() for column in source], names=names)


def _with_typed_outcomes(rows: pa.Table, spec: LoopSpec) -> pa.Table:
    """Training receives labels as `loop.yaml` has them, and values as a struct with the names of `loop.yaml`."""
    place = rows.schema.get_field_index("outcome")
    return rows.set_column(place, "outcome", typed_outcomes(spec.prediction, rows["outcome"]))


def _without(rows: pa.Table, faulty: tuple[tuple[str, str], ...]) -> pa.Table:
    times = rows["event_time"]
    for start, end in faulty:
        begin, stop = (pa.scalar(datetime.fromisoformat(value), times.type) for value in (start, end))
        rows = rows.filter(pc.or_(pc.less(times, begin), pc.greater_equal(times, stop)))
        times = rows["event_time"]
    return rows


def _training_window(rows: pa.Table, spec: LoopSpec, change_since: datetime | None) -> pa.Table:
    """The rows of the training window; rows are in time order, so it is always a tail."""
    window = spec.require_performance().retraining.window
    if isinstance(window, AllRows):
        return rows
    if isinstance(window, LastRows):
        return rows if window.rows is None else rows.slice(max(0, rows.num_rows - window.rows))
    since = 0
    if change_since is not None:
        since = (
            pc.sum(
                pc.greater_equal(rows["event_time"], pa.scalar(change_since, rows["event_time"].type))
            ).as_py()
            or 0
        )
    count = max(since, window.minimum_rows) if change_since is not None else rows.num_rows
    return rows.slice(max(0, rows.num_rows - count))


def _edge(rows: pa.Table, side: str) -> str:
    if rows.num_rows == 0:
        return ""
    place = 0 if side == "min" else rows.num_rows - 1
    event_time: datetime = rows["event_time"][place].as_py()
    return event_time.isoformat()
