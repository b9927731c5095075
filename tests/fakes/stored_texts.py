"""Searches everything below a folder for a text: the bytes of every file, and the values inside Parquet files."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq

from shared.messaging.arrow import from_bytes


def files_with(folder: Path, texts: Iterable[str]) -> list[str]:
    """Paths, relative to `folder`, of the files that contain one of the texts."""
    wanted = [text.encode() for text in texts]
    return sorted(
        str(path.relative_to(folder))
        for path in folder.rglob("*")
        if path.is_file()
        and (_holds(path.read_bytes(), wanted) or any(_holds(one, wanted) for one in _values(path)))
    )


def _holds(content: bytes, wanted: list[bytes]) -> bool:
    return any(text in content for text in wanted)


def _values(path: Path) -> Iterator[bytes]:
    """The columns of a Parquet file as bytes; of record batches in them also theirs."""
    if path.suffix != ".parquet":
        return
    table = pq.ParquetFile(path).read()
    for name in table.column_names:
        yield str(table[name].to_pylist()).encode()
        if pa.types.is_binary(table[name].type):
            for value in table[name].to_pylist():
                try:
                    yield str(from_bytes(value, columns=pa.schema([])).to_pylist()).encode()
                except ValueError:
                    yield value
