"""Looks at a spool for people, and changes nothing: what waits, since when, and what is damaged."""

from __future__ import annotations

import os
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass, field
from datetime import datetime
from pathlib import Path

from shared.file_lock import is_locked
from shared.spool.checkpoint import read_checkpoint
from shared.spool.drop_counter import read_drops
from shared.spool.lock import LOCK_FILE
from shared.spool.record import BrokenRecord, PredictionRecord, Record, decode
from shared.spool.scan import scan
from shared.spool.segment import SegmentId, list_segments


@dataclass
class FolderState:
    """One writer's folder. `waiting` and `dropped`: rows by (kind, model). `oldest`: when the first waiting row was written.

    A torn record was never answered; corrupt bytes and missing segments held answered rows, which are lost.
    """

    writer: str
    is_in_use: bool
    segments: int = 0
    bytes: int = 0
    waiting: Counter[tuple[str, str]] = field(default_factory=Counter)
    oldest: datetime | None = None
    torn_records: int = 0
    corrupt_bytes: int = 0
    missing_segments: int = 0
    dropped: Counter[tuple[str, str]] = field(default_factory=Counter)


def inspect_spool(root: Path) -> list[FolderState]:
    """Every writer's folder below `root`, by name. Raises OSError."""
    folders = sorted(path for path in root.iterdir() if path.is_dir()) if root.is_dir() else []
    return [_inspect(folder) for folder in folders]


def _inspect(folder: Path) -> FolderState:
    try:
        in_use = is_locked(folder / LOCK_FILE)
    except OSError:
        in_use = False
    found = FolderState(folder.name, in_use)
    for drops in read_drops(folder).values():
        for drop in drops:
            found.dropped[drop.kind, drop.model] += drop.dropped
    shipped = read_checkpoint(folder)
    before: SegmentId | None = SegmentId(shipped.epoch, shipped.number) if shipped.epoch else None
    segments = list_segments(folder)
    for segment, size in segments:
        if segment < SegmentId(shipped.epoch, shipped.number):
            continue
        if before is not None and before.epoch == segment.epoch:
            found.missing_segments += max(0, segment.number - before.number - 1)
        before = segment
        offset = shipped.offset if segment == SegmentId(shipped.epoch, shipped.number) else 0
        found.segments += 1
        found.bytes += max(0, size - offset)
        may_grow = in_use and segment == segments[-1][0]
        for record in _records(folder / segment.filename, offset, found, final=not may_grow):
            written = record.answered_at if isinstance(record, PredictionRecord) else record.received_at
            found.oldest = written if found.oldest is None else min(found.oldest, written)
            found.waiting[record.kind, record.model] += len(record)
    return found


def _records(path: Path, offset: int, state: FolderState, *, final: bool) -> Iterator[Record]:
    try:
        descriptor = os.open(path, os.O_RDONLY | os.O_NOFOLLOW)
    except FileNotFoundError:
        return  # shipped and deleted in the meantime
    try:
        content = os.pread(descriptor, max(0, os.fstat(descriptor).st_size - offset), offset)
    finally:
        os.close(descriptor)
    found = scan(content, at_end=True, final=final)
    state.torn_records += found.torn_records
    state.corrupt_bytes += found.corrupt_bytes
    for start, end in found.payloads:
        try:
            yield decode(content[start:end])
        except BrokenRecord:
            state.corrupt_bytes += end - start
