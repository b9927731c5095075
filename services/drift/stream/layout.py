"""The cells of a model's columns: features and predictions of one version, fixed by its reference."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Literal

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.compute as pc

from services.drift.evaluation.columns import (
    LEVELS,
    Column,
    Rows,
    columns_of,
    prediction_columns,
    read_column,
)
from services.drift.evaluation.reference_profile import Reference
from services.drift.stream.cells.category_cells import CategoryCells, category_cells
from services.drift.stream.cells.number_cells import Floats, NumberCells, number_cells
from services.drift.stream.tiles import CELLS, INVALID, MISSING, Counts, Tile
from shared.contracts.lake_schema import FEATURE_PREFIX, LABEL, SCORE, SCORES, TIMESTAMP
from shared.models.answers import read_scores

Signal = Literal["feature", "prediction"]


@dataclass(frozen=True, eq=False)
class LayoutColumn:
    """A counted column. `feature`: what an alarm names. `watched`: whether its values are compared with the reference.

    The value of a timestamp increases with time and its age may, so only their presence is watched; of a feature with
    `watch: false` only faults are.
    """

    name: str
    feature: str
    signal: Signal
    cells: NumberCells | CategoryCells
    watched: bool
    source: Column | None


@dataclass(frozen=True, eq=False)
class TileLayout:
    """Counts rows into tiles."""

    reference: Reference
    columns: tuple[LayoutColumn, ...]

    @classmethod
    def of(cls, reference: Reference) -> TileLayout:
        """The layout of a reference: a column per measured column and per prediction."""
        rows, loop = reference.rows, reference.loop
        columns = []
        for column in columns_of(loop):
            feature, values = column.feature, rows.columns[column.name]
            cells: NumberCells | CategoryCells
            if column.kind == "category":
                cells = category_cells(pa.array(values, pa.string(), from_pandas=True), tuple(feature.values))
            elif column.summary in LEVELS and feature.type != "timestamp":
                cells = number_cells(values.astype(np.float64), feature.minimum, feature.maximum)
            else:
                cells = number_cells(values.astype(np.float64))
            watched = feature.watch and feature.type != "timestamp"
            columns.append(LayoutColumn(column.name, feature.name, "feature", cells, watched, column))
        for answer in prediction_columns(loop):
            values = rows.predictions[answer.name]
            cells = (
                category_cells(pa.array(values, pa.string(), from_pandas=True))
                if answer.kind == "category"
                else number_cells(values.astype(np.float64))
            )
            columns.append(LayoutColumn(answer.name, answer.name, "prediction", cells, True, None))
        return cls(reference, tuple(columns))

    def count(self, rows: Rows) -> Tile:
        """The tile of these rows."""
        found = {**rows.columns, **rows.predictions}
        counts = np.zeros((len(self.columns), CELLS), np.int32)
        for place, column in enumerate(self.columns):
            values = found[column.name]
            counts[place] = (
                column.cells.count(pa.array(values, pa.string(), from_pandas=True))
                if isinstance(column.cells, CategoryCells)
                else column.cells.count(values.astype(np.float64))
            )
        return _tile(rows.event_time, counts)

    def cells(self, rows: Rows) -> npt.NDArray[np.uint8]:
        """The cell of each row, of shape (columns, rows)."""
        found = {**rows.columns, **rows.predictions}
        cells = np.empty((len(self.columns), len(rows)), np.uint8)
        for place, column in enumerate(self.columns):
            values = found[column.name]
            cells[place] = (
                column.cells.cells(pa.array(values, pa.string(), from_pandas=True))
                if isinstance(column.cells, CategoryCells)
                else column.cells.cells(values.astype(np.float64))
            )
        return cells

    def count_batch(self, batch: pa.RecordBatch, prefix: str = FEATURE_PREFIX) -> Tile:
        """The tile of a batch of the predictions topic, all rows of this model's version.

        A column whose type cannot be read as the feature's counts as `INVALID` in every row. One that the batch lacks counts as
        `MISSING`: a batch has no column for a feature that is null in all of its rows.
        """
        times = pc.cast(batch["event_time"], TIMESTAMP).to_numpy().astype("datetime64[us]").astype(np.int64)
        counts = np.zeros((len(self.columns), CELLS), np.int32)
        answers = dict(self._answers(batch))
        for place, column in enumerate(self.columns):
            name = column.name if column.source is None else prefix + column.feature
            if name not in (answers if column.source is None else batch.schema.names):
                counts[place, MISSING] = len(times)
                continue
            try:
                values = (
                    answers[name] if column.source is None else _values(batch[name], column.source, times)
                )
            except (pa.ArrowInvalid, pa.ArrowNotImplementedError):
                counts[place, INVALID] = len(times)
                continue
            counts[place] = column.cells.count(values)
        return _tile(times, counts)

    def _answers(self, batch: pa.RecordBatch) -> Iterator[tuple[str, pa.Array | Floats]]:
        prediction = self.reference.loop.prediction
        if not prediction.has_loss:
            return
        if prediction.kind == "classes":
            if LABEL in batch.schema.names:
                yield LABEL, _dense(batch[LABEL], pa.string())
        elif not prediction.width:
            if SCORE in batch.schema.names:
                yield SCORE, _floats(batch[SCORE])
        elif SCORES in batch.schema.names:
            matrix = read_scores(prediction, pa.Table.from_batches([batch])).astype(np.float64)
            for place, name in enumerate(prediction.names):
                yield f"{SCORE}.{name}", matrix[:, place]

    def names(self) -> Mapping[str, int]:
        """Places of the columns."""
        return {column.name: place for place, column in enumerate(self.columns)}


def _values(values: pa.Array, column: Column, times: npt.NDArray[np.int64]) -> pa.Array | Floats:
    """Numbers with their infinities, texts; everything else as an evaluation reads it."""
    if column.kind == "category":
        return values if pa.types.is_dictionary(values.type) else _dense(values, pa.string())
    if column.feature.type in ("number", "integer"):
        return _floats(values)
    return read_column(values, column, times).astype(np.float64)


def _dense(values: pa.Array, kind: pa.DataType) -> pa.Array:
    return values if values.type == kind else pc.cast(values, kind)


def _floats(values: pa.Array) -> Floats:
    if pa.types.is_string(values.type) or pa.types.is_boolean(values.type):
        raise pa.ArrowInvalid(f"expected numbers, not {values.type}")
    # As evaluations and the reference read them: an integer beyond 2^53 is rounded, not invalid.
    as_floats = values if values.type == pa.float64() else pc.cast(values, pa.float64(), safe=False)
    numbers: Floats = as_floats.to_numpy(zero_copy_only=False)
    return numbers


def _tile(times: npt.NDArray[np.int64], counts: Counts) -> Tile:
    first, last = (int(times.min()), int(times.max()) + 1) if times.size else (0, 0)
    return Tile(first, last, int(times.size), counts)
