from __future__ import annotations

from typing import Any

import pytest
from pydantic import ValidationError

from shared.contracts.feature import RESERVED_NAMES, Feature, Matrix


@pytest.mark.parametrize("name", sorted(RESERVED_NAMES))
def test_no_feature_may_take_the_name_of_a_column_of_ours(name: str) -> None:
    with pytest.raises(ValidationError, match="reserved"):
        Feature(name=name, type="number")


@pytest.mark.parametrize(
    ("entry", "expected"),
    [
        ({"name": "c", "type": "category"}, "needs `values`"),
        ({"name": "c", "type": "category", "values": ["a", "a"]}, "twice"),
        ({"name": "n", "type": "number", "values": ["a"]}, "only a category"),
        ({"name": "t", "type": "tensor"}, "needs `shape`"),
        ({"name": "n", "type": "number", "shape": [3]}, "only a tensor"),
        ({"name": "t", "type": "tensor", "shape": [0]}, "at least 1"),
        ({"name": "b", "type": "boolean", "nullable": True}, "cannot be nullable"),
        ({"name": "t", "type": "tensor", "shape": [2], "nullable": True}, "cannot be nullable"),
        ({"name": "w", "type": "timestamp", "nullable": True}, "a timestamp cannot be nullable"),
        ({"name": "w", "type": "timestamp", "minimum": 0}, "a timestamp cannot have `minimum` or `maximum`"),
        ({"name": "n", "type": "number", "minimum": 2, "maximum": 1}, "above `maximum`"),
        ({"name": "n", "type": "number", "minimum": float("nan")}, "finite"),
        ({"name": "n", "type": "word"}, "'number', 'integer'"),
        ({"name": "n", "type": "text", "values": ["a"]}, "only a category"),
        ({"name": "n", "type": "text", "unknown": "serve"}, "only a category has `unknown`"),
        ({"name": "c", "type": "category", "unknown": "ignore"}, "'refuse' or 'serve'"),
        ({"name": "no-hyphen", "type": "number"}, "pattern"),
        ({"name": "1st", "type": "number"}, "pattern"),
        ({"name": "n", "type": "number", "unit": "m"}, "Extra inputs"),
        (
            {"name": "n", "type": "number", "method": "chisquare"},
            "`method` of a number is one of wasserstein",
        ),
        ({"name": "c", "type": "boolean", "method": "ks"}, "`method` of a boolean is one of jensenshannon"),
        ({"name": "n", "type": "number", "method": "empirical_mmd"}, "method"),
        ({"name": "n", "type": "number", "personal": "pseudonym"}, "needs a text"),
        ({"name": "c", "type": "category", "values": ["a"], "personal": "mask"}, "needs a text"),
        (
            {"name": "c", "type": "category", "values": ["a"], "unknown": "serve", "personal": "pseudonym"},
            "without `values`",
        ),
        ({"name": "n", "type": "number", "personal": "drop"}, "needs `nullable: true`"),
        ({"name": "t", "type": "text", "personal": "mask", "watch": True}, "exclude each other"),
        ({"name": "t", "type": "text", "personal": "hide"}, "pseudonym"),
    ],
)
def test_a_feature_that_contradicts_itself_is_refused(entry: dict[str, Any], expected: str) -> None:
    with pytest.raises(ValidationError, match=expected):
        Feature.model_validate(entry)


def test_category_without_a_list_is_open() -> None:
    town = Feature(name="town", type="category", unknown="serve")
    assert town.values == ()
    assert town.takes_any_text
    assert town.model_dump()["unknown"] == "serve"


def test_default_of_a_new_key_is_not_written() -> None:
    colour = Feature(name="colour", type="category", values=("red",))
    assert not colour.takes_any_text
    assert {"unknown", "watch", "method"}.isdisjoint(colour.model_dump())


def test_what_is_measured_of_a_feature_is_written_if_it_is_chosen() -> None:
    hour = Feature(name="hour", type="integer", watch=False, method="psi")
    assert Feature.model_validate(hour.model_dump()) == hour
    assert hour.model_dump()["watch"] is False


FEATURES = (
    Feature(name="x", type="number", nullable=True),
    Feature(name="colour", type="category", values=("red",)),
    Feature(name="i", type="integer"),
    Feature(name="note", type="text"),
    Feature(name="b", type="boolean"),
    Feature(name="t", type="tensor", shape=(2,)),
)


@pytest.mark.parametrize(("named", "columns"), [([], ("x", "i", "b")), (["b", "x"], ("b", "x"))])
def test_columns_of_a_matrix_are_the_named_or_all_numbers(named: list[str], columns: tuple[str, ...]) -> None:
    matrix = Matrix.model_validate({"input": "float_input:0", "features": named})
    matrix.check(FEATURES)
    assert matrix.columns(FEATURES) == columns


@pytest.mark.parametrize(
    ("entry", "expected"),
    [
        ({"input": "X", "features": ["y"]}, "names y, which is not a feature"),
        (
            {"input": "X", "features": ["colour"]},
            "names colour, a category; a column of a matrix is a number",
        ),
        ({"input": "X", "features": ["x", "x"]}, "matrix.features names a feature twice"),
        ({"input": "note"}, "matrix.input is note, which is also the name of a feature with its own input"),
        (
            {"input": "i", "features": ["x"]},
            "matrix.input is i, which is also the name of a feature with its own input",
        ),
    ],
)
def test_matrix_that_contradicts_the_features_is_refused(entry: dict[str, Any], expected: str) -> None:
    with pytest.raises(ValueError, match=expected):
        Matrix.model_validate(entry).check(FEATURES)


def test_matrix_without_a_number_is_refused() -> None:
    with pytest.raises(ValueError, match="`matrix` needs a feature that is a number"):
        Matrix(input="X").check(FEATURES[1:2])
