from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from services.inference.models.input_schema import Batch, Schema
from shared.contracts.feature import Feature
from shared.errors import InvalidRequest
from tests.fakes.toy_model import ROW, toy_loop

# A number too large for float32 makes numpy warn before we refuse it; the server has the warning off.
pytestmark = pytest.mark.filterwarnings("ignore:overflow encountered in cast:RuntimeWarning")

SCHEMA = Schema(toy_loop().features)
OPEN = Schema(
    [
        Feature(name="review", type="text", nullable=True),
        Feature(name="town", type="category", values=("Bern",), unknown="serve"),
        Feature(name="rooms", type="integer", nullable=True),
    ]
)
HOME = {"review": "Quiet, and ”warm”", "town": "Bern", "rooms": 3}
IMAGE = Schema([Feature(name="x", type="tensor", shape=(2, 2))])


def refused(*rows: object, schema: Schema = SCHEMA) -> tuple[int, str, int | None, str]:
    with pytest.raises(InvalidRequest) as caught:
        schema.batch(list(rows))
    return caught.value.status, caught.value.field, caught.value.row, caught.value.expected


def test_valid_rows_become_columns() -> None:
    batch = SCHEMA.batch([ROW, {**ROW, "amount": None, "colour": "green", "count": -3}])

    assert batch.rows == 2
    np.testing.assert_array_equal(batch.feeds["amount"], np.array([1.5, np.nan], np.float32))
    assert batch.feeds["count"].dtype == np.int64
    assert batch.feeds["member"].dtype == np.bool_
    assert batch.feeds["colour"].tolist() == ["red", "green"]
    assert batch.columns == {
        "amount": [1.5, None],
        "count": [2, -3],
        "member": [True, True],
        "colour": ["red", "green"],
    }


def test_integers_are_valid_numbers() -> None:
    batch = SCHEMA.batch([{**ROW, "amount": 3}])
    assert batch.columns["amount"] == [3.0]
    assert type(batch.columns["amount"][0]) is float


def test_nullable_feature_may_be_missing() -> None:
    rest = {name: value for name, value in ROW.items() if name != "amount"}
    batch = SCHEMA.batch([ROW, rest])
    assert batch.columns["amount"] == [1.5, None]


def test_whole_floats_are_integers() -> None:
    batch = SCHEMA.batch([{**ROW, "count": 3.0}, ROW])
    assert batch.columns["count"] == [3, 2]
    assert batch.feeds["count"].tolist() == [3, 2]
    assert type(batch.columns["count"][0]) is int


def test_texts_and_unknown_categories_are_served() -> None:
    batch = OPEN.batch([HOME, {"review": None, "town": "Ürgüp", "rooms": 3.0}, {"town": ""}])
    assert batch.feeds["review"].tolist() == ["Quiet, and ”warm”", "", ""]
    assert batch.columns["review"] == ["Quiet, and ”warm”", None, None]
    assert batch.feeds["town"].tolist() == batch.columns["town"] == ["Bern", "Ürgüp", ""]


def test_missing_integer_is_nan_for_the_model() -> None:
    batch = OPEN.batch([HOME, {**HOME, "rooms": None}, {**HOME, "rooms": 2**24}])
    np.testing.assert_array_equal(batch.feeds["rooms"], np.array([3, np.nan, 2**24], np.float32))
    assert batch.feeds["rooms"].dtype == np.float32
    assert batch.columns["rooms"] == [3, None, 2**24]


@pytest.mark.parametrize("nullable", [True, False])
def test_true_and_false_are_integers_from_0_to_1(nullable: bool) -> None:
    """A boolean column with missing values is exported as such an integer, and sent as it is."""
    flag = Feature(name="stocked", type="integer", minimum=0, maximum=1, nullable=nullable)
    batch = Schema([flag]).batch([{"stocked": True}, {"stocked": False}, {"stocked": 1}])
    assert batch.columns["stocked"] == [1, 0, 1]
    assert {type(value) for value in batch.columns["stocked"]} == {int}
    assert batch.feeds["stocked"].tolist() == [1, 0, 1]
    with pytest.raises(InvalidRequest) as caught:
        Schema([flag]).batch([{"stocked": "yes"}])
    assert "true or false" in caught.value.expected


def test_missing_integers_in_a_tensor_are_nan() -> None:
    tensors: dict[str, Any] = {"review": ["a", "b"], "town": ["c", "d"], "rooms": np.array([4.0, np.nan])}
    batch = OPEN.batch_of_tensors(tensors, 2)
    assert batch.columns["rooms"] == [4, None]


@pytest.mark.parametrize(
    ("field", "value", "expected"),
    [
        ("review", 3, "a string, or null"),
        ("town", None, "a string"),
        ("town", ["Bern"], "a string"),
        ("rooms", 2**24 + 1, "a whole number from -16777216 to 16777216, or null"),
        ("rooms", -(10**400), "a whole number from -16777216 to 16777216, or null"),
        ("rooms", 2.5, "a whole number from -16777216 to 16777216, or null"),
        ("rooms", True, "a whole number from -16777216 to 16777216, or null"),
        ("rooms", "3", "a whole number from -16777216 to 16777216, or null"),
    ],
)
def test_wrong_value_of_an_open_feature_names_field_and_row(field: str, value: object, expected: str) -> None:
    assert refused(HOME, {**HOME, field: value}, schema=OPEN) == (422, field, 1, expected)


def test_out_of_range_values_are_accepted() -> None:
    assert SCHEMA.batch([{**ROW, "amount": -1e6}]).columns["amount"] == [-1e6]


@pytest.mark.parametrize(
    ("field", "value", "expected"),
    [
        ("amount", "1", "a finite number, or null"),
        ("amount", True, "a finite number, or null"),
        ("amount", [1.0], "a finite number, or null"),
        ("amount", 1e39, "a finite number, or null"),
        ("amount", float("nan"), "a finite number, or null"),
        ("amount", float("inf"), "a finite number, or null"),
        ("count", 1.5, "a 64-bit integer"),
        ("count", 1e19, "a 64-bit integer"),
        ("count", True, "a 64-bit integer"),
        ("count", None, "a 64-bit integer"),
        ("count", 2**63, "a 64-bit integer"),
        ("member", 1, "true or false"),
        ("member", None, "true or false"),
        ("colour", "blue", "one of red, green"),
        ("colour", 1, "one of red, green"),
        ("colour", None, "one of red, green"),
        ("colour", ["red"], "one of red, green"),
        ("colour", {"red": 1}, "one of red, green"),
    ],
)
def test_wrong_value_names_field_and_row(field: str, value: object, expected: str) -> None:
    assert refused(ROW, {**ROW, field: value}) == (422, field, 1, expected)


def test_missing_feature_is_refused() -> None:
    assert refused(ROW, {name: value for name, value in ROW.items() if name != "count"})[1:3] == ("count", 1)


def test_unknown_feature_is_refused() -> None:
    assert refused(ROW, {**ROW, "size": 1})[1:3] == ("size", 1)


def test_unknown_and_missing_feature() -> None:
    rest = {name: value for name, value in ROW.items() if name != "amount"}
    assert refused({**rest, "amuont": 1})[1:3] == ("amuont", 0)


def test_rows_must_be_objects() -> None:
    assert refused(ROW, [1]) == (400, "rows", 1, "an object of feature names and values")
    assert refused() == (400, "rows", None, "at least one row")


def test_tensor_keeps_its_shape() -> None:
    batch = IMAGE.batch([{"x": [[1, 2], [3, 4]]}, {"x": [[5.5, 6], [7, 8]]}])
    assert batch.feeds["x"].shape == (2, 2, 2)
    assert batch.feeds["x"].dtype == np.float32
    assert batch.columns["x"] is batch.feeds["x"]


@pytest.mark.parametrize(
    "value",
    [
        [1, 2, 3, 4],
        [[1, 2], [3]],
        [["1", "2"], ["3", "4"]],
        [[1, 2], [3, True]],
        [[1, 2], [3, None]],
        1,
        None,
        "x",
    ],
)
def test_wrong_tensor_is_refused(value: object) -> None:
    assert refused({"x": [[1, 2], [3, 4]]}, {"x": value}, schema=IMAGE)[:3] == (422, "x", 1)


def test_tensor_value_too_large_for_float32() -> None:
    assert refused({"x": [[1, 2], [3, 4]]}, {"x": [[1, 2], [3, 1e39]]}, schema=IMAGE)[:3] == (422, "x", 1)


def test_arrays_are_checked_like_rows() -> None:
    tensors: dict[str, Any] = {
        "amount": np.array([1.0, np.nan]),
        "count": np.array([1, 2]),
        "member": np.array([True, False]),
        "colour": ["red", "green"],
    }
    batch = SCHEMA.batch_of_tensors(tensors, 2)
    assert batch.columns == {
        "amount": [1.0, None],
        "count": [1, 2],
        "member": [True, False],
        "colour": ["red", "green"],
    }
    with pytest.raises(InvalidRequest):
        SCHEMA.batch_of_tensors({**tensors, "amount": np.array([1.0, np.inf])}, 2)


_json = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=5),
    lambda inner: (
        st.lists(inner, max_size=3) | st.dictionaries(st.sampled_from([*ROW, "other"]), inner, max_size=5)
    ),
    max_leaves=10,
)


@settings(suppress_health_check=[HealthCheck.too_slow])  # a busy machine
@given(st.lists(_json, max_size=4))
def test_random_input_is_accepted_or_refused(rows: list[object]) -> None:
    try:
        batch = SCHEMA.batch(rows)
    except InvalidRequest as error:
        named = bool(error.field and error.expected)
    else:
        named = True
        assert batch.rows == len(rows)
        assert all(len(feed) == len(rows) for feed in batch.feeds.values())
    assert named


WHEN = Schema([Feature(name="ordered_at", type="timestamp")])


@pytest.mark.parametrize(
    ("text", "micros"),
    [
        ("2026-03-01T12:00:00Z", 1_772_366_400_000_000),
        ("2026-03-01T12:00:00.000001+00:00", 1_772_366_400_000_001),
        ("2026-03-01T07:00:00-05:00", 1_772_366_400_000_000),
        ("1960-01-01T00:00:00Z", -315_619_200_000_000),
        ("0001-01-01T00:00:00Z", -62_135_596_800_000_000),
        ("9999-12-31T23:59:59.999999Z", 253_402_300_799_999_999),
    ],
)
def test_timestamps_are_microseconds_for_the_model_and_times_for_the_log(text: str, micros: int) -> None:
    batch = WHEN.batch([{"ordered_at": text}] * 2)
    assert batch.feeds["ordered_at"].dtype == np.int64
    assert batch.feeds["ordered_at"].tolist() == [micros] * 2
    logged = batch.columns["ordered_at"]
    np.testing.assert_array_equal(logged, np.array([micros] * 2).view("datetime64[us]"))


@pytest.mark.parametrize(
    ("value", "said"),
    [
        ("2026-03-01T12:00:00", "`ordered_at` is '2026-03-01T12:00:00', without an offset from UTC"),
        ("yesterday", "`ordered_at` is 'yesterday'"),
        ("0001-01-01T00:00:00+14:00", "`ordered_at` is '0001-01-01T00:00:00+14:00'"),
        (1_772_366_400, "feature ordered_at of row 1 is 1772366400"),
        (None, "feature ordered_at of row 1 is missing"),
    ],
)
def test_what_is_no_time_with_an_offset_is_refused(value: object, said: str) -> None:
    rows = [{"ordered_at": "2026-03-01T12:00:00Z"}, {"ordered_at": value}]
    with pytest.raises(InvalidRequest) as caught:
        WHEN.batch(rows)
    assert caught.value.message == said
    assert (caught.value.status, caught.value.field, caught.value.row) == (422, "ordered_at", 1)
    assert caught.value.expected == "ISO 8601 with an offset, such as 2026-03-01T12:00:00Z"


@pytest.mark.parametrize(
    ("schema", "rows"),
    [
        (SCHEMA, [ROW, {**ROW, "amount": None}, {**ROW, "colour": "green"}]),
        (OPEN, [HOME, {"town": "Basel"}, {**HOME, "rooms": None}]),
        (IMAGE, [{"x": [[1, 2], [3, place]]} for place in range(3)]),
        (
            Schema([Feature(name="t", type="timestamp")]),
            [{"t": f"2026-01-0{day}T00:00:00Z"} for day in (1, 2, 3)],
        ),
    ],
)
def test_concatenated_batches_equal_one_batch(schema: Schema, rows: list[dict[str, Any]]) -> None:
    whole = schema.batch(rows)
    joined = Batch.concatenate([schema.batch(rows[:1]), schema.batch(rows[1:])])
    for batch in (joined, Batch.concatenate([whole.part(0, 2), whole.part(2, 3)])):
        assert batch.rows == 3
        for name, values in whole.feeds.items():
            np.testing.assert_array_equal(batch.feeds[name], values)
            assert batch.feeds[name].dtype == values.dtype
        for name, column in whole.columns.items():
            assert type(batch.columns[name]) is type(column)
            np.testing.assert_array_equal(np.asarray(batch.columns[name]), np.asarray(column))
