"""Columns of features in the lake: which one stores a value, and what a person is told about a change."""

from __future__ import annotations

from typing import Any

import pyarrow as pa
import pytest

from shared.contracts.feature import Feature
from shared.contracts.lake_schema import FEATURE_TYPES, feature_of, reads_as, storing_column, type_changes

EXTRA: dict[str, dict[str, Any]] = {"category": {"values": ["a"]}, "tensor": {"shape": [2]}}


def feature(kind: str, name: str = "age") -> Feature:
    return Feature.model_validate({"name": name, "type": kind, **EXTRA.get(kind, {})})


@pytest.mark.parametrize("kind", FEATURE_TYPES)
def test_same_type_and_new_feature_have_the_plain_column(kind: str) -> None:
    for known in ({"f_age": FEATURE_TYPES[kind]}, {}, {"f_other": pa.int64()}):
        assert storing_column(known, "age", FEATURE_TYPES[kind]) == "f_age"
        assert type_changes([feature(kind)], [], known) == []


def test_arrow_layouts_of_one_type_share_a_column() -> None:
    assert storing_column({"f_age": pa.large_string()}, "age", pa.string()) == "f_age"
    assert storing_column({"f_age": pa.large_list(pa.float32())}, "age", FEATURE_TYPES["tensor"]) == "f_age"
    assert storing_column({"f_age": pa.float32()}, "age", pa.float64()) == "f_age"


@pytest.mark.parametrize("kind", FEATURE_TYPES)
@pytest.mark.parametrize("before", FEATURE_TYPES)
def test_another_type_has_a_column_of_its_own_and_is_explained(kind: str, before: str) -> None:
    known = {"f_age": FEATURE_TYPES[before]}
    column = storing_column(known, "age", FEATURE_TYPES[kind])
    said = type_changes([feature("number", "size"), feature(kind)], [feature(before)], {})
    if FEATURE_TYPES[kind] == FEATURE_TYPES[before]:  # a category may become a text
        assert (column, said) == ("f_age", [])
        return
    assert column.startswith("f_age$")
    assert feature_of(column) == "age"
    assert storing_column({**known, column: FEATURE_TYPES[kind]}, "age", FEATURE_TYPES[kind]) == column
    [sentence] = said
    assert sentence.startswith(f"feature age was of type {before} and is of type {kind}: the prediction log ")
    assert f"in the column {column}; " in sentence
    assert ("not used for training" in sentence) != reads_as(before, kind)


def test_a_lake_that_is_older_than_the_release_log_counts() -> None:
    [said] = type_changes([feature("number")], [], {"f_age": pa.int64()})
    assert said == (
        "feature age was of type integer and is of type number: the prediction log stores it in the column f_age$number; "
        "earlier values are read as number too"
    )
    assert type_changes([feature("number")], [feature("number")], {"f_age": pa.int64()}) == []


def test_names_that_differ_only_in_case_are_one_feature() -> None:
    known = {"f_Age": pa.float64(), "f_Age$text": pa.string()}
    assert storing_column(known, "age", pa.float64()) == "f_Age"
    assert storing_column(known, "AGE", pa.string()) == "f_Age$text"
    [said] = type_changes([feature("number")], [feature("number", "Age")], known)
    assert said.startswith("feature age differs only in case from Age")
    assert type_changes([feature("number")], [feature("number")], known) == []
