from __future__ import annotations

import os
from pathlib import Path

import pytest

from shared.spool import SpoolWriter
from shared.spool import reader as reader_module
from shared.spool.checkpoint import Position, read_checkpoint
from shared.spool.reader import SpoolReader
from shared.spool.segment import SegmentId, list_segments
from tests.fakes.rows import append_rows


def sequences(reader: SpoolReader) -> list[int]:
    """Everything there is to read, as (first) sequences."""
    found: list[int] = []
    while entries := reader.read():
        found.extend(entry.record.sequence for entry in entries)
    return found


def tear(folder: Path, segment: SegmentId) -> None:
    """Leave half a record at the end, as a killed writer does."""
    path = folder / segment.filename
    path.write_bytes(path.read_bytes() + b"HSP1\xff\x00\x00\x00half")


def test_follows_a_growing_segment(root: Path, spool: SpoolWriter) -> None:
    reader = SpoolReader(root / spool.writer)
    assert reader.read() == []
    append_rows(spool, 0)
    assert sequences(reader) == [0]
    append_rows(spool, 1)
    assert sequences(reader) == [1]


def test_reads_again_what_was_not_acknowledged(root: Path, spool: SpoolWriter) -> None:
    for number in range(4):
        append_rows(spool, number)
    reader = SpoolReader(root / spool.writer)
    entries = reader.read()
    reader.acknowledge(entries[1].end)
    reader.rewind()
    assert sequences(reader) == [2, 3]
    assert sequences(SpoolReader(root / spool.writer)) == [2, 3]


def test_deletes_segments_that_are_acknowledged_and_no_others(root: Path) -> None:
    spool = SpoolWriter.open(root, maximum_bytes=1 << 20, segment_bytes=1000)
    for number in range(10):
        append_rows(spool, number)
    reader = SpoolReader(root / spool.writer)
    before = [segment for segment, _ in list_segments(root / spool.writer)]
    entries = []
    while more := reader.read():
        entries.extend(more)
    middle = entries[len(entries) // 2]
    reader.acknowledge(middle.end)
    after = [segment for segment, _ in list_segments(root / spool.writer)]
    assert after == [segment for segment in before if segment.number >= middle.end.number]
    assert 0 < len(after) < len(before)
    reader.acknowledge(entries[-1].end)
    assert [segment for segment, _ in list_segments(root / spool.writer)] == [before[-1]]
    assert reader.backlog_bytes() == 0
    spool.close()


def test_torn_tail_of_a_live_writer_is_not_skipped(root: Path, spool: SpoolWriter) -> None:
    append_rows(spool, 0)
    tear(root / spool.writer, SegmentId(spool.epoch, 0))
    reader = SpoolReader(root / spool.writer)
    assert sequences(reader) == [0]
    assert reader.torn_records == 0


def test_a_torn_tail_of_a_dead_writer_is_skipped_and_counted(root: Path, spool: SpoolWriter) -> None:
    append_rows(spool, 0)
    spool.close()
    tear(root / spool.writer, SegmentId(spool.epoch, 0))
    reader = SpoolReader(root / spool.writer)
    assert sequences(reader) == [0]
    assert reader.torn_records == 1
    assert sequences(reader) == []
    assert reader.torn_records == 1


def test_continues_with_the_next_epoch(root: Path, spool: SpoolWriter) -> None:
    append_rows(spool, 0)
    spool.close()
    tear(root / spool.writer, SegmentId(spool.epoch, 0))
    again = SpoolWriter.open(root, maximum_bytes=1 << 20)
    append_rows(again, 1)
    reader = SpoolReader(root / again.writer)
    entries = [*reader.read(), *reader.read()]
    assert [(entry.end.epoch, entry.record.sequence) for entry in entries] == [(1, 0), (2, 0)]
    assert reader.torn_records == 1
    again.close()


def test_corrupt_record_in_the_middle_is_skipped_alone(root: Path, spool: SpoolWriter) -> None:
    for number in range(3):
        append_rows(spool, number)
    path = root / spool.writer / SegmentId(spool.epoch, 0).filename
    content = bytearray(path.read_bytes())
    content[len(content) // 2] ^= 0xFF
    path.write_bytes(content)
    reader = SpoolReader(root / spool.writer)
    assert sequences(reader) == [0, 2]
    assert reader.corrupt_bytes == len(content) // 3


def test_missing_segment_is_skipped(root: Path) -> None:
    spool = SpoolWriter.open(root, maximum_bytes=1 << 20, segment_bytes=1000)
    for number in range(10):
        append_rows(spool, number)
    (root / spool.writer / SegmentId(1, 1).filename).unlink()
    kept = sequences(SpoolReader(root / spool.writer))
    assert kept[0] == 0
    assert kept[-1] == 9
    assert len(kept) < 10
    spool.close()


def test_record_larger_than_one_read_is_complete(
    root: Path, spool: SpoolWriter, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(reader_module, "_READ_BYTES", 64)
    append_rows(spool, 0, 50)
    append_rows(spool, 50, 50)
    assert sequences(SpoolReader(root / spool.writer)) == [0, 50]


def test_unreadable_checkpoint_ships_again(root: Path, spool: SpoolWriter) -> None:
    append_rows(spool, 0)
    reader = SpoolReader(root / spool.writer)
    reader.acknowledge(reader.read()[-1].end)
    (root / spool.writer / "checkpoint.json").write_bytes(b'{"epo')
    assert read_checkpoint(root / spool.writer) == Position()
    assert sequences(SpoolReader(root / spool.writer)) == [0]


def test_unwritable_checkpoint_still_frees_the_disk(root: Path) -> None:
    spool = SpoolWriter.open(root, maximum_bytes=1 << 20, segment_bytes=1000)
    for number in range(10):
        append_rows(spool, number)
    (root / spool.writer / "checkpoint.json").mkdir()  # a folder cannot be replaced by a file
    reader = SpoolReader(root / spool.writer)
    entries = []
    while more := reader.read():
        entries.extend(more)
    reader.acknowledge(entries[-1].end)
    assert "cannot be written" in reader.checkpoint_error
    assert len(list_segments(root / spool.writer)) == 1
    spool.close()


def test_empty_drop_counters_of_finished_epochs_are_deleted(root: Path) -> None:
    quiet = SpoolWriter.open(root, maximum_bytes=1 << 20)
    append_rows(quiet, 0)
    quiet.close()
    lossy = SpoolWriter.open(root, maximum_bytes=10)
    assert not append_rows(lossy, 0, 3)
    lossy.close()
    last = SpoolWriter.open(root, maximum_bytes=1 << 20)
    append_rows(last, 0)
    reader = SpoolReader(root / last.writer)
    entries = [*reader.read(), *reader.read()]
    reader.acknowledge(entries[-1].end)
    assert sorted(path.name for path in (root / last.writer).glob("*.drops")) == [
        "0000000002.drops",
        "0000000003.drops",
    ]
    assert reader.dropped() == {("predictions", "flights"): 3}
    last.close()


def test_foreign_files_in_the_folder_are_ignored(root: Path, spool: SpoolWriter) -> None:
    append_rows(spool, 0)
    folder = root / spool.writer
    [own] = folder.glob("*.spool")
    for name in ("notes.drops", "²².drops", "0000000009-0000000000.spool.bak"):
        (folder / name).write_text("?")
    (folder / "0000000009.drops").write_bytes(b"\xff" * 128)
    os.mkfifo(folder / "0000000009-0000000001.spool")
    (folder / "0000000009-0000000002.spool").symlink_to("/etc/hostname")
    reader = SpoolReader(folder)
    assert reader.backlog_bytes() == own.stat().st_size
    assert sequences(reader) == [0]
    assert [model for _, model in reader.dropped()] == [""]


def test_finished_segment_is_kept_until_all_of_it_is_acknowledged(root: Path) -> None:
    spool = SpoolWriter.open(root, maximum_bytes=1 << 20)
    append_rows(spool, 0)
    append_rows(spool, 1)
    folder = root / spool.writer
    spool.close()
    # The next start finds an empty segment behind it, as a writer on a full disk leaves one.
    [(segment, _)] = list_segments(folder)
    (folder / SegmentId(segment.epoch, segment.number + 1).filename).touch()
    reader = SpoolReader(folder)
    entries = reader.read()
    reader.read()
    reader.acknowledge(entries[0].end)
    reader.read()
    reader.read()
    assert len(list_segments(folder)) == 2, "the second record is not acknowledged"
    reader.rewind()
    assert sequences(reader) == [1]
    reader.acknowledge(entries[1].end)
    reader.read()
    assert [found.number for found, _ in list_segments(folder)] == [segment.number + 1]
    assert reader.backlog_bytes() == 0
    assert sequences(SpoolReader(folder)) == []
