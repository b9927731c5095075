"""What people see of a spool; and that looking changes nothing."""

from __future__ import annotations

import os
from pathlib import Path

from shared.spool import SpoolWriter
from shared.spool.inspection import inspect_spool
from shared.spool.reader import SpoolReader
from tests.fakes.rows import append_outcomes, append_rows


def contents(root: Path) -> dict[str, bytes]:
    return {str(path): path.read_bytes() for path in sorted(root.rglob("*")) if path.is_file()}


def test_no_spool_is_empty(tmp_path: Path) -> None:
    assert inspect_spool(tmp_path / "spool") == []


def test_waiting_and_dropped_rows_are_counted(root: Path) -> None:
    spool = SpoolWriter.open(root, maximum_bytes=6000, segment_bytes=1000)
    for row in range(3):
        append_rows(spool, row)
    append_outcomes(spool, 0, 2)
    reader = SpoolReader(root / spool.writer)
    reader.acknowledge(reader.read()[0].end)
    assert not append_rows(spool, 3, 500)
    before = contents(root)
    [state] = inspect_spool(root)
    assert contents(root) == before
    assert (state.writer, state.is_in_use) == (spool.writer, True)
    assert state.waiting == {("predictions", "flights"): 2, ("outcomes", "flights"): 2}
    assert state.dropped == {("predictions", "flights"): 500}
    assert state.oldest is not None
    assert (state.torn_records, state.corrupt_bytes, state.missing_segments) == (0, 0, 0)
    assert state.bytes == reader.backlog_bytes()
    spool.close()


def test_damage_is_found_and_the_rest_is_delivered(root: Path) -> None:
    spool = SpoolWriter.open(root, maximum_bytes=1 << 20, segment_bytes=1)  # a segment per record
    for row in range(5):
        append_rows(spool, row)
    spool.close()
    segments = sorted((root / spool.writer).glob("*.spool"))
    segments[1].unlink()
    damaged = bytearray(segments[3].read_bytes())
    damaged[40] ^= 1
    segments[3].write_bytes(damaged)
    os.truncate(segments[4], segments[4].stat().st_size - 1)
    [state] = inspect_spool(root)
    assert not state.is_in_use
    assert state.waiting == {("predictions", "flights"): 2}
    assert (state.torn_records, state.corrupt_bytes, state.missing_segments) == (1, len(damaged), 1)
    reader = SpoolReader(root / spool.writer)
    rows = []
    while entries := reader.read():
        rows += [entry.record.sequence for entry in entries]
    assert rows == [0, 2]
    assert (reader.torn_records, reader.corrupt_bytes, reader.missing_segments) == (1, len(damaged), 1)
