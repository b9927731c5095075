"""Personal features of rows, as they may be stored. Pure.

    pseudonym   each value is replaced by its pseudonym
    mask        each value is replaced by MASK; that a value is missing remains visible
    drop        every value is missing

The server applies this to requests before they are logged (`services/inference/models/column_checks.py`); deployment applies it
to training and reference rows, so that all rows of a model look alike.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any, Final

import pyarrow as pa

from shared.contracts.feature import Feature

MASK: Final = "***"

Pseudonymise = Callable[[str], str]


def protected_values(feature: Feature, values: Sequence[Any], pseudonymise: Pseudonymise) -> list[Any]:
    """The values of a feature as they may be stored; None is a missing value.

    >>> user = Feature(name="user", type="text", nullable=True, personal="mask")
    >>> protected_values(user, ["anna", None], str.upper)
    ['***', None]
    """
    if feature.personal == "pseudonym":
        return [None if value is None else pseudonymise(value) for value in values]
    if feature.personal == "mask":
        return [None if value is None else MASK for value in values]
    if feature.personal == "drop":
        return [None] * len(values)
    return list(values)


def protected_rows(rows: pa.Table, features: Sequence[Feature], pseudonymise: Pseudonymise) -> pa.Table:
    """Rows with a column per feature, as they may be stored: the same rows if no feature is protected."""
    for feature in features:
        if feature.is_protected:
            place = rows.schema.get_field_index(feature.name)
            kind = rows.schema.field(place).type
            values = protected_values(feature, rows.column(place).to_pylist(), pseudonymise)
            rows = rows.set_column(place, feature.name, pa.array(values, kind))
    return rows
