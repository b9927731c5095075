"""Files of runs while retraining works on them, and as a training command may write them."""

from __future__ import annotations

import stat
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from shared.stores.erasure.row_files import FileRows, erase_in_file, find_in_files
from shared.stores.erasure.subject import Subject

CANARY = "canary-2203"
SUBJECT = Subject((CANARY,))
PERSONAL = frozenset({"customer"})


def found(folder: Path) -> list[FileRows]:
    return list(find_in_files(folder, SUBJECT, frozenset(), PERSONAL))


def test_columns_of_any_type_are_searched(tmp_path: Path) -> None:
    texts = pa.array([CANARY, "beatrice"])
    for name, column in {
        "category": texts.dictionary_encode(),
        "object": pa.array([{"id": CANARY}, {"id": "beatrice"}]),
        "bytes": pa.array([CANARY.encode(), b"\xff"]),
        "number": pa.array([1.0, 2.0]),
    }.items():
        pq.write_table(pa.table({"customer": column}), tmp_path / f"{name}.parquet")
    assert [(one.path.stem, one.rows) for one in found(tmp_path)] == [
        ("bytes", 1), ("category", 1), ("object", 1),
    ]  # fmt: skip


def test_nobody_else_can_read_a_file_while_it_is_written_again(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = tmp_path / "train.parquet"
    pq.write_table(pa.table({"customer": [CANARY, "beatrice"]}), path)
    path.chmod(0o640)
    modes = []
    write = pq.write_table

    def write_table(rows: pa.Table, to: Path, **options: str) -> None:
        write(rows, to, **options)
        modes.append(stat.S_IMODE(to.stat().st_mode))

    monkeypatch.setattr(pq, "write_table", write_table)
    erase_in_file(path, SUBJECT, frozenset(), PERSONAL)
    assert modes == [0o600]
    assert stat.S_IMODE(path.stat().st_mode) == 0o640
    assert pq.read_table(path)["customer"].to_pylist() == ["beatrice"]


def test_file_that_retraining_deletes_meanwhile_is_left_out(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name in ("a", "b"):
        pq.write_table(pa.table({"customer": [CANARY]}), tmp_path / f"{name}.parquet")
    read = pq.read_table

    def read_table(path: Path) -> pa.Table:
        if path.stem == "a":
            path.unlink()
        return read(path)

    monkeypatch.setattr(pq, "read_table", read_table)
    (file,) = found(tmp_path)
    assert file.path.stem == "b"
    file.path.unlink()
    erase_in_file(file.path, SUBJECT, frozenset(), PERSONAL)
    assert not list(tmp_path.iterdir())
