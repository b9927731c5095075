"""Sizes that Arrow streams declare, held against what pyarrow makes of them."""

from __future__ import annotations

import struct
from typing import Any

import numpy as np
import pyarrow as pa
import pytest

from shared.messaging.arrow_size import decoded_bytes

TABLES: dict[str, pa.RecordBatch] = {
    "numbers": pa.record_batch({"x": np.zeros(100_000), "y": np.arange(100_000)}),
    "texts": pa.record_batch({"x": ["a" * 100, None, ""] * 1000}),
    "lists": pa.record_batch({"x": pa.array([[1.0, 2.0], None, []] * 500, pa.list_(pa.float32()))}),
    "dictionary": pa.record_batch({"x": pa.array(["a" * 50, "b"] * 1000).dictionary_encode()}),
    "nothing": pa.record_batch({"x": pa.nulls(10)}),
    "short": pa.record_batch({"x": [1]}),
}


def stream_of(batch: pa.RecordBatch, compression: str | None) -> bytes:
    sink = pa.BufferOutputStream()
    options = pa.ipc.IpcWriteOptions(compression=compression)
    with pa.ipc.new_stream(sink, batch.schema, options=options) as stream:
        stream.write_batch(batch)
    return bytes(sink.getvalue())


def buffer_bytes(array: pa.Array) -> int:
    total = sum(buffer.size for buffer in array.buffers() if buffer is not None)
    if isinstance(array, pa.DictionaryArray):
        total += buffer_bytes(array.dictionary)
    return int(total)


@pytest.mark.parametrize("compression", [None, "zstd", "lz4"])
@pytest.mark.parametrize("name", TABLES)
def test_declared_size_is_the_size_of_all_buffers(name: str, compression: str | None) -> None:
    stream = stream_of(TABLES[name], compression)
    with pa.ipc.open_stream(stream) as opened:
        [read] = list(opened)
    expected = sum(buffer_bytes(column) for column in read.columns)
    # Without compression every buffer is padded to 8 bytes.
    assert expected <= decoded_bytes(stream) <= expected + 8 * 10


def test_bomb_is_measured_without_decompressing_it() -> None:
    batch = pa.record_batch({"x": np.zeros(50_000_000)})
    stream = stream_of(batch, "zstd")
    assert len(stream) < 60_000
    before = pa.total_allocated_bytes()
    assert decoded_bytes(stream) == 400_000_000
    assert pa.total_allocated_bytes() == before


def test_several_batches_count_together() -> None:
    batch = TABLES["numbers"]
    sink = pa.BufferOutputStream()
    with pa.ipc.new_stream(sink, batch.schema) as stream:
        for _ in range(3):
            stream.write_batch(batch)
    assert decoded_bytes(bytes(sink.getvalue())) == 3 * 1_600_000


def test_malformed_streams_raise_and_nothing_else() -> None:
    random = np.random.default_rng(7)
    good = stream_of(TABLES["texts"], "zstd")
    for _ in range(2000):
        bad = bytearray(good)
        for place in random.integers(0, len(bad), 3):
            bad[place] = random.integers(0, 256)
        assert_measured_or_refused(bytes(bad[: random.integers(0, len(bad) + 1)]))
        assert_measured_or_refused(bytes(bad))


def assert_measured_or_refused(stream: bytes) -> None:
    try:
        assert isinstance(decoded_bytes(stream), int)
    except (pa.ArrowException, ValueError, OSError):
        pass


def test_declared_length_is_believed_only_where_it_is_compressed() -> None:
    values: Any = np.full(1000, struct.unpack("<d", struct.pack("<q", 1 << 40))[0])
    assert decoded_bytes(stream_of(pa.record_batch({"x": values}), None)) == 8000
