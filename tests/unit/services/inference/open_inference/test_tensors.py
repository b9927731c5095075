"""Tensors of the JSON head."""

from __future__ import annotations

from typing import Any

import pytest

from services.inference.open_inference.tensors import read_inputs
from shared.errors import InvalidRequest


def values(shape: list[int], data: Any, **more: Any) -> Any:
    tensor = {"name": "x", "datatype": "FP32", "shape": shape, "data": data, **more}
    return read_inputs([tensor], memoryview(b""))["x"].values


@pytest.mark.parametrize(
    ("shape", "data"),
    [
        ([4], [1, 2, 3, 4]),
        ([2, 2], [1, 2, 3, 4]),
        ([2, 2], [[1, 2], [3, 4]]),
        ([1, 2, 2], [[[1, 2], [3, 4]]]),
        ([4, 1], [[1], [2], [3], [4]]),
    ],
)
def test_data_is_flat_or_nested_like_its_shape(shape: list[int], data: Any) -> None:
    assert values(shape, data) == [1, 2, 3, 4]


# Three rows of two are as many numbers as two rows of three, and other rows.
@pytest.mark.parametrize(
    ("shape", "data"),
    [
        ([2, 3], [[1, 2], [3, 4], [5, 6]]),
        ([2, 2], [[1, 2], [3, 4], [5, 6]]),
        ([2, 2], [[1, 2, 3], [4]]),
        ([2], [[1], [2]]),
        ([2, 1], [[[1]], [[2]]]),
        ([2, 1], [[1], 2]),
    ],
)
def test_data_nested_otherwise_is_refused(shape: list[int], data: Any) -> None:
    with pytest.raises(InvalidRequest) as refused:
        values(shape, data)
    assert (refused.value.status, refused.value.field) == (400, "x")


def test_shared_memory_is_refused() -> None:
    with pytest.raises(InvalidRequest, match=r"shared_memory_region. of input x is not supported"):
        values([1], [1], parameters={"shared_memory_region": "r", "shared_memory_byte_size": 4})


def test_data_beside_bytes_is_refused() -> None:
    with pytest.raises(InvalidRequest, match="binary_data_size"):
        values([0], [], parameters={"binary_data_size": 0})
    assert values([0], None, parameters={"binary_data_size": 0}).tolist() == []
