"""`slices` in loop.yaml: every value of a feature, or the rows that satisfy a condition."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
from pydantic import Field, SerializerFunctionWrapHandler, model_serializer, model_validator

from shared.contracts.feature import FEATURE_NAME, Feature, Section
from shared.contracts.slices.condition import Booleans, Compare, Condition, Operand, is_true
from shared.contracts.slices.parser import parse_condition

# Each slice has scores and gauges of its own, and the more there are the larger must a change of one be.
MAX_SLICES = 100
MAX_VALUES = 20
_SLICEABLE = ("category", "boolean", "integer")


class SliceSpec(Section):
    """Rows that are judged on their own as well: those of each value of `feature`, or those for which `where` is true."""

    feature: str | None = Field(
        None,
        description="A category, boolean or integer: each of its values is a slice. Of an integer, or a category that lists no "
        f"`values`, the {MAX_VALUES} most frequent values of the reference.",
    )
    where: str | None = Field(
        None,
        description='Condition over features, such as `distance > 1000 and origin in ["EWR", "JFK"]`. A comparison with a '
        "missing value is not true; `x is missing` is.",
    )
    name: str | None = Field(None, pattern=FEATURE_NAME, description="Name of the slice of `where`.")

    @model_validator(mode="after")
    def _one_of(self) -> SliceSpec:
        if (self.feature is None) == (self.where is None):
            raise ValueError("give exactly one of `feature` (each value) and `where` (a condition)")
        if (self.where is None) != (self.name is None):
            raise ValueError(
                "`where` needs a `name`, and `feature` has none: its slices are named by their values"
            )
        return self

    @model_serializer(mode="wrap")
    def _write(self, write: SerializerFunctionWrapHandler) -> dict[str, Any]:
        document: dict[str, Any] = write(self)
        return {key: value for key, value in document.items() if value is not None}


@dataclass(frozen=True)
class Slice:
    """One slice: `name` is `long`, or `origin=EWR`; a row belongs to it where `condition` is true."""

    name: str
    condition: Condition

    def rows(self, table: pa.Table, prefix: str = "") -> Booleans:
        """Which rows of the table belong to it. `prefix`: what column names have before the feature's name."""
        return is_true(self.condition, table, prefix)


def check_slices(slices: Sequence[SliceSpec], features: Sequence[Feature]) -> None:
    """Raises ValueError that names the first slice which these features do not allow."""
    known = {feature.name: feature for feature in features}
    seen: set[str] = set()
    total = 0
    for place, one in enumerate(slices):
        key = one.name or f"each value of {one.feature}"
        if key in seen:
            raise ValueError(f"slices names {key} twice")
        seen.add(key)
        if one.where is not None:
            try:
                parse_condition(one.where, features)
            except ValueError as error:
                raise ValueError(f"slices.{place}.where ({one.name}) {error}") from error
        elif one.feature is not None:
            _check_feature(f"slices.{place}.feature", known.get(one.feature), one.feature)
            feature = known[one.feature]
            total += (2 if feature.type == "boolean" else len(feature.values) or MAX_VALUES) - 1
        total += 1
        if total > MAX_SLICES:
            raise ValueError(
                f"slices.{place} ({key}) makes {total} slices; expected at most {MAX_SLICES} in all"
            )


def slices_of(
    slices: Sequence[SliceSpec], features: Sequence[Feature], table: pa.Table, prefix: str = ""
) -> tuple[Slice, ...]:
    """The slices that the specification names, in its order; values of open categories and integers are those of `table`, the
    most frequent first. Take them once, from the reference, so that every window has the same ones."""
    known = {feature.name: feature for feature in features}
    found: list[Slice] = []
    for one in slices:
        if one.where is not None and one.name is not None:
            found.append(Slice(one.name, parse_condition(one.where, features)))
        elif one.feature is not None:
            feature = known[one.feature]
            operand = Operand(feature.name, feature.type, is_feature=True)
            for value in _values(feature, table, prefix):
                shown = str(value).lower() if isinstance(value, bool) else str(value)
                found.append(
                    Slice(f"{feature.name}={shown}", Compare(operand, "==", Operand(value, feature.type)))
                )
    return tuple(found)


def _check_feature(path: str, feature: Feature | None, name: str) -> None:
    if feature is None:
        raise ValueError(f"{path} is {name}, which is not a feature")
    if feature.type not in _SLICEABLE:
        raise ValueError(
            f"{path} is {name}, a {feature.type}; expected a {', '.join(_SLICEABLE)}, or use `where` with a condition"
        )
    if feature.personal:
        raise ValueError(f"{path} is {name}, which is personal: its values would be in verdicts and metrics")


def _values(feature: Feature, table: pa.Table, prefix: str) -> list[str | int | bool]:
    if feature.type == "boolean":
        return [False, True]
    if feature.values:
        return list(feature.values)
    name = prefix + feature.name
    if name not in table.column_names:
        return []
    counts = pc.value_counts(table[name].combine_chunks().drop_null())
    values, numbers = counts.field("values").to_pylist(), np.asarray(counts.field("counts"))
    # Of values that are equally frequent the smaller one, so that the choice does not depend on the order of rows.
    order = sorted(range(len(values)), key=lambda place: (-int(numbers[place]), values[place]))
    return [values[place] for place in order[:MAX_VALUES]]
