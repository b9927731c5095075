"""The shipper's side of the spool: follows one writer's folder, segment by segment, and forgets what was acknowledged.

What can lie in a segment, and what the reader does with it:

    whole record                            hands it on
    torn tail, writer alive, last segment   waits: the write may be under way
    torn tail, anything later exists        skips to the next segment and counts it: nobody was answered from it
    broken bytes in between                 skips to the next whole record and counts it: those rows show as a gap at the sink
"""

from __future__ import annotations

import fcntl
import os
from dataclasses import dataclass
from pathlib import Path

from shared.spool.checkpoint import Position, read_checkpoint, write_checkpoint
from shared.spool.drop_counter import delete_losses, list_loss_files, read_losses
from shared.spool.lock import EPOCH_FILE, LOCK_FILE
from shared.spool.record import BrokenRecord, Record, decode
from shared.spool.scan import scan
from shared.spool.segment import SegmentId, list_segments

_READ_BYTES = 4 << 20


@dataclass(frozen=True)
class Entry:
    """A record, where it ends (which also names its epoch), and its payload as it lies on disk."""

    record: Record
    end: Position
    payload: bytes

    @property
    def size(self) -> int:
        """Bytes of the payload."""
        return len(self.payload)


class SpoolReader:
    """Reads one writer's folder from its checkpoint on. Not for several threads, and only one reader per folder."""

    def __init__(self, folder: Path) -> None:
        self.writer = folder.name
        self.torn_records = 0
        self.broken_bytes = 0
        self.checkpoint_error = ""
        self._folder = folder
        self._acknowledged = read_checkpoint(folder)
        self._position = self._acknowledged

    def read(self) -> list[Entry]:
        """The next whole records in order, some megabytes at most; empty when there is nothing new."""
        while True:
            # Listed before reading: a segment that has a successor in this list is final, so its end is its end.
            segments = [segment for segment, _ in list_segments(self._folder)]
            current = self._current(segments)
            if current is None:
                return []
            final = current != segments[-1] or not self._may_grow(current.epoch)
            before = self._position
            entries = self._read_segment(current, final=final)
            if entries:
                return entries
            if self._position == before:
                if current == segments[-1]:
                    return []
                following = segments[segments.index(current) + 1]
                self._position = Position(following.epoch, following.number, 0)

    def rewind(self) -> None:
        """Read again from what was last acknowledged."""
        self._position = self._acknowledged

    def acknowledge(self, end: Position) -> None:
        """Everything up to `end` is safe elsewhere.

        1. Keep the position on disk; a full disk may refuse, then a restart ships some of it again.
        2. Delete the segments that lie wholly before it: this is what frees a full disk.
        3. Forget the loss files of epochs that are over and lost nothing.
        """
        self._acknowledged = end
        try:
            write_checkpoint(self._folder, end)
            self.checkpoint_error = ""
        except OSError as error:
            self.checkpoint_error = f"the checkpoint of {self.writer} cannot be written: {error.strerror}"
        reached = SegmentId(end.epoch, end.number)
        for segment, _ in list_segments(self._folder):
            if segment < reached:
                (self._folder / segment.filename).unlink(missing_ok=True)
        self._forget_losses(end.epoch)

    def backlog_bytes(self) -> int:
        """Bytes in the folder that are not acknowledged."""
        total = 0
        for segment, size in list_segments(self._folder):
            place = Position(segment.epoch, segment.number, 0)
            if place > self._acknowledged:
                total += size
            elif (segment.epoch, segment.number) == (self._acknowledged.epoch, self._acknowledged.number):
                total += max(0, size - self._acknowledged.offset)
        return total

    def dropped(self) -> dict[tuple[str, str], int]:
        """Rows the writer had to drop, per (kind, model), over all epochs still on disk."""
        totals: dict[tuple[str, str], int] = {}
        for losses in read_losses(self._folder).values():
            for loss in losses:
                stream = (loss.kind, loss.model)
                totals[stream] = totals.get(stream, 0) + loss.dropped
        return totals

    def _current(self, segments: list[SegmentId]) -> SegmentId | None:
        """The segment to read: the one the position names, or the next that is there."""
        wanted = SegmentId(self._position.epoch, self._position.number)
        for segment in segments:
            if segment >= wanted:
                if segment > wanted:
                    self._position = Position(segment.epoch, segment.number, 0)
                return segment
        return None

    def _may_grow(self, epoch: int) -> bool:
        """Whether a writer may still append to the newest segment of that epoch."""
        try:
            if int((self._folder / EPOCH_FILE).read_text()) > epoch:
                return False
            lock = os.open(self._folder / LOCK_FILE, os.O_RDONLY)
        except (OSError, ValueError):
            return True
        try:
            fcntl.flock(lock, fcntl.LOCK_SH | fcntl.LOCK_NB)
            return False
        except BlockingIOError:
            return True
        finally:
            os.close(lock)

    def _read_segment(self, segment: SegmentId, *, final: bool) -> list[Entry]:
        """The next records of a segment; moves the position past them and past what had to be skipped."""
        try:
            descriptor = os.open(self._folder / segment.filename, os.O_RDONLY)
        except FileNotFoundError:
            return []
        offset = self._position.offset
        try:
            length = os.fstat(descriptor).st_size - offset
            size = _READ_BYTES
            while True:
                content = os.pread(descriptor, min(length, size), offset)
                found = scan(content, at_end=len(content) >= length, final=final)
                if found.wanted <= len(content) or len(content) >= length:
                    break
                size = found.wanted
        finally:
            os.close(descriptor)
        entries = []
        for start, end in found.payloads:
            payload = content[start:end]
            try:
                record = decode(payload)
            except BrokenRecord:
                self.broken_bytes += end - start
                continue
            place = Position(segment.epoch, segment.number, offset + end)
            entries.append(Entry(record, place, payload))
        self.torn_records += found.torn_records
        self.broken_bytes += found.broken_bytes
        self._position = Position(segment.epoch, segment.number, offset + found.used)
        return entries

    def _forget_losses(self, epoch: int) -> None:
        noted = read_losses(self._folder)
        for old in list_loss_files(self._folder):
            if old < epoch and old not in noted:
                delete_losses(self._folder, old)
