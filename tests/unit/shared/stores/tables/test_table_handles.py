"""Kept handles are the newest ones, whatever happened to the table, and looking for news opens nothing."""

from __future__ import annotations

import shutil
from pathlib import Path
from typing import Any

import pyarrow as pa
import pytest
from deltalake import DeltaTable, write_deltalake

from shared.stores.tables import table_handles
from shared.stores.tables.table_handles import TableHandles


def append(location: Path, value: int) -> None:
    write_deltalake(str(location), pa.table({"value": [value]}), mode="append")


def values(table: DeltaTable | None) -> list[int]:
    assert table is not None
    return sorted(table.to_pyarrow_table()["value"].to_pylist())


def test_table_is_there_from_its_first_commit_on(tmp_path: Path) -> None:
    handles, location = TableHandles(), tmp_path / "table"
    assert handles.newest(str(location)) is None
    append(location, 1)
    assert values(handles.newest(str(location))) == [1]


def test_table_without_news_is_not_opened_again(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    handles, location = TableHandles(), tmp_path / "table"
    append(location, 1)
    kept = handles.newest(str(location))

    def opened(*_: Any, **__: Any) -> None:
        raise AssertionError("the table was opened")

    monkeypatch.setattr(table_handles, "DeltaTable", opened)
    assert handles.newest(str(location)) is kept
    assert handles.at(str(location), 0) is kept
    assert handles.at(str(location), 1) is None


def test_commit_is_seen_and_moves_no_handle(tmp_path: Path) -> None:
    handles, location = TableHandles(), tmp_path / "table"
    append(location, 1)
    before = handles.newest(str(location))
    append(location, 2)
    assert values(handles.newest(str(location))) == [1, 2]
    assert values(before) == [1]


def test_commits_are_seen_after_the_log_was_cleaned_up(tmp_path: Path) -> None:
    """The entry after the kept version is gone then, as if there were no news."""
    handles, location = TableHandles(), tmp_path / "table"
    append(location, 0)
    handles.newest(str(location))
    for value in (1, 2, 3):
        append(location, value)
    table = DeltaTable(str(location))
    table.alter.set_table_properties({"delta.logRetentionDuration": "interval 0 seconds"})
    table.create_checkpoint()
    table.cleanup_metadata()
    assert not (location / "_delta_log" / f"{1:020}.json").exists()
    assert values(handles.newest(str(location))) == [0, 1, 2, 3]


def test_table_made_anew_is_another_one(tmp_path: Path) -> None:
    handles, location = TableHandles(), tmp_path / "table"
    append(location, 1)
    handles.newest(str(location))
    shutil.rmtree(location)
    assert handles.newest(str(location)) is None
    append(location, 7)
    handles.newest(str(location))
    shutil.rmtree(location)
    append(location, 8)
    assert values(handles.newest(str(location))) == [8]
