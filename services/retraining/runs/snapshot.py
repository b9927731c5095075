"""Freezing what a run learns from and is judged on: rows of the lake, read at recorded versions, split by time."""

from __future__ import annotations

import shutil
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from datetime import UTC, datetime, timedelta
from hashlib import sha256
from typing import Any

import orjson
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq

from services.retraining.runs.workspace import RunFolder, write_json
from shared.contracts.lake_schema import feature_column
from shared.contracts.loop_spec import AllRows, LastRows, LoopSpec
from shared.errors import DependencyUnavailable
from shared.files import atomic_path
from shared.stores.lake import Lake, Snapshot

_SUMMARY = "snapshot.json"
_BEGINNING = datetime(1970, 1, 2, tzinfo=UTC)


@dataclass(frozen=True)
class Pin:
    """What fixes a snapshot: table versions, the newest event time then, and the stretches left out as faulty."""

    predictions: int
    outcomes: int
    watermark: str
    faulty: tuple[tuple[str, str], ...] = ()

    def to_json(self) -> dict[str, Any]:
        """For the ledger."""
        return {**asdict(self), "faulty": [list(stretch) for stretch in self.faulty]}

    @classmethod
    def of_json(cls, kept: dict[str, Any]) -> Pin:
        """From the ledger."""
        faulty = tuple((str(start), str(end)) for start, end in kept["faulty"])
        return cls(kept["predictions"], kept["outcomes"], kept["watermark"], faulty)


@dataclass(frozen=True)
class SnapshotSummary:
    """`snapshot.json`. Moments are ISO 8601; stretches are [from, until]."""

    digest: str
    train_rows: int
    holdout_rows: int
    train_from: str
    train_until: str
    holdout_from: str
    holdout_until: str
    left_out_rows: int
    pin: dict[str, Any]


def pin_lake(
    lake: Lake, model: str, faulty: Sequence[tuple[datetime, datetime]], now: datetime
) -> Pin | None:
    """Fix what the lake holds now; None where it holds no prediction or no outcome yet. Raises DependencyUnavailable.

    The watermark never lies after `now`: one row from the future must not push every real row out of the holdout.
    """
    try:
        # The watermark is read after the versions: it may be newer than they are, never older.
        versions = lake.snapshot(model)
        watermark = lake.watermark(model)
    except OSError as error:
        raise DependencyUnavailable(
            f"the lake cannot be read: {error}", hint="the run goes on when it can"
        ) from error
    if versions.predictions is None or versions.outcomes is None or watermark is None:
        return None
    stretches = tuple((start.isoformat(), end.isoformat()) for start, end in faulty)
    return Pin(versions.predictions, versions.outcomes, min(watermark, now).isoformat(), stretches)


def take_snapshot(
    lake: Lake, spec: LoopSpec, pin: Pin, change_since: datetime | None, folder: RunFolder
) -> SnapshotSummary:
    """Find or create the snapshot of a run. The same pin gives the same bytes.

    1. read rows with outcomes at the pinned versions   2. leave out faulty stretches
    3. the last `gate.holdout` of settled event time is the holdout, the training window lies wholly before it
    4. write the holdout, then the training rows and the summary in a draft folder
    5. rename the draft: only now is there a snapshot
    """
    if (folder.snapshot / _SUMMARY).is_file():
        return SnapshotSummary(**orjson.loads((folder.snapshot / _SUMMARY).read_bytes()))
    # Younger rows than the usual delay have outcomes only if these came early: they would bend the sample.
    settled = datetime.fromisoformat(pin.watermark) - spec.outcome.delay
    holdout_from = settled - spec.gate.holdout
    rows = _read(lake, spec, pin, _oldest_needed(spec, holdout_from, change_since), settled)
    sound = _without(rows, pin.faulty)
    times = sound["event_time"]
    border = pa.scalar(holdout_from, times.type)
    holdout = sound.filter(pc.greater_equal(times, border))
    train = _training_window(sound.filter(pc.less(times, border)), spec, holdout_from, change_since)

    draft = folder.root / ".snapshot"
    shutil.rmtree(draft, ignore_errors=True)
    draft.mkdir(parents=True)
    folder.holdout.parent.mkdir(mode=0o700, exist_ok=True)
    with atomic_path(folder.holdout) as temporary:
        pq.write_table(holdout, temporary, compression="zstd", compression_level=1)
    pq.write_table(train, draft / folder.train.name, compression="zstd", compression_level=1)
    digest = sha256(orjson.dumps(pin.to_json(), option=orjson.OPT_SORT_KEYS))
    for path in (draft / folder.train.name, folder.holdout):
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
    )
    write_json(draft / _SUMMARY, asdict(summary))
    draft.rename(folder.snapshot)
    return summary


def problem_with(summary: SnapshotSummary, spec: LoopSpec, folder: RunFolder) -> str:
    """Why a snapshot is not worth a training; empty where it is."""
    if summary.train_rows < spec.retraining.minimum_rows:
        return f"{summary.train_rows} training rows with outcomes; retraining.minimum_rows is {spec.retraining.minimum_rows}"
    if summary.holdout_rows < spec.gate.minimum_rows:
        return f"{summary.holdout_rows} holdout rows with outcomes; gate.minimum_rows is {spec.gate.minimum_rows}"
    for name, path in (("train.parquet", folder.train), ("the holdout", folder.holdout)):
        outcome = pq.read_table(path, columns=["outcome"])["outcome"]
        if not pc.all(pc.is_finite(outcome)).as_py():
            return f"{name} holds outcomes that are not finite numbers"
        if spec.prediction.kind == "probability":
            classes = set(pc.unique(outcome).to_pylist())
            if not classes <= {0.0, 1.0}:
                return f"{name} holds outcomes other than 0 and 1, and the prediction is a probability"
            if len(classes) < 2:
                return f"{name} holds outcomes of one class only"
    return ""


def _oldest_needed(spec: LoopSpec, holdout_from: datetime, change_since: datetime | None) -> datetime:
    window = spec.retraining.window
    if isinstance(window, LastRows) and window.span is not None:
        return max(_BEGINNING, holdout_from - window.span)
    return _BEGINNING


def _read(lake: Lake, spec: LoopSpec, pin: Pin, start: datetime, end: datetime) -> pa.Table:
    columns = ["event_time", *(feature_column(feature.name) for feature in spec.features)]
    versions = Snapshot(pin.predictions, pin.outcomes)
    # A microsecond more: the stretch is half open, and the last settled row belongs to it.
    until = end + timedelta(microseconds=1)
    try:
        rows = lake.read_joined(
            spec.model, start, until, columns=columns, snapshot=versions, with_outcome=True
        )
    except OSError as error:
        raise DependencyUnavailable(
            f"the lake cannot be read: {error}", hint="the run goes on when it can"
        ) from error
    names = ["event_time", *(feature.name for feature in spec.features), "outcome", "prediction_id"]
    places = [*columns, "outcome", "prediction_id"]
    return pa.table([rows[place].combine_chunks() for place in places], names=names)


def _without(rows: pa.Table, faulty: tuple[tuple[str, str], ...]) -> pa.Table:
    times = rows["event_time"]
    for start, end in faulty:
        begin, stop = (pa.scalar(datetime.fromisoformat(moment), times.type) for moment in (start, end))
        rows = rows.filter(pc.or_(pc.less(times, begin), pc.greater_equal(times, stop)))
        times = rows["event_time"]
    return rows


def _training_window(
    rows: pa.Table, spec: LoopSpec, holdout_from: datetime, change_since: datetime | None
) -> pa.Table:
    """Rows are in time order, so every window is a tail of them."""
    window = spec.retraining.window
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
    wanted = max(since, window.minimum_rows) if change_since is not None else rows.num_rows
    return rows.slice(max(0, rows.num_rows - wanted))


def _edge(rows: pa.Table, side: str) -> str:
    if rows.num_rows == 0:
        return ""
    place = 0 if side == "min" else rows.num_rows - 1
    moment: datetime = rows["event_time"][place].as_py()
    return moment.isoformat()
