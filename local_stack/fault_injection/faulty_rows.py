"""Rows as a broken data source sends them: values missing, out of range, or constant. Pure.

Inference rejects rows that it cannot score, with an unknown category or a missing value in a feature that is not nullable: they
get status 422 and never reach the lake. This module makes the faults that inference accepts and drift detects.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Literal

import numpy as np
import pyarrow as pa

from shared.contracts.feature import Feature
from shared.errors import CallerError

Fault = Literal["missing", "out_of_range", "constant"]
SHARE = 0.9


def possible_faults(feature: Feature) -> tuple[Fault, ...]:
    """The faults of this feature that inference accepts, the most obvious first."""
    found: list[Fault] = []
    numeric = feature.type in ("number", "integer")
    if feature.nullable:
        found.append("missing")
    if numeric and (feature.minimum is not None or feature.maximum is not None):
        found.append("out_of_range")
    if numeric:
        found.append("constant")
    return tuple(found)


def choose_faults(features: Sequence[Feature], feature: str = "", fault: str = "") -> dict[str, Fault]:
    """The fault of each feature: the given ones, else missing or out-of-range values in every feature that allows them.

    Raises `CallerError` if inference would reject the fault.
    """
    selected = [one for one in features if not feature or one.name == feature]
    chosen: dict[str, Fault] = {}
    for one in selected:
        possible = [kind for kind in possible_faults(one) if not fault or kind == fault]
        if possible:
            chosen[one.name] = possible[0]
    clear: dict[str, Fault] = {name: kind for name, kind in chosen.items() if kind != "constant"}
    if feature or fault:
        clear = chosen
    if not clear and chosen:
        name = next(iter(chosen))
        clear = {name: chosen[name]}
    if not clear:
        raise CallerError(
            f"no value of {feature or 'these features'} can be {fault or 'faulty'}: inference rejects unknown categories, "
            "and missing values that loop.yaml does not allow",
            hint="choose a feature that is nullable, or a number with a minimum or maximum",
        )
    return clear


def faulty_rows(
    rows: pa.Table, features: Sequence[Feature], faults: dict[str, Fault], random: np.random.Generator
) -> pa.Table:
    """The rows with each feature of `faults` made faulty: missing or out of range in 90 % of the rows, or constant in all."""
    for feature in features:
        if feature.name in faults:
            column = rows.column(feature.name).to_pylist()
            wrong = _values(column, feature, faults[feature.name])
            hit = random.random(len(column)) < (1.0 if faults[feature.name] == "constant" else SHARE)
            mixed = [bad if is_hit else good for bad, good, is_hit in zip(wrong, column, hit, strict=True)]
            place = rows.column_names.index(feature.name)
            rows = rows.set_column(place, feature.name, pa.array(mixed, rows.schema.field(place).type))
    return rows


def _values(column: list[object], feature: Feature, fault: Fault) -> list[object]:
    if fault == "missing":
        return [None] * len(column)
    if fault == "constant":
        return [next((value for value in column if value is not None), 0)] * len(column)
    known = (feature.minimum, feature.maximum)
    reach = max([abs(bound) for bound in known if bound is not None] + [1.0])
    wrong = feature.maximum + reach if feature.maximum is not None else (feature.minimum or 0.0) - reach
    return [int(wrong) if feature.type == "integer" else float(wrong)] * len(column)
