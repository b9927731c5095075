"""Reads one writer's spool folder, segment by segment, and deletes what was acknowledged.

Contents of a segment, and what the reader does with them:

    complete record                         returns it
    torn tail, writer alive, last segment   tries again later: the write may not be finished
    torn tail, anything later exists        skips to the next segment and counts it: it was never answered
    corrupt bytes in between                skips to the next complete record and counts them: their rows are a gap at the sink
"""

from __future__ import annotations

import os
from pathlib import Path
from typing import NamedTuple

from shared.file_lock import is_locked
from shared.files import read_regular
from shared.spool.checkpoint import Position, read_checkpoint, write_checkpoint
from shared.spool.drop_counter import delete_drop_counter, list_drop_counters, read_drops
from shared.spool.lock import EPOCH_FILE, LOCK_FILE
from shared.spool.record import BrokenRecord, Record, decode
from shared.spool.scan import scan
from shared.spool.segment import SegmentId, list_segments

_READ_BYTES = 4 << 20


class Entry(NamedTuple):
    """A record, its end position (which includes its epoch), and its payload as stored on disk."""

    record: Record
    end: Position
    payload: bytes

    @property
    def size(self) -> int:
        """Size of the payload in bytes."""
        return len(self.payload)


class SpoolReader:
    """Reads one writer's folder from its checkpoint on. Not thread-safe; one reader per folder."""

    def __init__(self, folder: Path) -> None:
        self.writer = folder.name
        self.torn_records = 0
        self.corrupt_bytes = 0
        self.missing_segments = 0
        self.checkpoint_error = ""
        self._folder = folder
        self._acknowledged = read_checkpoint(folder)
        self._position = self._acknowledged
        self._returned = self._acknowledged

    def read(self) -> list[Entry]:
        """The next complete records in order, at most a few megabytes; empty when nothing is new."""
        self._release_finished_segments()
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
                self._returned = entries[-1].end
                return entries
            if self._position == before:
                if current == segments[-1]:
                    return []
                following = segments[segments.index(current) + 1]
                if following.epoch == current.epoch:
                    # Segments of an epoch are numbered without gaps, and only this reader deletes them.
                    self.missing_segments += following.number - current.number - 1
                self._position = Position(following.epoch, following.number, 0)

    def rewind(self) -> None:
        """Read again from the last acknowledged position."""
        self._position = self._returned = self._acknowledged

    def acknowledge(self, end: Position) -> None:
        """Mark everything up to `end` as shipped.

        1. Store the position; if the disk is full, a restart ships some rows again.
        2. Delete the segments that end before it, which frees the disk.
        3. Delete the drop counters of finished epochs without drops.
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
        self._delete_empty_drop_counters(end.epoch)

    def _release_finished_segments(self) -> None:
        """Acknowledge the position if every record before it is acknowledged, which deletes the segments before it.

        1. The writer closes a segment when the disk is full. Only its deletion makes room for the first record of the next one.
        2. Bytes skipped at the end of a segment, and a checkpoint that could not be written, would keep rows that are shipped
           waiting: a writer that bounds their age would refuse every further row.
        """
        if self._acknowledged >= self._returned and (
            self._position > self._acknowledged or self.checkpoint_error
        ):
            self.acknowledge(max(self._position, self._acknowledged))

    def backlog_bytes(self) -> int:
        """Unacknowledged bytes in the folder."""
        total = 0
        for segment, size in list_segments(self._folder):
            place = Position(segment.epoch, segment.number, 0)
            if place > self._acknowledged:
                total += size
            elif (segment.epoch, segment.number) == (self._acknowledged.epoch, self._acknowledged.number):
                total += max(0, size - self._acknowledged.offset)
        return total

    def dropped(self) -> dict[tuple[str, str], int]:
        """Rows the writer dropped, per (kind, model), over all epochs on disk."""
        totals: dict[tuple[str, str], int] = {}
        for drops in read_drops(self._folder).values():
            for drop in drops:
                stream = (drop.kind, drop.model)
                totals[stream] = totals.get(stream, 0) + drop.dropped
        return totals

    def _current(self, segments: list[SegmentId]) -> SegmentId | None:
        """The segment to read: the one at the position, or the next existing one."""
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
            if int(read_regular(self._folder / EPOCH_FILE, maximum_bytes=100)) > epoch:
                return False
            return is_locked(self._folder / LOCK_FILE)
        except (OSError, ValueError):
            return True

    def _read_segment(self, segment: SegmentId, *, final: bool) -> list[Entry]:
        """The next records of a segment; moves the position past them and past skipped bytes."""
        try:
            descriptor = os.open(self._folder / segment.filename, os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK)
        except FileNotFoundError:
            return []
        offset = self._position.offset
        try:
            length = os.fstat(descriptor).st_size - offset
            size = _READ_BYTES
            while True:
                content = os.pread(descriptor, min(length, size), offset)
                found = scan(content, at_end=len(content) >= length, final=final)
                if found.bytes_needed <= len(content) or len(content) >= length:
                    break
                size = found.bytes_needed
        finally:
            os.close(descriptor)
        entries = []
        for start, end in found.payloads:
            payload = content[start:end]
            try:
                record = decode(payload)
            except BrokenRecord:
                self.corrupt_bytes += end - start
                continue
            place = Position(segment.epoch, segment.number, offset + end)
            entries.append(Entry(record, place, payload))
        self.torn_records += found.torn_records
        self.corrupt_bytes += found.corrupt_bytes
        self._position = Position(segment.epoch, segment.number, offset + found.used)
        return entries

    def _delete_empty_drop_counters(self, epoch: int) -> None:
        noted = read_drops(self._folder)
        for old in list_drop_counters(self._folder):
            if old < epoch and old not in noted:
                delete_drop_counter(self._folder, old)
