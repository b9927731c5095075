"""`/predict` by the fast path and by the ordinary path: the same answers and the same log, also for hostile bodies."""

from __future__ import annotations

import json
import random
from collections.abc import Iterator
from typing import Any

import pytest

from tests.fakes.path_pair import Pair, mutated
from tests.fakes.socket_server import request
from tests.fakes.toy_model import ROW

pytestmark = pytest.mark.filterwarnings("ignore:.*encountered in (cast|dot|reduce):RuntimeWarning")


@pytest.fixture(scope="module")
def pair(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Pair]:
    pair = Pair(tmp_path_factory.mktemp("home"))
    yield pair
    pair.stop()


def text(document: Any) -> bytes:
    return json.dumps(document, separators=(",", ":")).encode()


PREDICT_BODIES = {
    "plain": text({"model": "toy", "rows": [ROW, {**ROW, "amount": None}]}),
    "no-model": text({"rows": [ROW]}),
    "missing-nullable": text({"model": "toy", "rows": [{k: v for k, v in ROW.items() if k != "amount"}]}),
    "missing": text({"model": "toy", "rows": [{"amount": 1}]}),
    "unknown-feature": text({"model": "toy", "rows": [{**ROW, "x": 1}]}),
    "unknown-category": text({"model": "toy", "rows": [ROW, {**ROW, "colour": "blue"}]}),
    "float-for-integer": text({"model": "toy", "rows": [{**ROW, "count": 3.0}]}),
    "half-for-integer": text({"model": "toy", "rows": [{**ROW, "count": 3.5}]}),
    "large-integer": text({"model": "toy", "rows": [{**ROW, "count": 2**63}]}),
    "number-for-boolean": text({"model": "toy", "rows": [{**ROW, "member": 1}]}),
    "too-large": text({"model": "toy", "rows": [{**ROW, "amount": 1e39}]}),
    "tensor": text({"model": "sums", "rows": [{"x": [1, 2, 3, 4.5]}, {"x": [1, 2, 3, 4]}]}),
    "tensor-ragged": text({"model": "sums", "rows": [{"x": [1, 2, 3]}]}),
    "tensor-true": text({"model": "sums", "rows": [{"x": [1, 2, True, 3]}]}),
    "tensor-large": text({"model": "sums", "rows": [{"x": [2**63, 2, 3, 4]}]}),
    "classes": text({"model": "animals", "rows": [{"line": 0}, {"line": 2}]}),
    "embedding": text({"model": "vectors", "rows": [{"line": 1}, {"line": 2}]}),
    "unknown-model": text({"model": "nothing", "rows": [ROW]}),
    "model-number": text({"model": 1, "rows": [ROW]}),
    "no-rows": text({"model": "toy", "rows": []}),
    "too-many-rows": text({"model": "sums", "rows": [{"x": [1, 2, 3, 4]}] * 51}),
    "row-number": text({"model": "toy", "rows": [1]}),
    "rows-object": text({"model": "toy", "rows": {}}),
    "event-time": text({"model": "toy", "rows": [ROW], "event_time": "2013-01-01T05:00:00Z"}),
    "event-time-wrong": text({"model": "toy", "rows": [ROW], "event_time": 5}),
    "unknown-key": text({"model": "toy", "rows": [ROW], "x": 1}),
    "rows-twice": b'{"rows":[],"rows":[%b],"model":"toy"}' % text(ROW),
    "array": b"[]",
    "broken": b'{"model": "toy", "rows": [',
}

COLUMNS = text({"model": "toy", "rows": [ROW, {**ROW, "amount": 7}]})
TENSORS = text({"model": "sums", "rows": [{"x": [1, 2.5, 3, -4]}, {"x": [5, 6, 7, 8]}, {"x": [9, 1, 2, 3]}]})
TENSOR = text({"model": "sums", "rows": [{"x": [1, 2.5, 3, -4]}]})

# Columns in every form that JSON allows and in many that it does not.
COLUMN_BODIES = {
    "plain": COLUMNS,
    "spaced": json.dumps({"model": "toy", "rows": [ROW] * 3}, indent=1).encode(),
    "one": text({"model": "toy", "rows": [ROW]}),
    "most-rows": text({"model": "toy", "rows": [ROW] * 50}),
    "too-many-rows": text({"model": "toy", "rows": [ROW] * 51}),
    "other-order": text({"model": "toy", "rows": [dict(reversed(ROW.items())), ROW]}),
    "model-last": text({"rows": [ROW], "model": "toy"}),
    "model-null": text({"model": None, "rows": [ROW]}),
    "model-between": b'{"event_time":"2013-01-01T05:00:00Z","model":"toy","rows":[%b]}' % text(ROW),
    "model-far": b'{"rows":[%b],"model":"toy"%b}' % (text(ROW), b" " * 300),
    "model-twice": COLUMNS.replace(b'"model":"toy"', b'"model":"sums","model":"toy"'),
    "model-twice-other-last": COLUMNS.replace(b'"model":"toy"', b'"model":"toy","model":"sums"'),
    "model-escaped": COLUMNS.replace(b'"toy"', b'"t\\u006fy"'),
    "model-key-escaped": COLUMNS.replace(b'"model"', b'"m\\u006fdel"'),
    "model-not-utf8": COLUMNS.replace(b'"toy"', b'"to\xff"'),
    "event-time-null": text({"model": "toy", "rows": [ROW], "event_time": None}),
    "event-time-text": text({"model": "toy", "rows": [ROW], "event_time": "yesterday"}),
    "rows-null": text({"model": "toy", "rows": None}),
    "rows-twice-first-wrong": COLUMNS.replace(b'"rows":', b'"rows":[1],"rows":'),
    "row-null": COLUMNS.replace(b'"rows":[', b'"rows":[null,'),
    "row-list": COLUMNS.replace(b'"rows":[', b'"rows":[[1],'),
    "key-twice": COLUMNS.replace(b'{"amount"', b'{"count":9,"amount"'),
    "key-twice-first-wrong": COLUMNS.replace(b'{"amount"', b'{"count":"x","amount"'),
    "key-escaped": COLUMNS.replace(b'"count"', b'"c\\u006funt"'),
    "key-not-utf8": COLUMNS.replace(b'"count"', b'"coun\xff"'),
    "key-longer": COLUMNS.replace(b'"count"', b'"counts"'),
    "key-control": COLUMNS.replace(b'"count"', b'"count\x00"'),
    "key-not-quoted": COLUMNS.replace(b'"count"', b"count"),
    "nested-list": COLUMNS.replace(b":2,", b":[2],"),
    "nested-object": COLUMNS.replace(b":2,", b':{"count":2},'),
    "comma-last": COLUMNS.replace(b"}]", b",}]"),
    "comma-after-rows": COLUMNS.replace(b"}]", b"},]"),
    "comma-missing": COLUMNS.replace(b"},{", b"}{"),
    "colon-missing": COLUMNS.replace(b'"count":', b'"count"'),
    "cut": COLUMNS[:-9],
    "trailing": COLUMNS + b"}",
    "trailing-space": COLUMNS + b"\r\n\t ",
    "trailing-zero": COLUMNS + b"\x00",
    "byte-order-mark": b"\xef\xbb\xbf" + COLUMNS,
    "utf-16": COLUMNS.decode().encode("utf-16"),
    "other-space": COLUMNS.replace(b",", b",\x0b"),
    "no-break-space": COLUMNS.replace(b",", b",\xc2\xa0"),
    **{
        f"amount {value.decode()}": COLUMNS.replace(b":1.5", b":" + value)
        for value in (
            *(b"0", b"-0", b"-0.0", b"3", b"-7E2", b"1e-400", b"5e-324", b"1e400", b"1e39", b"3.4e38"),
            *(b"9007199254740993", b"18446744073709551616", b"1" * 60, b"NaN", b"-Infinity", b"01", b"1."),
            *(b".5", b"+1", b"1e", b"0x1", b"null", b"true", b'"1"', b"", b"0.1234567890123456789012345"),
        )
    },
    **{
        f"count {value.decode()}": COLUMNS.replace(b":2,", b":" + value + b",")
        for value in (
            *(b"-0", b"3.0", b"3.5", b"1e3", b"9223372036854775807", b"9223372036854775808", b"-1"),
            *(b"18446744073709551616", b"1e19", b"null", b"true", b'"2"'),
        )
    },
    **{
        f"member {value.decode()}": COLUMNS.replace(b":true", b":" + value)
        for value in (b"false", b"1", b"0", b"null", b'"true"', b"True", b"tru")
    },
    **{
        f"colour {value!r}": COLUMNS.replace(b'"red"', value)
        for value in (
            *(b'"green"', b'"blue"', b'"Red"', b'""', b"null", b"1", b'"\\u0072ed"', b'"red\\u0000"'),
            *(b'"re\x01d"', b'"re\xff"', b'"\\ud800"', b'"\\x"', b'"red', b"'red'", b'["red"]'),
        )
    },
}

# Sent after TENSOR or TENSORS, whose surroundings are known then.
TENSOR_BODIES = {
    "plain": TENSORS,
    "one": TENSOR,
    "two": text({"model": "sums", "rows": [{"x": [1, 2, 3, 4]}] * 2}),
    "most-rows": text({"model": "sums", "rows": [{"x": [0.5, 2, 3, 4]}] * 50}),
    "too-many-rows": text({"model": "sums", "rows": [{"x": [0.5, 2, 3, 4]}] * 51}),
    "row-short": TENSORS.replace(b"[5,", b"["),
    "row-long": TENSORS.replace(b"[5,", b"[5,5,"),
    "rows-shifted": TENSORS.replace(b"[5,", b"[").replace(b"[9,", b"[9,9,"),
    "last-row-short": TENSORS.replace(b"[9,", b"["),
    "row-empty": TENSORS.replace(b"[5,6,7,8]", b"[]"),
    "one-row-of-two": TENSOR.replace(b"-4", b"-4,5,6,7,8"),
    "mark": TENSORS.replace(b"[5,", b"[1e16,"),
    "mark-for-rows": TENSOR.replace(b"-4", b"-4,1e16,5,6,7,8"),
    "mark-in-long-row": TENSORS.replace(b"-4", b"-4,1e16").replace(b"[5,", b"["),
    "marks-for-two-rows": TENSORS.replace(b"-4]},", b"-4,1e16,5,6,7,8,1e16,9,9,9,9]},"),
    "mark-whole": TENSORS.replace(b"[5,", b"[10000000000000000,"),
    "gap-spaced": TENSORS.replace(b"8]},", b"8]} ,"),
    "gap-escaped": TENSORS.replace(b'-4]},{"x"', b'-4]},{"\\u0078"'),
    "all-escaped": TENSORS.replace(b'"x"', b'"\\u0078"'),
    "gap-other-key": TENSORS.replace(b'-4]},{"x"', b'-4]},{"y"'),
    "gap-extra-key": TENSORS.replace(b'-4]},{"x"', b'-4],"y":1},{"x"'),
    "all-extra-keys": TENSORS.replace(b"]}", b'],"y":1}'),
    "key-twice": TENSORS.replace(b"[5,", b'[1,1,1,1],"x":[5,'),
    "all-keys-twice": TENSORS.replace(b'{"x"', b'{"x":[1,1,1,1],"x"'),
    "rows-twice": TENSORS.replace(b'"rows":[', b'"rows":[],"rows":['),
    "rows-again": TENSORS[:-1] + b',"rows":[]}',
    "gap-no-object": TENSORS.replace(b'-4]},{"x":[', b"-4],["),
    "nested": TENSORS.replace(b"[5,6,", b"[[5,6],"),
    "nested-whole": TENSOR.replace(b"[1,2.5,3,-4]", b"[[1,2.5,3,-4]]"),
    "bracket-open": TENSORS.replace(b"[5,", b"[[5,"),
    "bracket-closed": TENSORS.replace(b"8]", b"8]]"),
    "text": TENSORS.replace(b"[5,", b'["5",'),
    "text-gap": TENSORS.replace(b"[5,", b'["]},{",'),
    "object": TENSORS.replace(b"[5,", b'[{"x":[5]},'),
    "comma-last": TENSORS.replace(b"8]", b"8,]"),
    "comma-first": TENSORS.replace(b"[5,", b"[,5,"),
    "comma-missing": TENSORS.replace(b"6,7", b"6 7"),
    "spaces": TENSORS.replace(b",7,", b" , \r\n\t7,"),
    "other-space": TENSORS.replace(b",7,", b",\x0b7,"),
    "cut": TENSORS[:-6],
    "cut-in-gap": TENSORS[: TENSORS.index(b'{"x":[5')],
    "trailing": TENSORS + b"x",
    "byte-order-mark": b"\xef\xbb\xbf" + TENSORS,
    "not-utf8": TENSORS.replace(b"[5,", b"[\xff,"),
    "other-model": TENSORS.replace(b'"sums"', b'"toy"'),
    "unknown-model": TENSORS.replace(b'"sums"', b'"sumz"'),
    "model-last": b'{"rows":' + TENSORS[TENSORS.index(b"[{") : -1] + b',"model":"sums"}',
    "model-again": TENSORS[:-1] + b',"model":"toy"}',
    "event-time": TENSORS[:-1] + b',"event_time":"2013-01-01T05:00:00Z"}',
    "lists-in-the-model": b'{"rows":[{"x":[1,2,3,4]},{"x":[1,2,3,4]}],"model":"[1","model":"sums"}',
    "rows-in-the-model": b'{"model":"[[1]},{","rows":[{"x":[1,2,3,4]}],"model":"sums"}',
    "spaced": json.dumps({"model": "sums", "rows": [{"x": [1, 2, 3, 4]}] * 3}, indent=2).encode(),
    **{
        f"number {value.decode()}": TENSORS.replace(b"[5,", b"[" + value + b",")
        for value in (
            *(b"0", b"-0", b"-0.0", b"5.0", b"-7E2", b"1e-400", b"1e400", b"1e39", b"3.4e38", b"1e15"),
            *(b"9007199254740993", b"9223372036854775813", b"18446744073709551616", b"1" * 60, b"NaN"),
            *(
                b"-Infinity",
                b"05",
                b"5.",
                b".5",
                b"+5",
                b"5e",
                b"null",
                b"true",
                b"",
                b"0.1234567890123456789",
            ),
        )
    },
}


@pytest.mark.parametrize("name", PREDICT_BODIES)
def test_predict_body(pair: Pair, name: str) -> None:
    for _ in range(3):
        pair.compare([request("/predict", PREDICT_BODIES[name])], 1)


@pytest.mark.parametrize("name", COLUMN_BODIES)
def test_columns(pair: Pair, name: str) -> None:
    for _ in range(2):
        pair.compare([request("/predict", COLUMN_BODIES[name])], 1)


@pytest.mark.parametrize("name", TENSOR_BODIES)
def test_tensors(pair: Pair, name: str) -> None:
    for known in (TENSOR, TENSORS):
        pair.compare([request("/predict", known)], 1)
        for _ in range(2):
            pair.compare([request("/predict", TENSOR_BODIES[name])], 1)


@pytest.mark.parametrize("seed", range(6))
def test_random_bodies(pair: Pair, seed: int) -> None:
    chance = random.Random(2000 + seed)
    kinds = [list(one.values()) for one in (PREDICT_BODIES, COLUMN_BODIES, TENSOR_BODIES)]
    for _ in range(60):
        body = mutated(chance.choice(chance.choice(kinds)), chance)
        pair.compare([request("/predict", body)], 1)
        pair.compare([request("/predict", chance.choice((TENSOR, TENSORS)))], 1)


@pytest.mark.parametrize(
    "plain",
    [
        COLUMNS,
        TENSOR,
        TENSORS,
        *(
            COLUMN_BODIES[name]
            for name in ("spaced", "most-rows", "other-order", "model-last", "key-escaped")
        ),
        *(COLUMN_BODIES[name] for name in ("amount 3", "count 3.0", "event-time-null")),
        *(TENSOR_BODIES[name] for name in ("two", "most-rows", "gap-spaced", "model-last", "event-time")),
        PREDICT_BODIES["missing-nullable"],
        PREDICT_BODIES["classes"],
        PREDICT_BODIES["embedding"],
    ],
)
def test_fast_path_answers_what_is_plain(pair: Pair, plain: bytes) -> None:
    """The comparison would be empty if everything went the ordinary way."""
    pair.compare([request("/predict", plain)], 1)
    pair.fast.ordinary_requests.clear()
    for _ in range(2):
        (answer,) = pair.compare([request("/predict", plain)], 1)
        assert b" 200 " in answer
    assert pair.fast.ordinary_requests == []


def test_requests_of_one_iteration_do_not_touch_each_other(pair: Pair) -> None:
    """They are checked together: also when one of them turns out to be wrong, or was read in another way."""
    wrong = COLUMN_BODIES["amount 1e39"]
    asked = [COLUMNS, wrong, COLUMN_BODIES["one"], TENSORS, TENSOR_BODIES["row-short"], COLUMNS]
    for _ in range(2):
        pair.compare([b"".join(request("/predict", body) for body in asked)], len(asked))


REPEATED = {
    name: body
    for bodies in (PREDICT_BODIES, COLUMN_BODIES, TENSOR_BODIES)
    for name, body in bodies.items()
    if "twice" in name or "again" in name
} | {
    "instead-of-nullable": COLUMNS.replace(b'"amount":1.5', b'"count":9', 1),
    "spaced": COLUMNS.replace(b'"count":', b'"count" :9,"count":', 1),
    "escaped": COLUMNS.replace(b'"count":', b'"c\\u006funt":9,"count":', 1),
    "with-colons-in-a-text": COLUMNS.replace(b'"count":', b'"count":9,"count":').replace(
        b'"toy"', b'":toy:"'
    ),
    "large": text({"model": "toy", "rows": [ROW] * 40}).replace(b'"count":', b'"count":9,"count":', 1),
}


@pytest.mark.parametrize("name", REPEATED)
def test_repeated_name_is_refused(pair: Pair, name: str) -> None:
    """Whether the body around the numbers is known, or not."""
    for known in (TENSOR, TENSORS, COLUMNS):
        pair.compare([request("/predict", known)], 1)
        (answer,) = pair.compare([request("/predict", REPEATED[name])], 1)
        assert b" 400 " in answer
        assert b" twice" in answer
