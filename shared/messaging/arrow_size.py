"""How many bytes an Arrow IPC stream will take once it is decompressed, read from what it declares.

Arrow allocates what a compressed buffer declares before it decompresses, so this is what a stream can cost: 57 KiB may declare
gigabytes. Format: https://arrow.apache.org/docs/format/Columnar.html ("Serialization and Interprocess Communication"), and for
the metadata https://flatbuffers.dev/internals. pyarrow shows neither the sizes nor the metadata's fields.
"""

from __future__ import annotations

import struct

import pyarrow as pa

# Indices of fields in Arrow's Message.fbs.
_HEADER_TYPE, _HEADER = 1, 2
_DICTIONARY_BATCH, _RECORD_BATCH = 2, 3
_DICTIONARY_DATA = 1
_BUFFERS, _COMPRESSION = 2, 3


def decoded_bytes(stream: bytes) -> int:
    """Bytes of all buffers in the stream, decompressed. Raises ValueError, pyarrow.ArrowException where it is malformed."""
    total = 0
    for message in pa.MessageReader.open_stream(pa.py_buffer(stream)):
        try:
            total += _message_bytes(memoryview(message.metadata), memoryview(message.body or b""))
        except (struct.error, IndexError) as error:
            raise ValueError(f"malformed metadata: {error}") from error
    return total


def _message_bytes(metadata: memoryview, body: memoryview) -> int:
    root = _Table(metadata, _offset(metadata, 0))
    kind = root.byte(_HEADER_TYPE)
    batch = root.table(_HEADER)
    if batch is not None and kind == _DICTIONARY_BATCH:
        batch = batch.table(_DICTIONARY_DATA)
    elif kind != _RECORD_BATCH:
        return 0  # a schema
    if batch is None:
        return 0
    return sum(
        _buffer_bytes(body, start, length, compressed=batch.has(_COMPRESSION))
        for start, length in batch.pairs(_BUFFERS)
    )


def _buffer_bytes(body: memoryview, start: int, length: int, *, compressed: bool) -> int:
    """A compressed buffer begins with its decompressed length; -1 if it is stored as it is."""
    if not compressed or length == 0:
        return length
    (declared,) = struct.unpack_from("<q", body, start)
    return length if declared < 0 else int(declared)


class _Table:
    """A table of a flatbuffer: fields by index, absent ones have no offset."""

    def __init__(self, data: memoryview, position: int) -> None:
        self._data = data
        self._position = position
        (distance,) = struct.unpack_from("<i", data, position)
        self._fields = position - distance
        (self._size,) = struct.unpack_from("<H", data, self._fields)

    def has(self, index: int) -> bool:
        return self._place(index) != 0

    def byte(self, index: int) -> int:
        place = self._place(index)
        return self._data[place] if place else 0

    def table(self, index: int) -> _Table | None:
        place = self._place(index)
        return _Table(self._data, _offset(self._data, place)) if place else None

    def pairs(self, index: int) -> list[tuple[int, int]]:
        """A vector of structs of two 64-bit integers."""
        place = self._place(index)
        if not place:
            return []
        vector = _offset(self._data, place)
        (count,) = struct.unpack_from("<I", self._data, vector)
        if count * 16 > len(self._data):
            raise ValueError(f"malformed metadata: {count} buffers")
        numbers = struct.unpack_from(f"<{2 * count}q", self._data, vector + 4)
        return list(zip(numbers[::2], numbers[1::2], strict=True))

    def _place(self, index: int) -> int:
        """Where the field's value is; 0 if it is absent."""
        entry = 4 + 2 * index
        if entry >= self._size:
            return 0
        (distance,) = struct.unpack_from("<H", self._data, self._fields + entry)
        return self._position + distance if distance else 0


def _offset(data: memoryview, place: int) -> int:
    (distance,) = struct.unpack_from("<I", data, place)
    return place + int(distance)
