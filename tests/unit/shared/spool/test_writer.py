from __future__ import annotations

import errno
import os
import resource
import subprocess
from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from shared.errors import OperatorError
from shared.spool import SpoolWriter
from shared.spool.drop_counter import read_drops
from shared.spool.reader import SpoolReader
from shared.spool.record import Classes, OutcomeRecord, PredictionRecord
from shared.spool.segment import list_segments
from tests.fakes.rows import NOON, append_label_outcomes, append_outcomes, append_rows


def append(
    spool: SpoolWriter, ids: list[str], columns: dict[str, Any], *, scores: Any = None, **more: Any
) -> bool:
    """One request with these columns and answers."""
    return spool.append_predictions(
        model="m",
        version="v",
        generation=1,
        event_time=NOON,
        answered_at=NOON,
        prediction_ids=ids,
        scores=scores,
        columns=columns,
        **more,
    )


def test_sequences_are_gap_free_per_kind_and_model(root: Path, spool: SpoolWriter) -> None:
    append_rows(spool, 0, 3)
    append_rows(spool, 0, 1, model="taxis")
    append_outcomes(spool, 0, 2)
    append_rows(spool, 3, 1)
    places = [
        (entry.record.kind, entry.record.model, entry.record.sequence, len(entry.record))
        for entry in SpoolReader(root / spool.writer).read()
    ]
    assert places == [
        ("predictions", "flights", 0, 3),
        ("predictions", "taxis", 0, 1),
        ("outcomes", "flights", 0, 2),
        ("predictions", "flights", 3, 1),
    ]


def test_every_start_is_a_new_epoch_in_a_free_folder(root: Path) -> None:
    first = SpoolWriter.open(root, maximum_bytes=1 << 20)
    beside = SpoolWriter.open(root, maximum_bytes=1 << 20)
    assert beside.writer != first.writer
    first.close()
    again = SpoolWriter.open(root, maximum_bytes=1 << 20)
    assert (again.writer, again.epoch) == (first.writer, first.epoch + 1)
    beside.close()
    again.close()


def test_an_epoch_is_never_used_twice_even_if_its_file_is_gone(root: Path, spool: SpoolWriter) -> None:
    append_rows(spool, 0)
    spool.close()
    (root / spool.writer / "epoch").unlink()
    again = SpoolWriter.open(root, maximum_bytes=1 << 20)
    assert again.epoch == spool.epoch + 1
    again.close()


@pytest.mark.parametrize("content", [b"", b"seven", b"\xff" * 200])
def test_folder_with_an_unreadable_epoch_is_left_alone(
    root: Path, spool: SpoolWriter, content: bytes
) -> None:
    spool.close()
    (root / spool.writer / "epoch").write_bytes(content)
    other = SpoolWriter.open(root, maximum_bytes=1 << 20)
    assert other.writer != spool.writer
    assert (root / spool.writer / "epoch").read_bytes() == content
    other.close()


def test_full_segment_opens_the_next(root: Path) -> None:
    spool = SpoolWriter.open(root, maximum_bytes=1 << 20, segment_bytes=1000)
    for number in range(10):
        append_rows(spool, number)
    sizes = [size for _, size in list_segments(root / spool.writer)]
    assert len(sizes) > 2
    assert max(sizes) <= 1000
    spool.close()


def test_rows_beyond_the_bound_are_dropped_and_counted(root: Path) -> None:
    spool = SpoolWriter.open(root, maximum_bytes=4000)
    results = [append_rows(spool, number * 2, 2) for number in range(40)]
    statistics = spool.statistics()
    assert statistics.bytes <= 4000
    assert statistics.appended == {("predictions", "flights"): 2 * results.count(True)}
    assert statistics.dropped == {("predictions", "flights"): 2 * results.count(False)}
    assert 0 < results.count(True) < 40
    assert "shipper is too slow" in statistics.last_error
    spool.close()


def test_drop_counter_survives_a_kill(root: Path) -> None:
    spool = SpoolWriter.open(root, maximum_bytes=4000)
    for number in range(40):
        append_rows(spool, number)
    dropped = spool.statistics().dropped["predictions", "flights"]
    # Nothing is closed or flushed here: this is what a killed process leaves.
    [drop] = read_drops(root / spool.writer)[spool.epoch]
    assert (drop.kind, drop.model, drop.dropped, drop.next_sequence) == (
        "predictions",
        "flights",
        dropped,
        40,
    )


def test_shipping_frees_space(root: Path) -> None:
    spool = SpoolWriter.open(root, maximum_bytes=4000)
    reader = SpoolReader(root / spool.writer)
    while append_rows(spool, 0):
        pass
    while entries := reader.read():
        reader.acknowledge(entries[-1].end)
    spool.statistics()
    assert append_rows(spool, 1)
    spool.close()


def test_full_disk_drops_rows_until_it_has_space(root: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    spool = SpoolWriter.open(root, maximum_bytes=1 << 20)
    reader = SpoolReader(root / spool.writer)
    append_rows(spool, 0)
    # The kernel's own limit on the size of a file stands in for a full disk: it also cuts a write in the middle.
    size = list_segments(root / spool.writer)[0][1]
    soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (100, hard))
    try:
        assert [append_rows(spool, number) for number in (1, 2)] == [False, False]
        assert list_segments(root / spool.writer)[0][1] == size
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))
    assert append_rows(spool, 3)
    assert [entry.record.sequence for _ in range(2) for entry in reader.read()] == [0, 3]
    assert spool.statistics().dropped == {("predictions", "flights"): 2}
    spool.close()


def test_segment_that_cannot_be_truncated_is_abandoned(
    root: Path, spool: SpoolWriter, monkeypatch: pytest.MonkeyPatch
) -> None:
    append_rows(spool, 0)
    real_writev = os.writev

    def half(descriptor: int, buffers: list[bytes]) -> int:
        real_writev(descriptor, [b"".join(buffers)[:50]])
        raise OSError(errno.EIO, "Input/output error")

    def refuse(descriptor: int, length: int) -> None:
        raise OSError(errno.EIO, "Input/output error")

    with monkeypatch.context() as broken:
        broken.setattr(os, "writev", half)
        broken.setattr(os, "ftruncate", refuse)
        assert not append_rows(spool, 1)
    assert append_rows(spool, 2)
    reader = SpoolReader(root / spool.writer)
    found = [entry.record.sequence for _ in range(3) for entry in reader.read()]
    assert found == [0, 2]
    assert reader.torn_records == 1
    assert "Input/output error" in spool.statistics().last_error


def test_different_lengths_raise_value_error(spool: SpoolWriter) -> None:
    now = datetime.now(UTC)
    with pytest.raises(ValueError, match="'carrier' has 1 values, expected 2"):
        append(spool, ["a", "b"], {"carrier": ["UA"]}, scores=[0.1, 0.2])
    with pytest.raises(ValueError, match="expected the same number"):
        spool.append_outcomes(
            model="flights", received_at=now, prediction_ids=["a"], values=[], observed_at=[now]
        )


def test_empty_request_writes_no_record(root: Path, spool: SpoolWriter) -> None:
    assert append_rows(spool, 0, 0)
    assert list_segments(root / spool.writer) == []


def test_tensors_are_stored_with_the_row(root: Path, spool: SpoolWriter) -> None:
    image = np.random.default_rng(7).random((2, 3, 4)).astype(np.float32)
    append(spool, ["a", "b"], {"image": image, "size": np.array([1.0, 2.0])})
    [entry] = SpoolReader(root / spool.writer).read()
    np.testing.assert_array_equal(entry.record.tensors["image"], image)  # type: ignore[union-attr]
    assert entry.record.columns == {"size": [1.0, 2.0]}  # type: ignore[union-attr]


def test_unwritable_folder_is_named(tmp_path: Path) -> None:
    (tmp_path / "spool").write_text("a file where the folder should be")
    with pytest.raises(OperatorError, match="the spool .* cannot be written"):
        SpoolWriter.open(tmp_path / "spool", maximum_bytes=1000)


def test_classes_are_read_as_they_were_written(root: Path, spool: SpoolWriter) -> None:
    image = np.arange(8, dtype=np.float32).reshape(2, 2, 2)
    scores = np.array([[0.7, 0.2, 0.1], [0.1, 0.1, 0.8]], np.float32)
    append(spool, ["a", "b"], {"image": image}, scores=[0.7, 0.8], classes=Classes(["cat", "bird"], scores))
    append_label_outcomes(spool, 0, ["cat"])
    predictions, outcomes = (entry.record for entry in SpoolReader(root / spool.writer).read())
    assert isinstance(predictions, PredictionRecord)
    assert predictions.classes is not None
    assert predictions.classes.labels == ["cat", "bird"]
    np.testing.assert_array_equal(predictions.classes.scores, scores)
    np.testing.assert_array_equal(predictions.tensors["image"], image)
    assert isinstance(outcomes, OutcomeRecord)
    assert (outcomes.labels, outcomes.values) == (["cat"], [None])


def test_other_records_have_neither_labels_nor_probabilities(root: Path, spool: SpoolWriter) -> None:
    append_rows(spool, 0)
    append_outcomes(spool, 0)
    for entry in SpoolReader(root / spool.writer).read():
        assert b"labels" not in entry.payload
        assert b"classes" not in entry.payload


def test_a_label_per_row_is_required(spool: SpoolWriter) -> None:
    with pytest.raises(ValueError, match="1 ids, 2 labels, 1 rows of scores"):
        append(
            spool, ["a"], {}, scores=[0.5], classes=Classes(["cat", "dog"], np.full((1, 2), 0.5, np.float32))
        )
    with pytest.raises(ValueError, match="expected the same number"):
        spool.append_outcomes(
            model="animals",
            received_at=NOON,
            prediction_ids=["a"],
            values=[None],
            observed_at=[NOON],
            labels=["cat", "dog"],
        )

    with pytest.raises(ValueError, match="1 ids, 2 rows of vectors: expected the same number"):
        append(spool, ["a"], {}, vectors=np.zeros((2, 3), np.float32))


def test_rows_of_numbers_are_read_as_they_were_written(root: Path, spool: SpoolWriter) -> None:
    vectors = np.array([[1.5, -2.0, 3e38], [0.1, 0.2, 0.3]], np.float32)
    image = np.arange(8, dtype=np.float32).reshape(2, 2, 2)
    assert append(spool, ["a", "b"], {"image": image}, vectors=vectors)
    assert spool.append_outcomes(
        model="vectors",
        received_at=NOON,
        prediction_ids=["a"],
        values=[None],
        observed_at=[NOON],
        numbers=[{"low": 1.0, "high": 2.0}],
    )
    predictions, outcomes = [entry.record for entry in SpoolReader(root / spool.writer).read()]
    assert isinstance(predictions, PredictionRecord)
    assert isinstance(outcomes, OutcomeRecord)
    np.testing.assert_array_equal(predictions.vectors, vectors)
    np.testing.assert_array_equal(predictions.tensors["image"], image)
    assert (predictions.scores, predictions.classes) == (None, None)
    assert (outcomes.numbers, outcomes.labels) == ([{"low": 1.0, "high": 2.0}], None)


def test_timestamps_are_marked_and_other_records_have_no_mark(root: Path, spool: SpoolWriter) -> None:
    times = np.array(["2026-03-01T12:00:00.000001", "1960-01-01"], "datetime64[us]")
    given: list[dict[str, Any]] = [{"opened": times, "size": [1.0, 2.0]}, {"size": [1.0, 2.0]}]
    for columns in given:
        append(spool, ["a", "b"], columns)
    first, second = (entry.record for entry in SpoolReader(root / spool.writer).read())
    assert isinstance(first, PredictionRecord)
    assert isinstance(second, PredictionRecord)
    assert first.timestamps == {"opened"}
    assert first.columns == {
        "opened": [1_772_366_400_000_001, -315_619_200_000_000],
        "size": [1.0, 2.0],
    }
    assert second.timestamps == frozenset()
    [segment] = list_segments(root / spool.writer)
    assert (root / spool.writer / segment[0].filename).read_bytes().count(b'"timestamps"') == 1


def _record(first: int, count: int, model: str = "flights") -> dict[str, Any]:
    return {
        "model": model,
        "version": "v",
        "generation": 1,
        "event_time": NOON,
        "answered_at": NOON,
        "prediction_ids": [f"{model}-{number}" for number in range(first, first + count)],
        "scores": [0.5] * count,
        "columns": {"x": np.full((count, 2), first, np.float32)},
    }


def test_records_appended_together_are_one_write(
    root: Path, spool: SpoolWriter, monkeypatch: pytest.MonkeyPatch
) -> None:
    writes: list[int] = []
    write = os.writev

    def noting(descriptor: int, buffers: list[bytes]) -> int:
        writes.append(len(buffers))
        return write(descriptor, buffers)

    monkeypatch.setattr(os, "writev", noting)
    kept = spool.append_together([_record(0, 2), _record(0, 1, "taxis"), _record(2, 0), _record(2, 1)])
    assert kept == [True] * 4
    assert len(writes) == 1
    entries = SpoolReader(root / spool.writer).read()
    assert [(one.record.model, one.record.sequence, len(one.record)) for one in entries] == [
        ("flights", 0, 2),
        ("taxis", 0, 1),
        ("flights", 2, 1),
    ]
    assert spool.statistics().appended == {("predictions", "flights"): 3, ("predictions", "taxis"): 1}


def test_what_there_is_room_for_is_kept_of_a_group(root: Path) -> None:
    spool = SpoolWriter.open(root, maximum_bytes=1500)
    assert spool.append_together([_record(0, 2), _record(2, 100), _record(102, 1)]) == [True, False, True]
    assert _sequences(root / spool.writer) == [(0, 2), (102, 1)]
    (drop,) = read_drops(root / spool.writer)[spool.epoch]
    assert (drop.dropped, drop.next_sequence) == (100, 102)
    spool.close()


def test_group_of_many_buffers_is_written(root: Path, spool: SpoolWriter) -> None:
    assert all(spool.append_together([_record(number, 1) for number in range(700)]))
    assert _sequences(root / spool.writer) == [(number, 1) for number in range(700)]


def test_record_of_many_buffers_is_written(root: Path, spool: SpoolWriter) -> None:
    """More than one system call takes."""
    parts = [{"x": np.full((1, 2), number, np.float32)} for number in range(1500)]
    record = {**_record(0, len(parts)), "columns": parts[0]}
    assert spool.append_together([{**record, "following": parts[1:]}]) == [True]
    (entry,) = SpoolReader(root / spool.writer).read()
    assert isinstance(entry.record, PredictionRecord)
    np.testing.assert_array_equal(entry.record.tensors["x"], np.repeat(np.arange(1500), 2).reshape(-1, 2))


def test_following_columns_continue_the_first(root: Path, spool: SpoolWriter) -> None:
    def part(number: int) -> dict[str, Any]:
        return {
            "amount": [number + 0.5],
            "when": np.array([number], "datetime64[us]"),
            "x": np.full((1, 2, 1), number, np.float32),
            "y": np.full((1, 3), 10 * number, np.float32),
        }

    record = {**_record(0, 3), "columns": part(1), "following": [part(2), part(3)]}
    assert spool.append_predictions(**record)
    (entry,) = SpoolReader(root / spool.writer).read()
    assert isinstance(entry.record, PredictionRecord)
    assert entry.record.columns == {"amount": [1.5, 2.5, 3.5], "when": [1, 2, 3]}
    np.testing.assert_array_equal(entry.record.tensors["x"].ravel(), [1, 1, 2, 2, 3, 3])
    np.testing.assert_array_equal(entry.record.tensors["y"], [[10] * 3, [20] * 3, [30] * 3])
    with pytest.raises(ValueError, match="has 2 values, expected 3"):
        spool.append_predictions(**{**record, "following": [part(2)]})


def _sequences(folder: Path) -> list[tuple[int, int]]:
    reader, found = SpoolReader(folder), []
    while entries := reader.read():
        found += [(one.record.sequence, len(one.record)) for one in entries]
    return found


@pytest.fixture
def small_disk(tmp_path: Path) -> Iterator[Path]:
    """A file system of a megabyte."""
    place = tmp_path / "disk"
    place.mkdir()
    mounted = subprocess.run(
        ["mount", "-t", "tmpfs", "-o", "size=1m", "tmpfs", str(place)], capture_output=True, check=False
    )
    if mounted.returncode != 0:
        pytest.skip("a file system cannot be mounted here")
    yield place
    subprocess.run(["umount", "--lazy", str(place)], check=True)


def test_full_disk_has_room_again_once_its_only_segment_is_shipped(small_disk: Path) -> None:
    root = small_disk / "spool"
    spool = SpoolWriter.open(root, maximum_bytes=64 << 20)
    reader = SpoolReader(root / spool.writer)
    kept, dropped, following = 0, 0, 0
    for _ in range(3):
        while append_rows(spool, following, 100):
            following += 100
            kept += 100
        following += 100
        dropped += 100
        assert "No space" in spool.statistics().last_error or "accepted" in spool.statistics().last_error
        while entries := reader.read():
            kept -= sum(len(entry.record) for entry in entries)
            reader.acknowledge(entries[-1].end)
        reader.read()
    assert append_rows(spool, following), "all of it was shipped"
    assert kept == 0, "every row that was kept was shipped once"
    assert spool.statistics().dropped == {("predictions", "flights"): dropped}
    again = SpoolReader(root / spool.writer)
    assert [entry.record.sequence for entry in again.read()] == [following]
    spool.close()


def test_limit_of_a_files_size_opens_the_next_segment(root: Path, spool: SpoolWriter) -> None:
    append_rows(spool, 0)
    size = list_segments(root / spool.writer)[0][1]
    soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (size + 100, hard))
    try:
        assert [append_rows(spool, number) for number in (1, 2)] == [True, True]
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))
    reader = SpoolReader(root / spool.writer)
    found: list[int] = []
    while entries := reader.read():
        found += [entry.record.sequence for entry in entries]
        reader.acknowledge(entries[-1].end)
    assert found == [0, 1, 2]
