"""Writes the spool: every answer is appended here before it is returned.

A record survives a kill of any process at any time: the kernel has it when `append_…` returns. What a power cut may lose
depends on `fsync`; see disk_sync.py.
"""

from __future__ import annotations

import errno
import os
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from itertools import chain
from pathlib import Path
from threading import Lock
from typing import Any

from shared.errors import OperatorError
from shared.spool.backlog_age import BacklogAge
from shared.spool.disk_sync import DiskSync, Fsync
from shared.spool.drop_counter import DropCounter
from shared.spool.encoding import Encoded, encode_outcomes, encode_predictions
from shared.spool.lock import lock_folder, next_epoch
from shared.spool.record import Kind, frame
from shared.spool.segment import SegmentId, list_segments

_RECOUNT_SECONDS = 0.1
_NO_ROOM = (errno.ENOSPC, errno.EDQUOT, errno.EFBIG)
_MAX_BUFFERS = 1024  # of one writev (IOV_MAX)


@dataclass(frozen=True)
class SpoolStatistics:
    """State of a spool: `bytes` on disk that are not shipped, and their maximum `bound`."""

    bytes: int
    bound: int
    appended: Mapping[tuple[Kind, str], int]
    dropped: Mapping[tuple[Kind, str], int]
    last_error: str
    sync_failures: int = 0


class SpoolWriter:
    """Writes to one locked writer folder. Thread-safe."""

    def __init__(
        self,
        folder: Path,
        lock: int,
        epoch: int,
        *,
        maximum_bytes: int,
        segment_bytes: int,
        maximum_seconds: float = 0.0,
        fsync: Fsync = "never",
        sync_seconds: float = 1.0,
    ) -> None:
        self.writer = folder.name
        self.epoch = epoch
        self._folder = folder
        self._lock_descriptor = lock
        self._bound = maximum_bytes
        # A quarter at most, so that shipping the closed segments always frees room below the bound.
        self._segment_bytes = max(1, min(segment_bytes, maximum_bytes // 4))
        self._maximum_seconds = maximum_seconds
        self._age = BacklogAge(folder, epoch)
        self._sync = DiskSync(fsync, sync_seconds)
        self._sync.opened(folder)
        self._path = folder
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
    def open(
        cls, root: Path, *, maximum_bytes: int, segment_bytes: int = 16 << 20, **options: Any
    ) -> SpoolWriter:
        """Lock a free writer folder below `root`, or create one, and start a new epoch in it.

        1. Lock an unlocked folder, so that two processes never write to the same one.
        2. Store the new epoch durably before the first record: no epoch is ever used twice.
        3. Allocate the drop counter while the disk has room for it.

        `maximum_bytes` bounds this writer's folder, and `maximum_seconds` the age of the oldest row that is not shipped (0: no
        bound); further rows are dropped and counted. `fsync`, `sync_seconds`: see disk_sync.py. Raises OperatorError where `root`
        cannot be written.
        """
        try:
            root.mkdir(parents=True, exist_ok=True)
            folder, lock = lock_folder(root)
            try:
                epoch = next_epoch(folder)
                return cls(
                    folder, lock, epoch, maximum_bytes=maximum_bytes, segment_bytes=segment_bytes, **options
                )
            except BaseException:
                os.close(lock)
                raise
        except OSError as error:
            raise OperatorError(
                f"the spool {root} cannot be written: {error.strerror}",
                hint="free disk space, make it writable for the service's user, or set another HOMEOSTAT_HOME",
            ) from error

    def append_predictions(self, **fields: Any) -> bool:
        """Append answered rows, the fields of `encode_predictions`; False if they were dropped and counted, which uses up
        their sequences. Raises ValueError when lengths differ; never for a disk failure.
        """
        return self.append([encode_predictions(**fields)])[0]

    def append_outcomes(self, **fields: Any) -> bool:
        """Append outcomes, the fields of `encode_outcomes`; the same otherwise."""
        return self.append([encode_outcomes(**fields)])[0]

    def append_together(self, records: Sequence[Mapping[str, Any]]) -> list[bool]:
        """Append several records of answered rows in one write; for each whether it was kept."""
        return self.append([encode_predictions(**fields) for fields in records])

    def append(self, records: Sequence[Encoded]) -> list[bool]:
        """Append records in one write; those that do not fit, or that a failing disk refuses, are dropped and counted.

        A write of several records that fails is repeated for each alone: what there is room for is kept.
        """
        if not any(record.rows for record in records):
            return [True] * len(records)
        with self._mutex:
            ends = [self._use_sequences(record) for record in records]
            framed = [
                frame(end - record.rows, record.head, record.tensors) if record.rows else []
                for record, end in zip(records, ends, strict=True)
            ]
            if len(framed) == 1:
                kept = [self._write(framed[0])]
            elif sum(map(len, framed)) <= _MAX_BUFFERS and self._write(list(chain.from_iterable(framed))):
                kept = [True] * len(framed)
            else:
                kept = [not one or self._write(one) for one in framed]
            if any(kept):
                self._sync.written(self._descriptor, self._path)
            for record, end, was_kept in zip(records, ends, kept, strict=True):
                self._count(record, end, kept=was_kept)
            return kept

    def statistics(self) -> SpoolStatistics:
        """Current state of the spool."""
        with self._mutex:
            self._recount()
            return SpoolStatistics(
                bytes=self._closed_bytes + self._size,
                bound=self._bound,
                appended=dict(self._appended),
                dropped=dict(self._dropped),
                last_error=self._last_error or self._age.last_error or self._sync.last_error,
                sync_failures=self._sync.failures,
            )

    def close(self) -> None:
        """Unlock the folder. Its records are still shipped."""
        self._sync.close()
        with self._mutex:
            if self._descriptor >= 0:
                os.close(self._descriptor)
                self._descriptor = -1
            if self._lock_descriptor >= 0:
                os.close(self._lock_descriptor)
                self._lock_descriptor = -1
                self._drop_counter.close()

    def _use_sequences(self, record: Encoded) -> int:
        """The sequence after the record's last row."""
        stream = (record.kind, record.model)
        end = self._next_sequence[stream] = self._next_sequence.get(stream, 0) + record.rows
        return end

    def _count(self, record: Encoded, end: int, *, kept: bool) -> None:
        counts, stream = self._appended if kept else self._dropped, (record.kind, record.model)
        counts[stream] = total = counts.get(stream, 0) + record.rows
        if not kept:
            self._drop_counter.count(record.kind, record.model, dropped=total, next_sequence=end)

    def _write(self, buffers: list[bytes | memoryview]) -> bool:
        """Write all buffers or nothing.

        1. Refuse what would exceed the bound.
        2. Open the next segment when the current one is full.
        3. Write; after a short write or an error truncate the segment, or start a new one if that fails.
        4. Where there was no room, close the segment: the shipper deletes it once all of it is shipped, which may be already.
        """
        if len(buffers) > _MAX_BUFFERS:
            buffers = [b"".join(buffers)]
        length = sum(map(len, buffers))
        if self._closed_bytes + self._size + length > self._bound and not self._has_room(length):
            self._last_error = (
                f"the spool is full ({self._bound} bytes): the shipper is too slow or Kafka is unavailable"
            )
            return False
        if self._maximum_seconds and self._age.seconds() > self._maximum_seconds:
            self._last_error = f"the oldest row on the spool waits for more than {self._maximum_seconds:g} s"
            return False
        failure = self._write_once(buffers, length)
        if failure in _NO_ROOM and self._size:
            try:
                self._open_next()
            except OSError:
                return False
            failure = self._write_once(buffers, length)
        return failure is None

    def _write_once(self, buffers: list[bytes | memoryview], length: int) -> int | None:
        """Write to the current segment, or the next one if it is full; None, or the error number."""
        try:
            if self._descriptor < 0 or (self._size and self._size + length > self._segment_bytes):
                self._open_next()
            written = os.writev(self._descriptor, buffers)
            if written == length:
                if self._maximum_seconds:
                    self._age.note(self._number, self._size, self._size + length)
                self._size += length
                return None
            failure = errno.ENOSPC
            self._last_error = f"the disk accepted {written} of {length} bytes"
        except OSError as error:
            failure = error.errno or errno.EIO
            self._last_error = f"the spool cannot be written: {error.strerror}"
        self._truncate()
        return failure

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
        descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_APPEND, 0o600)
        if self._descriptor >= 0:
            self._sync.written(self._descriptor, self._path)
            os.close(self._descriptor)
        self._sync.opened(path)
        self._descriptor = descriptor
        self._path = path
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
