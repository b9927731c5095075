"""Elements of binary tensors: little-endian numbers, and BYTES elements after their length in four bytes. Pure."""

from __future__ import annotations

import struct
from typing import Any

import numpy as np
import numpy.typing as npt

from services.inference.open_inference.fields import malformed

Array = npt.NDArray[Any]

_DTYPES = {
    "BOOL": "u1",
    "UINT8": "u1",
    "UINT16": "<u2",
    "UINT32": "<u4",
    "UINT64": "<u8",
    "INT8": "i1",
    "INT16": "<i2",
    "INT32": "<i4",
    "INT64": "<i8",
    "FP16": "<f2",
    "BF16": "<u2",
    "FP32": "<f4",
    "FP64": "<f8",
}
DATATYPES = (*_DTYPES, "BYTES")


def read_elements(name: str, datatype: str, chunk: memoryview, count: int) -> Array | list[str]:
    """`count` elements of an input: a flat array, or a list of strings for BYTES. Raises InvalidRequest.

    BF16, the upper half of a float32, becomes float32.
    """
    if datatype == "BYTES":
        return _read_strings(name, chunk, count)
    dtype = np.dtype(_DTYPES[datatype])
    if len(chunk) != count * dtype.itemsize:
        raise malformed(
            name, f"has {len(chunk)} bytes", f"{count * dtype.itemsize}, as its shape and datatype say"
        )
    array = np.frombuffer(chunk, dtype)
    if datatype == "BOOL":
        if array.size and array.max() > 1:
            raise malformed(name, f"has a byte {array.max()}, which is not a BOOL", "bytes that are 0 or 1")
        return array.view(np.bool_)
    if datatype == "BF16":
        return (array.astype(np.uint32) << 16).view(np.float32)
    return array


def _read_strings(name: str, chunk: memoryview, count: int) -> list[str]:
    values: list[str] = []
    offset = 0
    try:
        while offset < len(chunk) and len(values) <= count:
            (length,) = struct.unpack_from("<I", chunk, offset)
            offset += 4
            if offset + length > len(chunk):
                raise ValueError
            values.append(str(chunk[offset : offset + length], "utf-8"))
            offset += length
    except (struct.error, ValueError):
        raise malformed(
            name, "has BYTES elements that cannot be read", "UTF-8, each after its length in four bytes"
        ) from None
    if len(values) != count:
        raise malformed(name, f"has {len(values)} elements", f"{count}, as its shape says")
    return values


def write_elements(datatype: str, values: Array | list[str]) -> bytes:
    """The elements of an output, row-major."""
    if isinstance(values, list):
        return b"".join(struct.pack("<I", len(raw)) + raw for raw in (value.encode() for value in values))
    return np.ascontiguousarray(values, _DTYPES[datatype]).tobytes()
