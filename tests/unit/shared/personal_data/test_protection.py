from __future__ import annotations

import pyarrow as pa
import pytest

from shared.contracts.feature import Feature
from shared.personal_data.protection import protected_rows, protected_values

FEATURES = [
    Feature(name="customer", type="text", nullable=True, personal="pseudonym"),
    Feature(name="note", type="text", nullable=True, personal="mask"),
    Feature(name="age", type="integer", nullable=True, personal="drop"),
    Feature(name="town", type="text", nullable=True, personal=True),
]


@pytest.mark.parametrize(
    ("feature", "stored"),
    list(zip(FEATURES, [["A", None], ["***", None], [None, None], ["a", None]], strict=True)),
    ids=lambda one: getattr(one, "name", ""),
)
def test_values_are_protected_as_the_feature_says(feature: Feature, stored: list[object]) -> None:
    assert protected_values(feature, ["a", None], str.upper) == stored


def test_columns_keep_their_types_and_other_rows_are_the_same() -> None:
    rows = pa.table({"customer": ["a"], "note": ["b"], "age": pa.array([4], pa.int64()), "town": ["c"]})
    protected = protected_rows(rows, FEATURES, str.upper)
    assert protected.schema == rows.schema
    assert protected.to_pylist() == [{"customer": "A", "note": "***", "age": None, "town": "c"}]
    assert protected_rows(rows, FEATURES[3:], str.upper) is rows
