"""The columns of the rows that the model reads, and the features they become. Pure."""

from __future__ import annotations

from collections.abc import Collection, Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
import pandas as pd
import pyarrow as pa

from homeostat.model_export.tensors import is_tensor_column, tensor_lists, tensor_values
from shared.contracts.feature import RESERVED_NAMES, Feature
from shared.contracts.lake_schema import TIMESTAMP
from shared.contracts.loop_spec import LoopSpec
from shared.errors import ExportRefused
from shared.models.feature_names import valid_names

# More are not listed in loop.yaml, and any value is served. With more than one for two rows it is an identifier, no category.
MAX_CATEGORIES = 1000
_FLOAT32_INTEGERS = 2**24


@dataclass(frozen=True)
class Column:
    """One column: its name in the rows and the feature it becomes. `keys`: a category's values as the model knows them."""

    source: str
    feature: Feature
    keys: tuple[str, ...] | tuple[int, ...] = ()

    @property
    def name(self) -> str:
        """The feature's name."""
        return self.feature.name


def infer_columns(
    rows: pd.DataFrame,
    names: Sequence[str],
    *,
    reserved: frozenset[str] = RESERVED_NAMES,
    texts: Collection[str] = (),
    takes_times: bool = False,
) -> tuple[Column, ...]:
    """A feature for each named column: type, range, categories, and whether values are missing.

    `texts`: the columns that hold running text; `takes_times`: whether the model takes times, as int64. Raises ExportRefused
    for a column that cannot be a feature.
    """
    if missing := [name for name in names if name not in rows.columns]:
        raise ExportRefused(
            f"the rows have no column {missing[0]!r}, which the model was fitted with",
            hint=f"pass rows with the columns the model was fitted with; these have {', '.join(map(str, rows.columns))}",
        )
    features = valid_names(names, reserved=reserved)
    return tuple(
        _text(rows[name], features[name])
        if name in texts
        else _timestamp(rows[name], features[name])
        if takes_times and is_time(rows[name])
        else _column(rows[name], features[name])
        for name in names
    )


def check_features(columns: Sequence[Column], loop: LoopSpec) -> None:
    """Raises ExportRefused if the project's loop.yaml is about other features: it is another model's, or must change first."""
    ours, theirs = [column.name for column in columns], [feature.name for feature in loop.features]
    if set(ours) != set(theirs):
        raise ExportRefused(
            f"loop.yaml of the folder is of the model {loop.model}, with the features {', '.join(theirs)}; "
            f"this one reads {', '.join(ours)}",
            hint="export another model into another folder; for the next version of this one, change loop.yaml first",
        )


def open_category(column: Column) -> Column:
    """The column as one whose unknown categories are served, as the model itself takes them; other columns as they are."""
    if column.feature.type != "category":
        return column
    return replace(column, feature=column.feature.model_copy(update={"unknown": "serve"}))


def require_listed(columns: Sequence[Column]) -> None:
    """Raises ExportRefused for a column with too many categories to list in loop.yaml, of a model that refuses unknown ones."""
    for column in columns:
        if column.feature.type == "category" and not column.feature.values:
            raise ExportRefused(
                f"column {column.source!r} has {len(column.keys)} different texts, and the model refuses others",
                hint="let its encoder take unknown ones (handle_unknown='ignore'), or group rare values: "
                f"a listed category has at most {MAX_CATEGORIES}",
            )


def boolean_notes(columns: Sequence[Column], rows: pd.DataFrame) -> list[str]:
    """A line of the report for each boolean column with missing values, which becomes an integer."""
    return [
        f"{column.source!r} is boolean with missing values: served as an integer, for which true is 1 and false is 0"
        for column in columns
        if column.feature.type == "integer" and pd.api.types.is_bool_dtype(rows[column.source].dtype)
    ]


def is_time(values: pd.Series[Any]) -> bool:
    """Whether a column holds times."""
    return bool(pd.api.types.is_datetime64_any_dtype(values.dtype))


def to_micros(values: pd.Series[Any]) -> np.ndarray[Any, np.dtype[np.int64]]:
    """Times as the model takes them: microseconds since 1970-01-01T00:00:00Z. Raises ExportRefused for missing and naive ones."""
    if values.dt.tz is None:
        raise ExportRefused(
            f"column {str(values.name)!r} has times without a time zone",
            hint=f'write them in UTC: rows["{values.name}"] = rows["{values.name}"].dt.tz_localize("UTC")',
        )
    if values.isna().any():
        raise ExportRefused(
            f"column {str(values.name)!r} has missing times; the model takes int64, which has no value that means missing",
            hint="fill them before fitting",
        )
    return np.asarray(values.dt.tz_convert("UTC").dt.tz_localize(None).to_numpy("datetime64[us]"), np.int64)


def missing_value(values: pd.Series[Any]) -> Any:
    """What the column has where a value is missing: NaN, None or NA; None if no value is."""
    gone = values[values.isna()]
    return gone.iloc[0] if len(gone) and values.dtype == object else None


def to_table(columns: Sequence[Column], rows: pd.DataFrame) -> pa.Table:
    """The rows as they are requested and logged: one column per feature, under its name, of its type."""
    return pa.table({column.name: _to_arrow(column, rows[column.source]) for column in columns})


def _column(values: pd.Series[Any], name: str) -> Column:
    source = str(values.name)
    if values.notna().sum() == 0:
        raise ExportRefused(
            f"column {source!r} has no values, so its type is unknown",
            hint="pass rows in which each column has values",
        )
    nullable = bool(values.isna().any())
    kind = values.dtype
    if isinstance(kind, pd.CategoricalDtype):
        return _category(values, source, name, list(kind.categories), nullable)
    if pd.api.types.is_bool_dtype(kind) and not nullable:
        return Column(source, Feature(name=name, type="boolean"))
    if pd.api.types.is_numeric_dtype(kind) and not pd.api.types.is_complex_dtype(kind):
        return _number(values, source, name, nullable)
    if is_tensor_column(values):
        shape = tensor_values(values).shape[1:]
        return Column(source, Feature(name=name, type="tensor", shape=shape))
    known = set(values.dropna().map(type))
    if known <= {str}:
        return _category(values, source, name, sorted(values.dropna().unique()), nullable)
    if known <= {bool, np.bool_}:
        raise ExportRefused(
            f"column {source!r} is {kind} with booleans, some of them missing",
            hint=f"convert it before fitting and exporting: rows[{source!r}] = rows[{source!r}].astype('boolean')",
        )
    if known <= {int, float, bool, np.float64, np.int64, np.bool_}:
        raise ExportRefused(
            f"column {source!r} is {kind} with numbers, so its type is unknown",
            hint=f"convert it before fitting and exporting: rows[{source!r}] = rows[{source!r}].astype('float64')",
        )
    raise ExportRefused(
        f"column {source!r} is {kind} with values of type {', '.join(sorted(one.__name__ for one in known))}",
        hint="a feature is a number, a boolean, a text or an array of numbers; turn dates into numbers before fitting",
    )


def _text(values: pd.Series[Any], name: str) -> Column:
    strange = sorted({type(value).__name__ for value in values.dropna() if not isinstance(value, str)})
    if strange:
        raise ExportRefused(
            f"column {str(values.name)!r} holds values of type {', '.join(strange)}, and the model reads it as text",
            hint="pass rows in which every value of the column is a text",
        )
    return Column(str(values.name), Feature(name=name, type="text", nullable=bool(values.isna().any())))


def _timestamp(values: pd.Series[Any], name: str) -> Column:
    to_micros(values)
    return Column(str(values.name), Feature(name=name, type="timestamp"))


def _number(values: pd.Series[Any], source: str, name: str, nullable: bool) -> Column:
    numbers = values.dropna().astype("float64")
    if not np.isfinite(numbers).all():
        raise ExportRefused(
            f"column {source!r} has infinite values",
            hint="a request cannot hold infinity; use a missing value or a large number",
        )
    low, high = float(numbers.min()), float(numbers.max())
    whole = pd.api.types.is_integer_dtype(values.dtype) or pd.api.types.is_bool_dtype(values.dtype)
    if whole and high >= 2**63:
        raise ExportRefused(
            f"column {source!r} has whole numbers above 2^63, which no request can hold",
            hint="drop the column if it is an identifier, or use smaller numbers",
        )
    if whole and nullable and max(abs(low), abs(high)) > _FLOAT32_INTEGERS:
        raise ExportRefused(
            f"column {source!r} has whole numbers above 2^24 and missing values",
            hint="an integer with missing values is served as float32, which rounds them; fill them before fitting",
        )
    # A boolean with missing values is served as an integer.
    minimum, maximum = (0.0, 1.0) if pd.api.types.is_bool_dtype(values.dtype) else valid_range(low, high)
    kind = "integer" if whole else "number"
    return Column(
        source,
        Feature.model_validate(
            {"name": name, "type": kind, "minimum": minimum, "maximum": maximum, "nullable": nullable}
        ),
    )


def valid_range(low: float, high: float) -> tuple[float, float]:
    """A generous range around the values seen: wider by their spread on each side; not below zero unless values are.

    A value outside counts as a data fault, not as drift, so the range must leave room for drift.

    >>> valid_range(3.2, 88.0), valid_range(-1.0, 1.0), valid_range(7.0, 7.0)
    ((0.0, 180.0), (-3.0, 3.0), (0.0, 14.0))
    """
    spread = (high - low) or abs(high) or 1.0
    minimum = 0.0 if 0 <= low <= spread else _outwards(low - spread, np.floor)
    maximum = 0.0 if -spread <= high <= 0 and low < 0 else _outwards(high + spread, np.ceil)
    return minimum, maximum


def _outwards(value: float, rounding: Any) -> float:
    """Two significant digits, away from the values seen."""
    if value == 0:
        return 0.0
    digits = 1 - int(np.floor(np.log10(abs(value))))
    scaled = float(rounding(value * 10.0**digits if digits >= 0 else value / 10.0**-digits))
    return scaled / 10.0**digits if digits >= 0 else scaled * 10.0**-digits


def _category(values: pd.Series[Any], source: str, name: str, known: list[Any], nullable: bool) -> Column:
    many = len(known) > MAX_CATEGORIES
    if many and 2 * len(known) > values.notna().sum():
        raise ExportRefused(
            f"column {source!r} has {len(known)} different texts; a category has at most {MAX_CATEGORIES}",
            hint="group rare values, or drop the column if it is an identifier",
        )
    if all(isinstance(value, str) for value in known):
        if "" in known:
            raise ExportRefused(
                f"column {source!r} has an empty text as a value",
                hint="an empty text means a missing category; use another value, such as 'none'",
            )
        listed = {"unknown": "serve"} if many else {"values": tuple(known)}
        feature = Feature.model_validate({"name": name, "type": "category", "nullable": nullable, **listed})
        return Column(source, feature, tuple(known))
    if all(isinstance(value, int | np.integer) and not isinstance(value, bool) for value in known):
        feature = Feature(
            name=name, type="integer", minimum=min(known), maximum=max(known), nullable=nullable
        )
        return Column(source, feature, tuple(int(value) for value in known))
    raise ExportRefused(
        f"column {source!r} is a categorical of values that are neither texts nor whole numbers",
        hint="use texts as categories",
    )


def _to_arrow(column: Column, values: pd.Series[Any]) -> pa.Array:
    if column.feature.type == "timestamp":
        return pa.array(to_micros(values)).cast(TIMESTAMP)
    missing = values.isna().to_numpy(dtype=bool)
    if column.feature.type in ("category", "text"):
        listed = [None if gone else str(value) for value, gone in zip(values, missing, strict=True)]
        return pa.array(listed, pa.string())
    if column.feature.type == "tensor":
        return tensor_lists(values)
    if column.feature.type == "number":
        return pa.array(values.astype("float64").to_numpy(), pa.float64(), mask=missing)
    if column.feature.type == "integer":
        numbers = [0 if gone else int(value) for value, gone in zip(values, missing, strict=True)]
        return pa.array(np.array(numbers, dtype=np.int64), pa.int64(), mask=missing)
    return pa.array(values.astype("bool").to_numpy(), pa.bool_())
