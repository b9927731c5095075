"""Conditions: what is accepted, and that every refusal names the position and what was expected."""

from __future__ import annotations

import doctest
from datetime import UTC, datetime

import pyarrow as pa
import pytest

from shared.contracts.feature import Feature
from shared.contracts.slices import condition, parser, tokens
from shared.contracts.slices.condition import features_of, is_true
from shared.contracts.slices.parser import parse_condition
from shared.contracts.slices.tokens import ConditionError

FEATURES = (
    Feature(name="distance", type="number"),
    Feature(name="hour", type="integer", nullable=True),
    Feature(name="weekend", type="boolean"),
    Feature(name="origin", type="category", values=("EWR", "JFK", "LGA")),
    Feature(name="plane", type="category", unknown="serve"),
    Feature(name="note", type="text"),
    Feature(name="at", type="timestamp"),
)
TABLE = pa.table(
    {
        "distance": [100.0, 0.1, None, 2000.0],
        "hour": pa.array([1, None, 3, 2**60 + 1]),
        "weekend": [True, False, True, None],
        "origin": ["EWR", "JFK", None, "LGA"],
        "plane": ["A", "B", "B", None],
        "note": ["x and y", "", None, 'a"b'],
    }
)


def chosen(text: str) -> list[int]:
    return [int(row) for row in is_true(parse_condition(text, FEATURES), TABLE).nonzero()[0]]


@pytest.mark.parametrize(
    ("text", "rows"),
    [
        ("distance > 50", [0, 3]),
        ("50 < distance", [0, 3]),
        ("distance > 0.1", [0, 3]),
        ("distance == 0.1", [1]),
        ("distance >= 1e2", [0, 3]),
        ("not distance > 50", [1]),
        ("distance != 100", [1, 3]),
        ("distance is missing", [2]),
        ("distance is not missing", [0, 1, 3]),
        ("distance is missing or distance > 50", [0, 2, 3]),
        ("hour == 1152921504606846977", [3]),
        ("hour > 1152921504606846976", [3]),
        ("hour < 2.5", [0]),
        ("hour > -1 and hour < 2", [0]),
        ("hour in [1, 3]", [0, 2]),
        ("hour not in [1, 3]", [3]),
        ("hour < distance", [0]),
        ("weekend", [0, 2]),
        ("not weekend", [1]),
        ("weekend == false", [1]),
        ('origin == "EWR"', [0]),
        ("origin in ['EWR', \"LGA\"]", [0, 3]),
        ('origin not in ["EWR"]', [1, 3]),
        ('plane != "A"', [1, 2]),
        ('note == "x and y"', [0]),
        ("note == 'a\"b'", [3]),
        ('origin == "EWR" or origin == "JFK" and distance > 50', [0]),
        ('(origin == "EWR" or origin == "JFK") and distance < 50', [1]),
        ("distance in [0.1, 2000]", [1, 3]),
    ],
)
def test_the_rows_for_which_a_condition_is_true(text: str, rows: list[int]) -> None:
    assert chosen(text) == rows


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("", "at character 1: expected a feature, a number or a text, found the end"),
        ("distance", "at character 9: expected one of < <= > >= == !=, in or is, found the end"),
        ("distance = 3", "at character 10: a comparison for equality is written =="),
        ("distanse > 3", "at character 1: distanse is not a feature; did you mean distance?"),
        ("plane == qwertyuiop", "at character 10: qwertyuiop is not a feature; put text in quotes"),
        ("origin == 'ewr'", "at character 11: 'ewr' is not a value of origin: EWR, JFK, LGA"),
        ("origin in ['EWR', 'ewr']", "at character 19: 'ewr' is not a value of origin: EWR, JFK, LGA"),
        ("origin > 'EWR'", "at character 8: a category is compared by == or !="),
        (
            "origin == 3",
            "at character 11: origin is of type category, which does not compare with type integer",
        ),
        ("hour in [1.5]", "at character 10: hour is an integer, and 1.5 is not"),
        ("hour in [distance]", "at character 10: a list holds numbers or texts, no features"),
        ("hour not 3", "at character 10: expected in, found 3"),
        ("1 < 2", "at character 1: a comparison needs a feature"),
        ("distance > 1 distance < 3", "at character 14: expected and, or, or the end, found distance"),
        ("(distance > 1", "at character 14: expected ), found the end"),
        ("distance > 'x", "at character 12: this text has no closing quote"),
        ("distance.real > 1", "at character 9: '.' is not part of a condition"),
        ("__import__('os') == 1", "at character 1: __import__ is not a feature; put text in quotes"),
        ("at == '2013-01-01'", "at character 1: at is a timestamp; a condition compares"),
        ("hour > 9223372036854775808", "at character 8: 9223372036854775808 is beyond 64-bit integers"),
        ("(" * 60 + "weekend" + ")" * 60, "more than 50 conditions inside each other"),
        ("not " * 60 + "weekend", "more than 50 conditions inside each other"),
        ("weekend or " * 200 + "weekend", "at character 1001: the condition is longer than 1000 characters"),
    ],
)
def test_a_refusal_names_the_position(text: str, message: str) -> None:
    with pytest.raises(ConditionError) as refused:
        parse_condition(text, FEATURES)
    assert message in str(refused.value)


def test_a_feature_without_a_column_is_missing_in_every_row() -> None:
    bare = pa.table({"event_time": [datetime(2013, 1, 1, tzinfo=UTC)]})
    assert not is_true(parse_condition("distance > 1", FEATURES), bare).any()
    assert is_true(parse_condition("distance is missing", FEATURES), bare).all()


def test_the_features_of_a_condition() -> None:
    found = parse_condition("not (hour < distance) and (weekend or plane in ['A'])", FEATURES)
    assert features_of(found) == {"hour", "distance", "weekend", "plane"}


@pytest.mark.parametrize("module", [condition, parser, tokens])
def test_the_examples_of_the_docs(module: object) -> None:
    done = doctest.testmod(module)  # type: ignore[arg-type]
    assert done.attempted
    assert done.failed == 0
