"""Chunks: encoded rows of one stream, small enough for one Kafka record. Pure."""

from __future__ import annotations

from collections.abc import Iterator

import pyarrow as pa

from shared.messaging.arrow import MAX_DECODED_BYTES, to_bytes


class Chunk:
    """Rows of one stream and the bytes they are sent as."""

    def __init__(self, batch: pa.RecordBatch, traceparent: str) -> None:
        self.batch = batch
        self.traceparent = traceparent
        self.value = to_bytes(batch)

    @property
    def rows(self) -> int:
        """Number of rows."""
        return int(self.batch.num_rows)

    @property
    def sequence(self) -> int:
        """Sequence of the first row."""
        return int(self.batch["sequence"][0].as_py())

    def split(self) -> tuple[Chunk, Chunk]:
        """Two chunks with half of the rows each, in order."""
        middle = self.rows // 2
        return (
            Chunk(self.batch.slice(0, middle), self.traceparent),
            Chunk(self.batch.slice(middle), self.traceparent),
        )

    def split_to_fit(self, maximum_bytes: int) -> Iterator[Chunk]:
        """Chunks of at most `maximum_bytes`, in order, split on demand; one row alone may be larger.

        A record that compresses well is split too where the sink would not decompress it.
        """
        fits = len(self.value) <= maximum_bytes and self.batch.nbytes <= MAX_DECODED_BYTES
        if fits or self.rows == 1:
            yield self
            return
        for half in self.split():
            yield from half.split_to_fit(maximum_bytes)
