"""What one column of a data set holds: counts, range and frequent values."""

from __future__ import annotations

import math
from dataclasses import asdict, dataclass
from typing import Any, Literal

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.compute as pc

Floats = npt.NDArray[np.float64]
ColumnKind = Literal["number", "boolean", "text", "time", "other"]

FREQUENT = 5
SHOWN_CHARACTERS = 40


@dataclass(frozen=True)
class ColumnProfile:
    """`missing`, `infinite`, `distinct`: numbers of values. `frequent`: the most frequent values with their shares of the values
    present. Numbers have a range, quartiles, mean and standard deviation of the finite values, times a first and a last; None
    where there are none."""

    name: str
    kind: ColumnKind
    type: str
    rows: int
    missing: int
    infinite: int
    distinct: int
    minimum: float | None = None
    lower_quartile: float | None = None
    median: float | None = None
    upper_quartile: float | None = None
    maximum: float | None = None
    mean: float | None = None
    standard_deviation: float | None = None
    first: str | None = None
    last: str | None = None
    frequent: tuple[tuple[str, float], ...] = ()

    @property
    def present(self) -> int:
        """Number of values that are not missing."""
        return self.rows - self.missing

    def as_json(self) -> dict[str, Any]:
        """The profile for programs."""
        return asdict(self)


def column_kind(kind: pa.DataType) -> ColumnKind:
    """What the values of an Arrow type are."""
    values = kind.value_type if pa.types.is_dictionary(kind) else kind
    if pa.types.is_boolean(values):
        return "boolean"
    if pa.types.is_integer(values) or pa.types.is_floating(values) or pa.types.is_decimal(values):
        return "number"
    if pa.types.is_string(values) or pa.types.is_large_string(values) or pa.types.is_string_view(values):
        return "text"
    if pa.types.is_duration(values) or pa.types.is_interval(values):
        return "other"  # a length of time has no place in time
    return "time" if pa.types.is_temporal(values) else "other"


def computable(table: pa.Table) -> pa.Table:
    """The same values in types that Arrow computes with: it reads and writes half floats, views and dictionaries of any type, but
    cannot count or filter them all."""
    for place, field in enumerate(table.schema):
        wanted = _computable_type(field.type)
        if wanted != field.type:
            table = table.set_column(place, field.with_type(wanted), table[field.name].cast(wanted))
    return table


def _computable_type(kind: pa.DataType) -> pa.DataType:
    if pa.types.is_dictionary(kind) and not pa.types.is_string(kind.value_type):
        return _computable_type(kind.value_type)
    if pa.types.is_run_end_encoded(kind):
        return _computable_type(kind.value_type)
    if pa.types.is_float16(kind):
        return pa.float32()
    if pa.types.is_string_view(kind):
        return pa.string()
    return pa.binary() if pa.types.is_binary_view(kind) else kind


def profile_column(name: str, column: pa.ChunkedArray) -> ColumnProfile:
    """The profile of a column.

    >>> profile_column("age", pa.chunked_array([[31.0, None, 31.0, 40.0]])).frequent
    (('31', 0.6666666666666666), ('40', 0.3333333333333333))
    """
    kind = column_kind(column.type)
    if kind == "other":
        return ColumnProfile(name, kind, str(column.type), len(column), int(column.null_count), 0, 0)
    present = values_present(column)
    if kind == "time":
        ends = pc.min_max(present).as_py()
        first, last = (None if ends[end] is None else str(ends[end]) for end in ("min", "max"))
        distinct = len(present.unique())
        missing = len(column) - len(present)
        return ColumnProfile(
            name, kind, str(column.type), len(column), missing, 0, distinct, first=first, last=last
        )
    counts = pc.value_counts(present)
    summary: dict[str, float] = {}
    infinite = 0
    if kind == "number":
        numbers = numbers_of(present)
        finite = numbers[np.isfinite(numbers)]
        infinite = int(numbers.size - finite.size)
        summary = _summary(finite)
    return ColumnProfile(
        name=name,
        kind=kind,
        type=str(column.type),
        rows=len(column),
        missing=len(column) - len(present),
        infinite=infinite,
        distinct=len(counts),
        minimum=summary.get("minimum"),
        lower_quartile=summary.get("lower_quartile"),
        median=summary.get("median"),
        upper_quartile=summary.get("upper_quartile"),
        maximum=summary.get("maximum"),
        mean=summary.get("mean"),
        standard_deviation=summary.get("standard_deviation"),
        frequent=_frequent(counts, len(present)),
    )


def values_present(column: pa.ChunkedArray) -> pa.ChunkedArray:
    """The values that are neither null nor NaN."""
    if pa.types.is_dictionary(column.type):
        column = column.cast(column.type.value_type)
    return column.filter(pc.invert(pc.is_null(column, nan_is_null=True)))


def numbers_of(column: pa.ChunkedArray) -> Floats:
    """Numbers and booleans as floats; missing ones as NaN."""
    return np.asarray(
        pc.fill_null(column.cast(pa.float64(), safe=False), math.nan).to_numpy(), dtype=np.float64
    )


def shown(value: object) -> str:
    """A value as findings show it."""
    text = f"{value:g}" if isinstance(value, float) else str(value)
    return text if len(text) <= SHOWN_CHARACTERS else text[: SHOWN_CHARACTERS - 1] + "…"


def _summary(finite: Floats) -> dict[str, float]:
    if not finite.size:
        return {}
    names = ("minimum", "lower_quartile", "median", "upper_quartile", "maximum")
    quantiles = np.quantile(finite, [0, 0.25, 0.5, 0.75, 1])
    with np.errstate(over="ignore", invalid="ignore"):
        moments = {"mean": float(finite.mean()), "standard_deviation": float(finite.std())}
    found = dict(zip(names, map(float, quantiles), strict=True)) | moments
    return {name: value for name, value in found.items() if math.isfinite(value)}


def _frequent(counts: pa.StructArray, present: int) -> tuple[tuple[str, float], ...]:
    if not present:
        return ()
    numbers = counts.field("counts")
    order = pc.array_sort_indices(numbers, order="descending")[:FREQUENT]
    return tuple(
        (shown(counts.field("values")[place.as_py()].as_py()), numbers[place.as_py()].as_py() / present)
        for place in order
    )
