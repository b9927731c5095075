"""Elements of binary tensors."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from services.inference.open_inference.elements import read_elements, write_elements
from shared.errors import InvalidRequest

NUMBERS = {
    "BOOL": "?",
    "UINT8": "u1",
    "UINT16": "<u2",
    "UINT32": "<u4",
    "UINT64": "<u8",
    "INT8": "i1",
    "INT16": "<i2",
    "INT32": "<i4",
    "INT64": "<i8",
    "FP16": "<f2",
    "FP32": "<f4",
    "FP64": "<f8",
}


def read(datatype: str, raw: bytes, count: int) -> Any:
    return read_elements("x", datatype, memoryview(raw), count)


@pytest.mark.parametrize(("datatype", "dtype"), NUMBERS.items())
def test_numbers_survive_writing_and_reading(datatype: str, dtype: str) -> None:
    array = np.array([0, 1, 1], dtype)
    raw = write_elements(datatype, array)
    assert raw == array.tobytes()
    assert read(datatype, raw, 3).tolist() == array.tolist()


def test_bf16_is_the_upper_half_of_a_float32() -> None:
    halves = np.array([1.5, -2.0, 3.389531389251535e38], "<f4").tobytes()
    raw = b"".join(halves[place + 2 : place + 4] for place in (0, 4, 8))
    values = read("BF16", raw, 3)
    assert values.dtype == np.float32
    assert values.tolist() == [1.5, -2.0, 3.3895313892515355e38]


def test_byte_that_is_no_boolean_is_refused() -> None:
    assert read("BOOL", b"\x00\x01", 2).tolist() == [False, True]
    with pytest.raises(InvalidRequest, match="has a byte 2, which is not a BOOL"):
        read("BOOL", b"\x00\x02", 2)


def test_texts_survive_writing_and_reading() -> None:
    raw = write_elements("BYTES", ["", "grün"])
    assert raw == b"\0\0\0\0\x05\0\0\0gr\xc3\xbcn"
    assert read("BYTES", raw, 2) == ["", "grün"]


@pytest.mark.parametrize(("raw", "count"), [(b"\1\0\0\0", 1), (b"\1\0\0", 1), (b"\1\0\0\0\xff", 1), (b"", 1)])
def test_truncated_texts_are_refused(raw: bytes, count: int) -> None:
    with pytest.raises(InvalidRequest) as refused:
        read("BYTES", raw, count)
    assert (refused.value.status, refused.value.field) == (400, "x")
