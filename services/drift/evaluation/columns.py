"""Rows as columns in time order: of the window, and of the reference it is compared with."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Literal

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.compute as pc

from shared.contracts.feature import Feature
from shared.contracts.lake_schema import LABEL, SCORE, SCORES
from shared.contracts.loop_spec import LoopSpec
from shared.models.classes import read_outcomes, read_scores
from shared.models.losses import row_losses

Floats = npt.NDArray[np.float64]
Objects = npt.NDArray[np.object_]


Summary = Literal["", "mean", "std", "length"]


@dataclass(frozen=True)
class Column:
    """A column that is measured: `feature` is what it is about, `summary` which summary of a tensor or text (empty otherwise)."""

    name: str
    feature: Feature
    kind: Literal["numeric", "category"]
    summary: Summary = ""


@dataclass(frozen=True)
class Rows:
    """Columns by name, all in ascending `event_time` (µs since 1970). Missing: NaN, or None in a category.

    `prediction`: what the model answered, a score or a label; `outcome`: a number, or the place of a label; `loss`: NaN where a
    row has no outcome or no answer.
    """

    event_time: npt.NDArray[np.int64]
    columns: Mapping[str, Floats | Objects]
    prediction: Floats | Objects
    outcome: Floats
    loss: Floats

    def __len__(self) -> int:
        return int(self.event_time.size)

    def take(self, places: npt.NDArray[np.int64]) -> Rows:
        """The rows at these places."""
        return replace(
            self,
            event_time=self.event_time[places],
            columns={name: values[places] for name, values in self.columns.items()},
            prediction=self.prediction[places],
            outcome=self.outcome[places],
            loss=self.loss[places],
        )


def columns_of(loop: LoopSpec) -> tuple[Column, ...]:
    """The measured columns of a model: one per feature; of a tensor mean and spread of a row, of a text its length."""
    columns: list[Column] = []
    for feature in loop.features:
        if feature.type == "tensor":
            columns += [
                Column(f"{feature.name}.mean", feature, "numeric", "mean"),
                Column(f"{feature.name}.std", feature, "numeric", "std"),
            ]
        elif feature.type == "text":
            columns.append(Column(f"{feature.name}.length", feature, "numeric", "length"))
        else:
            kind: Literal["numeric", "category"] = (
                "numeric" if feature.type in ("number", "integer") else "category"
            )
            columns.append(Column(feature.name, feature, kind))
    return tuple(columns)


def prediction_column(loop: LoopSpec) -> tuple[str, Literal["numeric", "category"]]:
    """What of an answer is measured: the score, or of a model with classes the label."""
    return (LABEL, "category") if loop.prediction.kind == "classes" else (SCORE, "numeric")


def answer_columns(loop: LoopSpec) -> tuple[str, ...]:
    """The columns of the lake and of a reference that hold an answer."""
    return (LABEL, SCORES) if loop.prediction.kind == "classes" else (SCORE,)


def rows_from_table(table: pa.Table, loop: LoopSpec, *, prefix: str = "", outcome: str = "outcome") -> Rows:
    """Read a table with `event_time`, the answer, the column named `outcome` and one column per feature, named with `prefix`.

    A column that the table lacks counts as missing in every row. Non-finite numbers count as missing.
    """
    times = (
        pc.cast(table["event_time"], pa.timestamp("us", tz="UTC"))
        .to_numpy()
        .astype("datetime64[us]")
        .astype(np.int64)
    )
    order = np.argsort(times, kind="stable")
    columns: dict[str, Floats | Objects] = {}
    for column in columns_of(loop):
        source = prefix + column.feature.name
        values = table[source] if source in table.column_names else pa.nulls(len(table))
        columns[column.name] = _read(values, column)[order]
    if loop.prediction.kind == "classes":
        return _class_rows(table, loop, times[order], columns, order, outcome)
    scores, outcomes = _numbers_or_missing(table, SCORE)[order], _numbers_or_missing(table, outcome)[order]
    return Rows(times[order], columns, scores, outcomes, row_losses(loop.metric.name, scores, outcomes))


def sample(rows: Rows, most: int, seed: int) -> Rows:
    """At most `most` rows, one drawn at random from each of `most` equal slices, so that all of the time stays represented."""
    if len(rows) <= most:
        return rows
    edges = np.linspace(0, len(rows), most + 1)
    low, high = np.ceil(edges[:-1]).astype(np.int64), np.ceil(edges[1:]).astype(np.int64)
    return rows.take(np.random.default_rng(seed).integers(low, high))


def _class_rows(
    table: pa.Table,
    loop: LoopSpec,
    times: npt.NDArray[np.int64],
    columns: Mapping[str, Floats | Objects],
    order: npt.NDArray[np.int64],
    outcome: str,
) -> Rows:
    """The probabilities are read here only: of a thousand classes they would need more memory than all that is measured."""
    for name in (*answer_columns(loop), outcome):
        if name not in table.column_names:
            kind = pa.list_(pa.float32()) if name == SCORES else pa.string()
            table = table.append_column(name, pa.nulls(len(table), kind))
    outcomes = read_outcomes(loop.prediction, table[outcome])
    losses = row_losses(loop.metric.name, read_scores(loop.prediction, table), outcomes)
    return Rows(times, columns, _texts(table[LABEL])[order], outcomes[order], losses[order])


def _read(values: pa.ChunkedArray | pa.Array, column: Column) -> Floats | Objects:
    if column.summary == "length":
        return _numbers(pc.utf8_length(pc.cast(values, pa.string())))
    if column.summary:
        return _summaries(values, column.summary)
    if column.kind == "numeric":
        return _numbers(values)
    return _texts(values)


def _texts(values: pa.ChunkedArray | pa.Array) -> Objects:
    text = pc.cast(values, pa.string())
    result: Objects = text.to_numpy(zero_copy_only=False) if isinstance(text, pa.Array) else text.to_numpy()
    return result.astype(object)


def _numbers(values: pa.ChunkedArray | pa.Array) -> Floats:
    numbers = pc.cast(values, pa.float64(), safe=False)
    result = np.array(
        numbers.to_numpy(zero_copy_only=False) if isinstance(numbers, pa.Array) else numbers.to_numpy()
    )
    result[~np.isfinite(result)] = np.nan
    return result


def _numbers_or_missing(table: pa.Table, name: str) -> Floats:
    numeric = name in table.column_names and (
        pa.types.is_floating(table.schema.field(name).type)
        or pa.types.is_integer(table.schema.field(name).type)
    )
    return _numbers(table[name]) if numeric else np.full(len(table), np.nan)


def _summaries(values: pa.ChunkedArray | pa.Array, summary: Summary) -> Floats:
    found = np.full(len(values), np.nan)
    for place, value in enumerate(values.to_pylist()):
        if value is not None:
            flat = np.asarray(value, dtype=np.float64)
            found[place] = flat.mean() if summary == "mean" else flat.std()
    found[~np.isfinite(found)] = np.nan
    return found
