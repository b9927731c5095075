"""Columns of features in the lake: a feature keeps the type that its column has."""

from __future__ import annotations

from typing import Any

import pyarrow as pa
import pytest

from shared.contracts.feature import Feature
from shared.contracts.lake_schema import FEATURE_TYPES, check_columns
from shared.errors import UnservableModel

EXTRA: dict[str, dict[str, Any]] = {"category": {"values": ["a"]}, "tensor": {"shape": [2]}}


def feature(kind: str, name: str = "age") -> Feature:
    return Feature.model_validate({"name": name, "type": kind, **EXTRA.get(kind, {})})


@pytest.mark.parametrize("kind", FEATURE_TYPES)
def test_same_type_new_feature_and_empty_column_fit(kind: str) -> None:
    for known in ({"age": FEATURE_TYPES[kind]}, {}, {"other": pa.int64()}, {"age": pa.null()}):
        check_columns([feature(kind)], known)


def test_arrow_layouts_of_one_type_fit() -> None:
    check_columns([feature("category")], {"age": pa.large_string()})
    check_columns([feature("tensor")], {"age": pa.large_list(pa.float32())})


@pytest.mark.parametrize("kind", FEATURE_TYPES)
@pytest.mark.parametrize("before", FEATURE_TYPES)
def test_other_type_is_refused_by_name(kind: str, before: str) -> None:
    if FEATURE_TYPES[kind] == FEATURE_TYPES[before]:  # a category may become a text
        return
    with pytest.raises(UnservableModel, match=f"feature age is of type {kind}") as error:
        check_columns([feature("number", "size"), feature(kind)], {"age": FEATURE_TYPES[before]})
    assert f"age_{kind}" in error.value.hint


def test_name_that_differs_in_case_is_refused() -> None:
    with pytest.raises(UnservableModel, match="feature age differs only in case from Age"):
        check_columns([feature("number")], {"Age": pa.float64()})
