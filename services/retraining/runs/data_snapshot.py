"""Training and holdout data of a run: rows of the lake at recorded table versions, split by time."""

from __future__ import annotations

import shutil
from collections import Counter
from collections.abc import Iterator
from dataclasses import asdict, dataclass
from datetime import datetime, timedelta
from hashlib import sha256
from pathlib import Path
from typing import Any

import orjson
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq

from services.retraining.runs.contradicted_rows import SENDERS, MarkedRows
from services.retraining.runs.cut_offs import (
    cut_offs,
    explain_cut_offs,
    training_rows,
    without_intervals,
)
from services.retraining.runs.workspace import RunFolder, write_json
from services.retraining.snapshots.pin import Pin
from shared.contracts.lake_schema import SOURCE, feature_column
from shared.contracts.loop_spec import LoopSpec
from shared.contracts.outcome import expected_outcome, fitting
from shared.errors import IntegrityError
from shared.files import atomic_path
from shared.models.answers import outcome_source, typed_outcomes
from shared.stores.as_of.stream_marks import StreamMarks, read_marks
from shared.stores.lake import Lake, LakeSnapshot
from shared.stores.lake_scan import OTHER_TYPES
from shared.stores.tables.row_blocks import RowFile, blocks_between, copy_last_rows, first_and_last

_SUMMARY = "snapshot.json"
# Training rows before the window and contradictions are known.
_KNOWN = "known.parquet"
# No feature can be named like it.
_IS_IMPORTED = "(imported)"
_INSTANT = timedelta(microseconds=1)  # intervals are half open; those of a snapshot include their last row


@dataclass(frozen=True)
class SnapshotSummary:
    """`snapshot.json`. Timestamps are ISO 8601; intervals are [from, until].

    `left_out_rows` are in faulty intervals; `unfit_outcome_rows` are other rows whose outcome does not fit the prediction;
    `other_type_rows` were answered by versions in which a feature had a type that cannot be read as its type now.
    `contradicted_train_rows` were left out: too many of the training rows have outcomes that contradict each other.
    `contradictions` is empty, or says that too many rows of the holdout have them, and who sent them.
    `model`: empty in snapshots of earlier releases. `homeostat erase` reads it.
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
    other_type_rows: int = 0
    contradicted_train_rows: int = 0
    contradictions: str = ""
    model: str = ""


def take_snapshot(
    lake: Lake, spec: LoopSpec, pin: Pin, change_since: datetime | None, folder: RunFolder
) -> SnapshotSummary:
    """Find or create the snapshot of a run. The same pin gives the same bytes.

    1. read rows with outcomes at the pinned versions
    2. exclude rows in which a feature has a value of another type, faulty intervals, then outcomes that do not fit: one bad
       outcome must not stop all training of a model
    3. split: the last `gate.holdout` of event time with outcomes is the holdout; training rows end `outcome.delay` before it.
       Imported rows are never in the holdout: the champion may have been trained on them
    4. leave out training rows whose outcomes contradict each other, where they are too many; the holdout keeps them, and is not
       judged: who can choose which rows are judged, chooses the challenger
    5. write the holdout, then the training rows and the summary in a temporary folder
    6. rename the temporary folder: only now does the snapshot exist
    A snapshot whose holdout was deleted is created again.
    """
    if (folder.snapshot / _SUMMARY).is_file() and folder.holdout.is_file():
        return SnapshotSummary(**orjson.loads((folder.snapshot / _SUMMARY).read_bytes()))
    cut = cut_offs(spec, datetime.fromisoformat(pin.watermark))
    temporary_folder = folder.root / ".snapshot"
    shutil.rmtree(temporary_folder, ignore_errors=True)
    temporary_folder.mkdir(parents=True)
    folder.evaluation.mkdir(mode=0o700, parents=True, exist_ok=True)
    counts = Counter[str]()
    known_marks, holdout_marks = MarkedRows(), MarkedRows()
    with atomic_path(folder.holdout, durable=True) as temporary:
        holdout_file, known_file = RowFile(temporary), RowFile(temporary_folder / _KNOWN)
        for read in _read_blocks(lake, spec, pin, cut.training_from, cut.settled + _INSTANT):
            rows = read.filter(pc.invert(read[OTHER_TYPES])).drop_columns([OTHER_TYPES])
            sound = without_intervals(rows, pin.faulty)
            valid = _with_typed_outcomes(sound.filter(fitting(spec.prediction, sound["outcome"])), spec)
            counts.update(read=read.num_rows, rows=rows.num_rows, sound=sound.num_rows, valid=valid.num_rows)
            times = valid["event_time"]
            in_holdout = pc.greater_equal(times, pa.scalar(cut.holdout_from, times.type))
            holdout = valid.filter(pc.and_(in_holdout, pc.invert(valid[_IS_IMPORTED])))
            known = valid.filter(pc.less(times, pa.scalar(cut.training_until, times.type)))
            parts = ((holdout, holdout_file, holdout_marks), (known, known_file, known_marks))
            for part, file, marks in parts:
                file.append(part.drop_columns([SENDERS, _IS_IMPORTED]))
                marks.append(part[SENDERS])
            if change_since is not None:
                changed = known.filter(
                    pc.greater_equal(known["event_time"], pa.scalar(change_since, times.type))
                )
                counts.update(since=changed.num_rows, sound_since=changed[SENDERS].null_count)
        holdout_file.close()
        known_file.close()
    excess = bool(known_marks.excess(spec))
    contradicted = known_marks.contradicted if excess else 0
    since = None if change_since is None else counts["sound_since" if excess else "since"]
    train_rows = copy_last_rows(
        temporary_folder / _KNOWN,
        temporary_folder / folder.train.name,
        training_rows(known_marks.rows - contradicted, spec, since),
        known_marks.sound if excess else None,
    )
    (temporary_folder / _KNOWN).unlink()
    summary = SnapshotSummary(
        digest=_digest(pin, temporary_folder / folder.train.name, folder.holdout),
        train_rows=train_rows,
        holdout_rows=holdout_file.rows,
        **_edges("train", temporary_folder / folder.train.name),
        **_edges("holdout", folder.holdout),
        left_out_rows=counts["rows"] - counts["sound"],
        pin=pin.to_json(),
        unfit_outcome_rows=counts["sound"] - counts["valid"],
        other_type_rows=counts["read"] - counts["rows"],
        contradicted_train_rows=contradicted,
        contradictions=holdout_marks.excess(spec),
        model=spec.model,
    )
    write_json(temporary_folder / _SUMMARY, asdict(summary))
    shutil.rmtree(folder.snapshot, ignore_errors=True)
    temporary_folder.rename(folder.snapshot)
    return summary


def snapshot_marks(lake: Lake, spec: LoopSpec, pin: Pin) -> StreamMarks:
    """What is needed beside the pin to take the same snapshot when the pinned versions are not kept any more.

    Raises DependencyUnavailable, and NotFound where they are not kept.
    """
    cut = cut_offs(spec, datetime.fromisoformat(pin.watermark))
    versions = LakeSnapshot(pin.predictions, pin.outcomes)
    return read_marks(lake, spec.model, versions, cut.training_from, cut.settled)


def read_rows(lake: Lake, spec: LoopSpec, pin: Pin, start: datetime, end: datetime) -> pa.Table:
    """Rows with outcomes at the pinned versions in time order, as a holdout has them: without imported rows (steps 2 and 3).

    The column `SENDERS` marks contradicted rows, as `excess_contradictions` takes them.
    """
    read = _read(lake, spec, pin, start, end + _INSTANT)
    sound = without_intervals(read.filter(pc.invert(read[OTHER_TYPES])), pin.faulty)
    fits = fitting(spec.prediction, sound["outcome"])
    valid = sound.filter(pc.and_(fits, pc.invert(sound[_IS_IMPORTED])))
    return _with_typed_outcomes(valid, spec).drop_columns([OTHER_TYPES, _IS_IMPORTED])


def verify_snapshot(summary: SnapshotSummary, folder: RunFolder) -> None:
    """Raises IntegrityError where training rows or holdout are no longer those that were taken: training ran in between."""
    if _digest(Pin.of_json(summary.pin), folder.train, folder.holdout) != summary.digest:
        raise IntegrityError(
            f"training rows or holdout of {folder.root.name} were changed after the snapshot was taken",
            hint=f"find what writes to {folder.evaluation} and {folder.snapshot}, then start a new run",
        )


def problem_with(summary: SnapshotSummary, spec: LoopSpec, folder: RunFolder) -> str:
    """Why a snapshot is unfit for training; empty if it is fit."""
    unfit = summary.unfit_outcome_rows
    left_out = (
        f"; {unfit} rows were left out: their outcome is not {expected_outcome(spec.prediction)}"
        if unfit
        else ""
    )
    if summary.contradictions:
        return f"the holdout cannot be judged: {summary.contradictions}"
    if summary.contradicted_train_rows:
        left_out += f"; {summary.contradicted_train_rows} rows with contradicting outcomes were left out"
    if summary.left_out_rows:
        why = "in windows with data faults, or older than a rolled back release,"
        left_out += f"; {summary.left_out_rows} rows {why} were left out"
    if summary.other_type_rows:
        left_out += (
            f"; {summary.other_type_rows} rows of earlier versions were left out: a feature had another type"
        )
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


def _digest(pin: Pin, train: Path, holdout: Path) -> str:
    digest = sha256(orjson.dumps(pin.to_json(), option=orjson.OPT_SORT_KEYS))
    for path in (train, holdout):
        with path.open("rb") as file:
            while block := file.read(1 << 20):
                digest.update(block)
    return digest.hexdigest()


def _read_blocks(lake: Lake, spec: LoopSpec, pin: Pin, start: datetime, end: datetime) -> Iterator[pa.Table]:
    predictions = lake.open_at(lake.predictions(spec.model), pin.predictions)
    outcomes = lake.open_at(lake.outcomes(spec.model), pin.outcomes)
    for begin, until in blocks_between(predictions, outcomes, start, end):
        yield _read(lake, spec, pin, begin, until)


def _read(lake: Lake, spec: LoopSpec, pin: Pin, start: datetime, end: datetime) -> pa.Table:
    versions = LakeSnapshot(pin.predictions, pin.outcomes)
    rows = lake.read_joined(
        spec.model,
        start,
        end,
        columns=["event_time", SOURCE],
        features=spec.features,
        with_other_types=True,
        snapshot=versions,
        with_outcome=True,
        with_faults=True,
        source=outcome_source(spec.prediction),
        excluded_senders=spec.excluded_senders,
    )
    names = ["event_time", *(feature.name for feature in spec.features), "outcome", "prediction_id"]
    stored = [feature_column(feature.name) for feature in spec.features]
    source = ["event_time", *stored, "outcome", "prediction_id", OTHER_TYPES, "senders"]
    columns = [rows[column].combine_chunks() for column in source]
    imported = pc.is_valid(rows[SOURCE].combine_chunks())
    return pa.table([*columns, imported], names=[*names, OTHER_TYPES, SENDERS, _IS_IMPORTED])


def _with_typed_outcomes(rows: pa.Table, spec: LoopSpec) -> pa.Table:
    """Training receives labels as `loop.yaml` has them, and values as a struct with the names of `loop.yaml`."""
    place = rows.schema.get_field_index("outcome")
    return rows.set_column(place, "outcome", typed_outcomes(spec.prediction, rows["outcome"]))


def _edges(part: str, path: Path) -> dict[str, str]:
    ends = first_and_last(path, "event_time")
    first, last = ("", "") if ends is None else (ends[0].isoformat(), ends[1].isoformat())
    return {f"{part}_from": first, f"{part}_until": last}
