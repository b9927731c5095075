"""Typed rows are those that the ordinary path reads from the same body, or none."""

from __future__ import annotations

import random
from typing import Any

import numpy as np
import orjson
import pytest

from services.inference.fast_path.typed_rows import TypedRows
from services.inference.models.input_schema import Batch, Schema
from shared.contracts.feature import Feature
from shared.errors import InvalidRequest

pytestmark = pytest.mark.filterwarnings("ignore:.*encountered in (cast|dot):RuntimeWarning")

FEATURES = [
    Feature(name="amount", type="number"),
    Feature(name="class", type="category", values=("red", "gr\u00fcn", "")),
    Feature(name="weight", type="number", nullable=True),
    Feature(name="count", type="integer"),
    Feature(name="age", type="integer", nullable=True),
    Feature(name="flag", type="integer", minimum=0, maximum=1, nullable=True),
    Feature(name="member", type="boolean"),
    Feature(name="kind", type="category", values=("a",), nullable=True),
    Feature(name="city", type="category", unknown="serve"),
    Feature(name="note", type="text", nullable=True),
    Feature(name="at", type="timestamp"),
    Feature(name="pixels", type="tensor", shape=(2, 2)),
]
SCHEMA = Schema(FEATURES)
TYPED = TypedRows(SCHEMA)
ROW: dict[str, Any] = {
    "amount": 1.5,
    "class": "red",
    "weight": None,
    "count": 3,
    "age": 40,
    "flag": 1,
    "member": True,
    "kind": None,
    "city": "Ulm",
    "note": "",
    "at": "2026-01-01T00:00:00Z",
    "pixels": [[1, 2.5], [3, 4]],
}
VALUES = [
    *("0", "-0", "-0.0", "1", "2.0", "-7", "1.25", "1e2", "1e39", "-1e400", "5e-324", "16777217", "1e15"),
    *("9007199254740993", "9223372036854775807", "9223372036854775808", "18446744073709551617", "9" * 40),
    *("null", "true", "false", "NaN", "01", "1.", "[]", "{}", "[1]", '{"amount":1}', "[[1,2],[3,4]]"),
    *("[[1,2],[3,true]]", "[[1,2],[3]]", "[[9007199254740993,2],[3,4]]", "[[18446744073709551616,1],[1,1]]"),
    *(
        '""',
        '"a"',
        '"red"',
        '"\\u0072ed"',
        '"gr\u00fcn"',
        '"\\ud800"',
        '"2026-01-01T00:00:00+02:00"',
        '"2026"',
    ),
    *('"\\ud83d\\ude00"', '"\\u0000"', '"\x01"'),
]


def body(*rows: dict[str, Any]) -> bytes:
    return orjson.dumps({"model": "m", "rows": rows})


def ordinary(text: bytes) -> Batch | None:
    try:
        return SCHEMA.batch(orjson.loads(text)["rows"])
    except (orjson.JSONDecodeError, InvalidRequest):
        return None


def typed(text: bytes) -> Batch | None:
    found = TYPED.decode(b"head" + text + b"tail", 4, 4 + len(text))
    try:
        return None if found is None else TYPED.batch(found.rows)
    except InvalidRequest:
        return None


def assert_same(found: Batch, expected: Batch) -> None:
    assert list(found.feeds) == list(expected.feeds)
    assert list(found.columns) == list(expected.columns)
    for name, feed in expected.feeds.items():
        assert found.feeds[name].dtype == feed.dtype
        assert found.feeds[name].shape == feed.shape
        assert found.feeds[name].tolist() == feed.tolist() or found.feeds[name].tobytes() == feed.tobytes()
        assert found.feeds[name].flags.c_contiguous
        # As written: 0.0 and -0.0 differ, 3 and 3.0 too.
        assert repr(list(found.columns[name])) == repr(list(expected.columns[name]))


@pytest.mark.parametrize("feature", [feature.name for feature in FEATURES])
def test_values_are_those_of_the_ordinary_path(feature: str) -> None:
    read = 0
    for value in VALUES:
        text = body({**ROW, feature: "VALUE"}, ROW).replace(b'"VALUE"', value.encode())
        found, expected = typed(text), ordinary(text)
        if found is not None:
            assert expected is not None, value
            assert_same(found, expected)
            read += 1
    assert read


def test_what_is_plain_is_read() -> None:
    other = {
        **ROW,
        "weight": 2,
        "flag": False,
        "count": 3.0,
        "kind": "a",
        "class": "gr\u00fcn",
        "note": "\u00e9",
    }
    left_out = {name: value for name, value in ROW.items() if name not in ("weight", "note", "kind")}
    for rows in ([ROW], [ROW, other], [dict(reversed(ROW.items())), other, left_out] * 20):
        found, expected = typed(body(*rows)), ordinary(body(*rows))
        assert found is not None
        assert expected is not None
        assert_same(found, expected)


@pytest.mark.parametrize("seed", range(4))
def test_random_numbers_are_read_alike(seed: int) -> None:
    chance = random.Random(seed)
    digits = [
        f"{chance.uniform(-1, 1) * 10 ** chance.randint(-45, 38):.{chance.randint(0, 17)}e}"
        for _ in range(200)
    ]
    digits += [repr(chance.uniform(-1000, 1000)) for _ in range(200)]
    digits += [str(chance.randint(-(2**70), 2**70) >> chance.randint(0, 70)) for _ in range(200)]
    rows = b",".join(body(ROW)[21:-2].replace(b'"amount":1.5', b'"amount":' + one.encode()) for one in digits)
    text = b'{"model":"m","rows":[%b]}' % rows
    found, expected = typed(text), ordinary(text)
    assert found is not None
    assert expected is not None
    assert_same(found, expected)


@pytest.mark.parametrize(
    "text",
    [
        body({**ROW, "other": 1}),
        body({name: value for name, value in ROW.items() if name != "count"}),
        body(ROW)[:-1] + b',"other":1}',
        body(ROW) + b"x",
        body(ROW).replace(b'"count":3', b'"count":4,"count":3'),
        body(ROW).replace(b'"count":3', b'"count" :4,"count":3'),
        body(ROW).replace(b'"count":3', b'"count":4,"c\\u006funt":3'),
        body(ROW).replace(b'"weight":null', b'"count":4'),
        body(*[ROW] * 30).replace(b'"weight":null', b'"count":4', 1),
        body(ROW, ROW)
        .replace(b'"weight":null', b'"weight":null,"weight":null', 1)
        .replace(b'"kind":null,', b"", 1),
        b'{"model":"m",' + body(ROW)[1:],
        b'{"rows":[],' + body(ROW)[1:],
        b"[]",
        b'{"model":"m"}',
        b"\xff",
        b"",
    ],
)
def test_anything_else_is_left_to_the_ordinary_path(text: bytes) -> None:
    assert TYPED.decode(text, 0, len(text)) is None


def test_wide_tables_and_large_bodies_are_left_to_json_objects() -> None:
    wide = Schema([Feature(name=f"x{place}", type="number") for place in range(257)])
    assert TypedRows.takes(SCHEMA, 1000)
    assert not TypedRows.takes(wide, 1000)
    assert not TypedRows.takes(SCHEMA, 300_000)


def test_numbers_of_many_rows_are_finite_or_refused() -> None:
    rows = [{**ROW, "amount": 3e38} for _ in range(40)]
    found = typed(body(*rows))  # the sum of squares is infinite, no number is
    assert found is not None
    assert np.isfinite(found.feeds["amount"]).all()
    assert typed(body(*rows, {**ROW, "weight": 1e39})) is None
