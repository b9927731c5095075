"""Columns of a Parquet file as training and the reference need them. Each raises ProjectError that names file and column."""

from __future__ import annotations

import math
from datetime import UTC, datetime
from pathlib import Path

import pyarrow as pa
import pyarrow.compute as pc

from shared.contracts.event_time import check_event_time
from shared.contracts.feature import Feature
from shared.contracts.lake_schema import FEATURE_TYPES, TIMESTAMP
from shared.contracts.outcome import expected_outcome, fitting, numbers_of, outcome_hint
from shared.contracts.prediction import Prediction
from shared.errors import InvalidRequest, ProjectError, UnservableModel
from shared.models.answers import list_column, outcome_type, typed_outcomes
from shared.models.feature_arrays import to_arrays

_NULLABLE = "fill them, or set `nullable: true` in loop.yaml"
# The model first: with the key alone, an int64 input would be refused next.
_NULLABLE_INTEGER = (
    "fill them, or export the model with a float input for it (missing is NaN) and then make it `nullable` "
    "in loop.yaml"
)
_NUMBER = (
    "declare the feature as `type: number`, which can be nullable, and export the model with a float input"
)
_MISSING = {
    "number": _NULLABLE,
    "category": _NULLABLE,
    "text": _NULLABLE,
    "integer": _NULLABLE_INTEGER,
    "boolean": f"fill them, or {_NUMBER}",
    "timestamp": "fill them, or remove the rows: a timestamp has no value that means missing",
    "tensor": "fill them, or remove the rows: a tensor has no value that means missing",
}
# The range of Python's datetime, in seconds since 1970.
_YEAR_1, _YEAR_9999 = -62_135_596_800, 253_402_300_799


def feature_column(path: Path, feature: Feature, column: pa.ChunkedArray) -> pa.ChunkedArray:
    """The column in the type that the lake has for the feature; a nullable one may have missing values."""
    if column.null_count and not feature.nullable:
        raise ProjectError(
            f"{path}: column {feature.name} has missing values",
            hint=_MISSING[feature.type],
        )
    if feature.type == "tensor":
        return _tensors(path, feature, column)
    if feature.type == "timestamp":
        return _timestamps(path, feature, column)
    if feature.type == "integer" and feature.nullable and pa.types.is_floating(column.type):
        # pandas holds whole numbers with missing ones as floats; a fraction is still an error of the cast below.
        column = pc.if_else(pc.is_nan(column), pa.scalar(None, column.type), column)
    return cast_column(path, feature.name, column, FEATURE_TYPES[feature.type])


def _tensors(path: Path, feature: Feature, column: pa.ChunkedArray) -> pa.Array:
    """Flat lists of float32, as the lake has them."""
    try:
        tensors = to_arrays([feature], pa.table({feature.name: column}))[feature.name]
    except UnservableModel as error:
        raise ProjectError(
            f"{path}: {error.message}",
            hint=f"write every row as a list of {math.prod(feature.shape)} numbers, or nested of shape {list(feature.shape)}",
        ) from error
    return list_column(tensors.reshape(len(tensors), -1))


def time_column(
    path: Path, column: pa.ChunkedArray, now: datetime, name: str = "event_time"
) -> pa.ChunkedArray:
    """Event times in UTC, within the bounds of every request."""
    _check_zone(path, column, name)
    if column.null_count:
        raise ProjectError(f"{path}: column {name} has missing values", hint="every row needs an event time")
    for seconds in _first_and_last(column):
        moment = datetime.fromtimestamp(min(max(seconds, _YEAR_1), _YEAR_9999), UTC)
        try:
            check_event_time(moment, now, field=name)
        except InvalidRequest as error:
            raise ProjectError(
                f"{path}: {error.message}", hint=f"expected {error.expected}; correct or remove the row"
            ) from None
    return column.cast(TIMESTAMP, safe=False)


def _timestamps(path: Path, feature: Feature, column: pa.ChunkedArray) -> pa.ChunkedArray:
    """Times of a feature in UTC. Unlike event times they may be long ago, or in the future."""
    _check_zone(path, column, feature.name)
    if not all(_YEAR_1 <= seconds <= _YEAR_9999 for seconds in _first_and_last(column)):
        raise ProjectError(
            f"{path}: column {feature.name} has a time outside the years 1 to 9999",
            hint="correct or remove the row",
        )
    return column.cast(TIMESTAMP, safe=False)


def _check_zone(path: Path, column: pa.ChunkedArray, name: str) -> None:
    if not pa.types.is_timestamp(column.type):
        raise ProjectError(f"{path}: column {name} is {column.type}", hint="write it as a timestamp in UTC")
    if column.type.tz is None:
        raise ProjectError(
            f"{path}: column {name} is {column.type}, without a time zone",
            hint=f'write it in UTC; in pandas: rows["{name}"].dt.tz_localize("UTC")',
        )


def _first_and_last(column: pa.ChunkedArray) -> list[int]:
    """In seconds since 1970: in microseconds, a time far away would wrap around."""
    whole = column.cast(pa.timestamp("s", tz="UTC"), safe=False).cast(pa.int64())
    return list(pc.min_max(whole).as_py().values())


def outcome_column(path: Path, prediction: Prediction, column: pa.ChunkedArray) -> pa.ChunkedArray:
    """Outcomes that fit the prediction, or are missing: null or NaN."""
    try:
        outcomes = typed_outcomes(prediction, column)
    except (pa.ArrowInvalid, pa.ArrowNotImplementedError, KeyError) as error:
        raise ProjectError(
            f"{path}: column outcome is {column.type}; expected {outcome_type(prediction)}",
            hint=(outcome_hint(prediction) if _is_text(column.type) else "")
            or "write the column with that type",
        ) from error
    known = outcomes.filter(_is_known(prediction, outcomes))
    unfit = known.filter(pc.invert(fitting(prediction, known)))
    if len(unfit):
        expected = expected_outcome(prediction)
        value = unfit[0].as_py()
        shown = f"{value:g}" if isinstance(value, float) else repr(value)
        kind = {"classes": "a model with classes", "values": "several values"}.get(
            prediction.kind, f"a {prediction.kind}"
        )
        raise ProjectError(
            f"{path}: column outcome contains {shown}; expected {expected} for {kind}",
            hint=f"write every outcome as {expected}, or leave it empty",
        )
    return outcomes


def _is_text(kind: pa.DataType) -> bool:
    values = kind.value_type if pa.types.is_dictionary(kind) else kind
    return bool(pa.types.is_string(values) or pa.types.is_large_string(values))


def _is_known(
    prediction: Prediction, outcomes: pa.ChunkedArray | pa.Array
) -> pa.ChunkedArray | pa.BooleanArray:
    """Per row, whether it has an outcome; of several values, whether at least one number is there."""
    parts = [numbers_of(name, outcomes) for name in prediction.names] or [outcomes]
    known = pc.invert(pc.is_null(parts[0], nan_is_null=True))
    for part in parts[1:]:
        known = pc.or_(known, pc.invert(pc.is_null(part, nan_is_null=True)))
    return known


def cast_column(path: Path, name: str, column: pa.ChunkedArray, kind: pa.DataType) -> pa.ChunkedArray:
    """The column cast to `kind`."""
    try:
        return column.cast(kind)
    except (pa.ArrowInvalid, pa.ArrowNotImplementedError) as error:
        raise ProjectError(
            f"{path}: column {name} is {column.type}; expected {kind}", hint="write the column with that type"
        ) from error
