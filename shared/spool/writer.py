"""Writes the spool: every answer is appended here before it is returned.

A record survives a kill of any process at any time: the kernel has it when `append_…` returns. It is not synced to the disk, so
a power cut may lose the last seconds. To avoid that, put the spool on a device with a protected write cache.
"""

from __future__ import annotations

import os
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from threading import Lock
from typing import Any

import numpy as np
import orjson

from shared.errors import OperatorError
from shared.spool.drop_counter import DropCounter
from shared.spool.lock import lock_folder, next_epoch
from shared.spool.record import OPTIONS, Classes, Kind, frame
from shared.spool.segment import SegmentId, list_segments

_RECOUNT_SECONDS = 0.1


@dataclass(frozen=True)
class SpoolStatistics:
    """State of a spool: `bytes` on disk that are not shipped, and their maximum `bound`."""

    bytes: int
    bound: int
    appended: Mapping[tuple[Kind, str], int]
    dropped: Mapping[tuple[Kind, str], int]
    last_error: str


class SpoolWriter:
    """Writes to one locked writer folder. Thread-safe."""

    def __init__(
        self, folder: Path, lock: int, epoch: int, *, maximum_bytes: int, segment_bytes: int
    ) -> None:
        self.writer = folder.name
        self.epoch = epoch
        self._folder = folder
        self._lock_descriptor = lock
        self._bound = maximum_bytes
        # A quarter at most, so that shipping the closed segments always frees room below the bound.
        self._segment_bytes = max(1, min(segment_bytes, maximum_bytes // 4))
        self._mutex = Lock()
        self._drop_counter = DropCounter(folder, epoch)
        self._next_sequence: dict[tuple[Kind, str], int] = {}
        self._appended: dict[tuple[Kind, str], int] = {}
        self._dropped: dict[tuple[Kind, str], int] = {}
        self._last_error = ""
        self._descriptor = -1
        self._number = -1
        self._size = 0
        self._closed_bytes = sum(size for _, size in list_segments(folder))
        self._recounted = time.monotonic()

    @classmethod
    def open(cls, root: Path, *, maximum_bytes: int, segment_bytes: int = 16 << 20) -> SpoolWriter:
        """Lock a free writer folder below `root`, or create one, and start a new epoch in it.

        1. Lock an unlocked folder, so that two processes never write to the same one.
        2. Store the new epoch durably before the first record: no epoch is ever used twice.
        3. Allocate the drop counter while the disk has room for it.

        `maximum_bytes` bounds this writer's folder; further rows are dropped and counted. Raises OperatorError where
        `root` cannot be written.
        """
        try:
            root.mkdir(parents=True, exist_ok=True)
            folder, lock = lock_folder(root)
            try:
                epoch = next_epoch(folder)
                return cls(folder, lock, epoch, maximum_bytes=maximum_bytes, segment_bytes=segment_bytes)
            except BaseException:
                os.close(lock)
                raise
        except OSError as error:
            raise OperatorError(
                f"the spool {root} cannot be written: {error.strerror}",
                hint="free disk space, make it writable for the service's user, or set another HOMEOSTAT_HOME",
            ) from error

    def append_predictions(
        self,
        *,
        model: str,
        version: str,
        generation: int,
        event_time: datetime,
        answered_at: datetime,
        prediction_ids: Sequence[str],
        scores: Sequence[float] | None,
        columns: Mapping[str, Sequence[object] | np.ndarray[Any, Any]],
        traceparent: str = "",
        classes: Classes | None = None,
        vectors: np.ndarray[Any, Any] | None = None,
    ) -> bool:
        """Append answered rows; False if they were dropped and counted, which uses up their sequences.

        `columns` holds per feature a list (strings, floats, integers, booleans, None), for tensors float32 [n, *shape], for
        timestamps datetime64 [n] in UTC.
        `classes`: labels and probabilities, of a model that has them. `vectors`: answers that are values or embeddings.
        Raises ValueError when lengths differ; never for a disk failure.
        """
        rows = len(prediction_ids)
        if rows == 0:
            return True
        plain: dict[str, object] = {}
        shapes: list[tuple[str, tuple[int, ...]]] = []
        tensors: list[memoryview] = []
        timestamps: list[str] = []
        for name, values in columns.items():
            if len(values) != rows:
                raise ValueError(f"column {name!r} has {len(values)} values, expected {rows}")
            if not isinstance(values, np.ndarray):
                plain[name] = values
            elif values.ndim > 1:
                shapes.append((name, values.shape))
                tensors.append(np.ascontiguousarray(values, "<f4").data.cast("B"))
            elif values.dtype.kind == "M":
                plain[name] = values.astype("datetime64[us]").view(np.int64)
                timestamps.append(name)
            else:
                plain[name] = values
        document: dict[str, object] = {
            "kind": "predictions",
            "model": model,
            "version": version,
            "generation": generation,
            "event_time": event_time,
            "answered_at": answered_at,
            "ids": prediction_ids,
            "scores": scores,
            "columns": plain,
            "tensors": shapes,
            "traceparent": traceparent,
        }
        if timestamps:
            document["timestamps"] = timestamps
        if classes is not None:
            if not len(classes.labels) == len(classes.scores) == rows:
                raise ValueError(
                    f"{rows} ids, {len(classes.labels)} labels, {len(classes.scores)} rows of scores: expected the same number"
                )
            document["labels"] = classes.labels
            document["classes"] = classes.scores.shape[1]
            tensors.append(np.ascontiguousarray(classes.scores, "<f4").data.cast("B"))
        if vectors is not None:
            if len(vectors) != rows:
                raise ValueError(f"{rows} ids, {len(vectors)} rows of vectors: expected the same number")
            document["width"] = vectors.shape[1]
            tensors.append(np.ascontiguousarray(vectors, "<f4").data.cast("B"))
        return self._append("predictions", model, rows, orjson.dumps(document, option=OPTIONS), tensors)

    def append_outcomes(
        self,
        *,
        model: str,
        received_at: datetime,
        prediction_ids: Sequence[str],
        values: Sequence[float | None],
        observed_at: Sequence[datetime],
        traceparent: str = "",
        labels: Sequence[str] | None = None,
        numbers: Sequence[Mapping[str, float]] | None = None,
    ) -> bool:
        """Append outcomes; False if they were dropped and counted, which uses up their sequences.

        `labels`: the outcomes of a model with classes; `numbers`: of several values; their `values` are None.
        """
        rows = len(prediction_ids)
        if rows == 0:
            return True
        if len(values) != rows or len(observed_at) != rows or len(labels or values) != rows:
            raise ValueError(
                f"{rows} ids, {len(values)} values, {len(observed_at)} times: expected the same number"
            )
        document: dict[str, object] = {
            "kind": "outcomes",
            "model": model,
            "received_at": received_at,
            "ids": prediction_ids,
            "values": values,
            "observed_at": observed_at,
            "traceparent": traceparent,
        }
        if labels is not None:
            document["labels"] = labels
        if numbers is not None:
            document["numbers"] = numbers
        return self._append("outcomes", model, rows, orjson.dumps(document, option=OPTIONS), [])

    def statistics(self) -> SpoolStatistics:
        """Current state of the spool."""
        with self._mutex:
            self._recount()
            return SpoolStatistics(
                bytes=self._closed_bytes + self._size,
                bound=self._bound,
                appended=dict(self._appended),
                dropped=dict(self._dropped),
                last_error=self._last_error,
            )

    def close(self) -> None:
        """Unlock the folder. Its records are still shipped."""
        with self._mutex:
            if self._descriptor >= 0:
                os.close(self._descriptor)
                self._descriptor = -1
            if self._lock_descriptor >= 0:
                os.close(self._lock_descriptor)
                self._lock_descriptor = -1
                self._drop_counter.close()

    def _append(self, kind: Kind, model: str, rows: int, head: bytes, tensors: list[memoryview]) -> bool:
        stream = (kind, model)
        with self._mutex:
            sequence = self._next_sequence.get(stream, 0)
            self._next_sequence[stream] = sequence + rows
            if self._write(frame(sequence, head, tensors)):
                self._appended[stream] = self._appended.get(stream, 0) + rows
                return True
            dropped = self._dropped.get(stream, 0) + rows
            self._dropped[stream] = dropped
            self._drop_counter.count(kind, model, dropped=dropped, next_sequence=sequence + rows)
            return False

    def _write(self, buffers: list[bytes | memoryview]) -> bool:
        """Write all buffers or nothing.

        1. Refuse what would exceed the bound.
        2. Open the next segment when the current one is full.
        3. Write; after a short write or an error truncate the segment, or start a new one if that fails.
        """
        length = sum(len(buffer) for buffer in buffers)
        if self._closed_bytes + self._size + length > self._bound and not self._has_room(length):
            self._last_error = (
                f"the spool is full ({self._bound} bytes): the shipper is too slow or Kafka is unavailable"
            )
            return False
        try:
            if self._descriptor < 0 or (self._size and self._size + length > self._segment_bytes):
                self._open_next()
            written = os.writev(self._descriptor, buffers)
            if written == length:
                self._size += length
                return True
            self._last_error = f"the disk accepted {written} of {length} bytes"
        except OSError as error:
            self._last_error = f"the spool cannot be written: {error.strerror}"
        self._truncate()
        return False

    def _has_room(self, length: int) -> bool:
        now = time.monotonic()
        if now - self._recounted < _RECOUNT_SECONDS:
            return False
        self._recount()
        return self._closed_bytes + self._size + length <= self._bound

    def _recount(self) -> None:
        """Update the size of the closed segments that are not shipped yet."""
        current = SegmentId(self.epoch, self._number)
        self._recounted = time.monotonic()
        try:
            self._closed_bytes = sum(
                size for segment, size in list_segments(self._folder) if segment != current
            )
        except OSError as error:
            self._last_error = f"the spool cannot be listed: {error.strerror}"

    def _open_next(self) -> None:
        path = self._folder / SegmentId(self.epoch, self._number + 1).filename
        descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_APPEND, 0o640)
        if self._descriptor >= 0:
            os.close(self._descriptor)
        self._descriptor = descriptor
        self._number += 1
        self._size = 0
        self._recount()

    def _truncate(self) -> None:
        if self._descriptor < 0:
            return
        try:
            os.ftruncate(self._descriptor, self._size)
        except OSError:
            # The torn record stays at the end of the segment, where readers skip it; continue in a new segment.
            os.close(self._descriptor)
            self._descriptor = -1
