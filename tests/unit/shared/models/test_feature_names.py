from __future__ import annotations

from shared.contracts.feature import RESERVED_NAMES
from shared.models.feature_names import columns_of, valid_names


def test_names_are_made_valid_and_distinct() -> None:
    assert valid_names(["a b", "a_b", "event_time", "7", "ü", "ok"], reserved=RESERVED_NAMES) == {
        "a b": "a_b",
        "a_b": "a_b_2",
        "event_time": "event_time_",
        "7": "x_7",
        "ü": "x",
        "ok": "ok",
    }


def test_columns_are_found_by_the_names_they_were_given() -> None:
    columns = ["Annual Income ($)", "5th", "outcome", "age", "a b", "a-b"]
    features = list(valid_names(columns, reserved=RESERVED_NAMES).values())
    assert features == ["Annual_Income", "x_5th", "outcome_", "age", "a_b", "a_b_2"]
    # Of two columns for one name neither is taken.
    assert columns_of(features, columns) == {
        "Annual_Income": "Annual Income ($)",
        "x_5th": "5th",
        "outcome_": "outcome",
        "age": "age",
    }


def test_the_column_of_the_name_itself_comes_first() -> None:
    assert columns_of(["a_b"], ["a b", "a_b"]) == {"a_b": "a_b"}
    assert columns_of(["a_b"], ["b"]) == {}
