"""A local table is read without Python's file system: a process may end while Arrow's threads still hold files."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pyarrow as pa
import pytest
from deltalake import write_deltalake
from pyarrow import fs

from shared.stores.lake import Lake
from shared.stores.tables.lake_table import LakeTable, files_of

_READ_A_FEW = """
import sys
from shared.stores.lake import Lake
print(Lake("unused").open(sys.argv[1]).to_pyarrow_dataset().head(3).num_rows, flush=True)
"""


def table_of(folder: Path, files: int = 1) -> str:
    location = str(folder / "a table")
    for place in range(files):
        write_deltalake(location, pa.table({"value": list(range(place, place + 2000))}), mode="append")
    return location


@pytest.mark.parametrize("form", ["path", "url", "relative"])
def test_local_table_is_read_without_python(
    tmp_path: Path, form: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    location = table_of(tmp_path)
    monkeypatch.chdir(tmp_path)
    given = {"path": location, "url": Path(location).as_uri(), "relative": "a table"}[form]
    (fragment,) = LakeTable(given).to_pyarrow_dataset().get_fragments()
    assert isinstance(fragment.filesystem, fs.SubTreeFileSystem)
    assert isinstance(fragment.filesystem.base_fs, fs.LocalFileSystem)
    assert LakeTable(given).to_pyarrow_table().num_rows == 2000
    assert files_of(given) == fragment.filesystem


def test_every_handle_of_lake_is_such_a_table(tmp_path: Path) -> None:
    location, lake = table_of(tmp_path, files=2), Lake(str(tmp_path))
    assert isinstance(lake.open(location), LakeTable)
    assert isinstance(lake.open_at(location, 0), LakeTable)


def test_process_ends_cleanly_after_part_of_scan(tmp_path: Path) -> None:
    location = table_of(tmp_path, files=30)
    ended = subprocess.run(
        [sys.executable, "-c", _READ_A_FEW, location], capture_output=True, text=True, timeout=60, check=False
    )
    assert (ended.returncode, ended.stdout, ended.stderr) == (0, "3\n", "")
