from __future__ import annotations

import numpy as np
import orjson
import pytest

from services.inference.fast_path.number_array import NumberArrays, read_binary

pytestmark = pytest.mark.filterwarnings("ignore:.*encountered in (cast|dot):RuntimeWarning")
NUMBERS = NumberArrays()


@pytest.mark.parametrize("seed", range(5))
def test_numbers_are_those_of_the_ordinary_path(seed: int) -> None:
    random = np.random.default_rng(seed)
    values = [
        *(random.normal(size=20) * 10.0 ** random.integers(-30, 10, 20)).tolist(),
        0.0,
        -0.0,
        7,
        -3,
        2**45,
    ]
    text = orjson.dumps(values)
    read = NUMBERS.read(text, len(values))
    assert read is not None
    assert read.tobytes() == np.array(orjson.loads(text)).astype(np.float32).tobytes()


@pytest.mark.parametrize(
    "text",
    [
        b"[1,2]",
        b"[1,2,3,4]",
        b"[]",
        b"[1,null,3]",
        b"[1,true,3]",
        b'[1,"2",3]',
        b"[1,[2]",
        b"[1,2,1e20]",
        b"[1,2,9007199254740993]",
        b"[1,2,18446744073709551616]",
        b"[1,2,1e400]",
        b"[1,2,NaN]",
        b"[1,2,3",
        b"[1,2,3,]",
        b"{}",
        b"123",
        b'"abc"',
        b"",
        b"\xff",
    ],
)
def test_anything_unclear_is_left_to_the_ordinary_path(text: bytes) -> None:
    assert NUMBERS.read(text, 3) is None
    assert NUMBERS.read(b"[1,2,3]", 3) is not None  # and the parser goes on


@pytest.mark.parametrize("place", [0, 8191, 8192, 19999])
@pytest.mark.parametrize("value", [np.nan, np.inf, -np.inf])
def test_binary_numbers_that_are_not_finite_are_found(place: int, value: float) -> None:
    array = np.ones(20000, np.float32)
    assert read_binary(b"x" + array.tobytes(), 1, 20000) is not None
    array[place] = value
    assert read_binary(b"x" + array.tobytes(), 1, 20000) is None


@pytest.mark.parametrize("of", [bytes, bytearray])
def test_rows_between_separators_are_read(of: type[bytes | bytearray]) -> None:
    rows = np.random.default_rng(3).normal(size=(7, 5)).round(3)
    text = of(b"[%b]" % b']},{"x":['.join(orjson.dumps(row)[1:-1] for row in rows.tolist()))
    read = NUMBERS.read_separated(text, b']},{"x":[', 5)
    assert read is not None
    assert read.tobytes() == rows.astype(np.float32).tobytes()
    assert read.flags.c_contiguous
    assert NUMBERS.read_separated(text, b']},{"x":[', 7) is None
