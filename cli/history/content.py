"""Checked rows of a file on disk, with what identifies their content.

The file is read once: its valid rows go to a temporary Arrow file, so that what was checked is what is sent. A digest of all of
them names the import: the same rows give the same name in any format. Each row has an id made of its content too. Rows with the
same content are told apart by their number among these.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass, field
from hashlib import blake2b, sha256
from pathlib import Path
from types import TracebackType
from typing import Any, Self

import numpy as np
import orjson
import pyarrow as pa
import pyarrow.compute as pc

from cli.history.raw_rows import IDENTITY, RawRows, Refused
from cli.history.validation import HAS_OUTCOME, OBSERVED
from shared.contracts.lake_schema import FEATURE_PREFIX, KEY, LABEL, VALUE, VALUES
from shared.contracts.prediction_id import CONTENT_BYTES, HOUR_SECONDS, content_id

_HOUR_MICROS = 1_000_000 * HOUR_SECONDS
_COMPRESSED = pa.ipc.IpcWriteOptions(compression="zstd")

Check = Callable[[RawRows], tuple[pa.Table, list[Refused]]]


@dataclass
class CheckedFile:
    """The valid rows of a file, in a temporary file at `path`. `digest` names them; `refused`: at most `kept` of the others."""

    path: Path
    kept: int = 1000
    rows: int = 0
    outcomes: int = 0
    refused_rows: int = 0
    refused: list[Refused] = field(default_factory=list)
    digest: str = ""
    _repeated: frozenset[int] = frozenset()

    def read(
        self,
        file: Iterable[RawRows],
        check: Check,
        *,
        on_rows: Callable[[int], None] = lambda _: None,
        on_refused: Callable[[Refused], None] = lambda _: None,
    ) -> Self:
        """Check every row of the file; `on_refused` gets each row that is not valid."""
        digest, contents = sha256(), []
        with _Writer(self.path) as writer:
            for raw in file:
                table, refused = check(raw)
                for one in refused:
                    on_refused(one)
                self.refused_rows += len(refused)
                self.refused += refused[: max(0, self.kept - len(self.refused))]
                if table.num_rows:
                    found = contents_of(table)
                    digest.update(b"".join(found))
                    digest.update(_outcomes_text(table))
                    contents.append(
                        np.frombuffer(b"".join(found), f"V{CONTENT_BYTES}").astype("V8").view(np.int64)
                    )
                    self.rows += table.num_rows
                    self.outcomes += int(pc.sum(table[HAS_OUTCOME]).as_py() or 0)
                    writer.write(table)
                on_rows(len(raw.lines) + len(raw.refused))
        self.digest = digest.hexdigest()
        if contents:
            values, counts = np.unique(np.concatenate(contents), return_counts=True)
            self._repeated = frozenset(values[counts > 1].tolist())
        return self

    def batches(self) -> Iterator[pa.Table]:
        """The rows with the column `prediction_id`, in the order of the file."""
        if not self.rows:
            return
        seen: Counter[bytes] = Counter()
        with pa.OSFile(str(self.path)) as source, pa.ipc.open_stream(source) as stream:
            for batch in stream:
                table = pa.Table.from_batches([batch])
                hours = table["event_time"].cast(pa.int64()).to_numpy() // _HOUR_MICROS
                ids = [
                    content_id(int(hour), self._numbered(content, seen))
                    for hour, content in zip(hours, contents_of(table), strict=True)
                ]
                place = table.schema.get_field_index(IDENTITY)
                yield table.set_column(place, "prediction_id", pa.array(ids, pa.string()))

    def _numbered(self, content: bytes, seen: Counter[bytes]) -> bytes:
        """The content of a row; of a repeated one with its number."""
        if int.from_bytes(content[:8], "little", signed=True) not in self._repeated:
            return content
        number = seen[content]
        seen[content] += 1
        if number == 0:
            return content
        return blake2b(content + number.to_bytes(8, "little"), digest_size=CONTENT_BYTES).digest()


def contents_of(table: pa.Table) -> list[bytes]:
    """The digest of each row: its time, its key, what identifies it, and its features by name without those that are missing."""
    names = sorted(name for name in table.column_names if name.startswith(FEATURE_PREFIX))
    columns = [_plain(table[name]) for name in ("event_time", KEY, IDENTITY, *names)]
    digests = []
    for moment, key, identity, *values in zip(*columns, strict=True):
        features = [[name, value] for name, value in zip(names, values, strict=True) if value is not None]
        text = orjson.dumps([moment, key, identity, features])
        digests.append(blake2b(text, digest_size=CONTENT_BYTES).digest())
    return digests


def _plain(column: pa.ChunkedArray) -> list[Any]:
    return list((column.cast(pa.int64()) if pa.types.is_timestamp(column.type) else column).to_pylist())


def _outcomes_text(table: pa.Table) -> bytes:
    names = [name for name in (VALUE, LABEL, VALUES) if name in table.column_names]
    columns = [_plain(table[name]) for name in (HAS_OUTCOME, OBSERVED, *names)]
    return orjson.dumps(list(zip(*columns, strict=True)))


class _Writer:
    """An Arrow stream of tables that share their schema."""

    def __init__(self, path: Path) -> None:
        self._file = pa.OSFile(str(path), "wb")
        self._stream: pa.ipc.RecordBatchStreamWriter | None = None

    def __enter__(self) -> Self:
        return self

    def write(self, table: pa.Table) -> None:
        table = table.combine_chunks()
        if self._stream is None:
            self._stream = pa.ipc.new_stream(self._file, table.schema, options=_COMPRESSED)
        for batch in table.to_batches():
            self._stream.write_batch(batch)

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if self._stream is not None:
            self._stream.close()
        self._file.close()
