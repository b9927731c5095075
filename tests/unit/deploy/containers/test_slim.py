"""What is taken out of an image's packages, and that what stays still works."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from pathlib import Path

import isal
import numpy
import pyarrow
import zstandard

from deploy.containers.slim import cut, slim


def package(module: object, below: Path) -> Path:
    """A copy of an installed package, by hard links as uv makes them."""
    source = Path(str(module.__file__)).parent  # type: ignore[attr-defined]
    shutil.copytree(source, below / source.name, copy_function=os.link)
    return below / source.name


def test_arrow_and_zstandard_work_without_what_is_taken_out(tmp_path: Path) -> None:
    for module in (pyarrow, zstandard):
        package(module, tmp_path)
    before = (Path(str(pyarrow.__file__)).parent / "libarrow_flight.so.2500").stat().st_size
    saved = dict(slim(tmp_path))
    assert saved["pyarrow/libarrow_flight.*"] >= before
    assert saved["pyarrow"] > 10_000_000, "symbols"
    assert saved["zstandard"] > 5_000_000, "debug information"
    assert not (tmp_path / "pyarrow" / "include").exists()
    assert (Path(str(pyarrow.__file__)).parent / "include").exists(), "the cache's own file is left"
    code = (
        "import pyarrow as pa, pyarrow.compute as pc, pyarrow.dataset, pyarrow.fs, pyarrow.parquet as pq, zstandard\n"
        "pq.write_table(pa.table({'a': [1, 2, 3]}), 'x.parquet', compression='zstd')\n"
        "print(pc.sum(pq.read_table('x.parquet')['a']), zstandard.backend, pa.__file__)"
    )
    where = {**os.environ, "PYTHONPATH": str(tmp_path)}
    done = subprocess.run(
        [sys.executable, "-c", code], cwd=tmp_path, env=where, capture_output=True, text=True
    )
    assert done.stdout.split() == ["6", "cext", str(tmp_path / "pyarrow" / "__init__.py")], done.stderr


def test_scipy_works_with_what_is_left_of_numpy(tmp_path: Path) -> None:
    """It imports every submodule that numpy names, f2py included."""
    package(numpy, tmp_path)
    libraries = Path(str(numpy.__file__)).parent.with_name("numpy.libs")
    shutil.copytree(libraries, tmp_path / "numpy.libs", copy_function=os.link)
    assert dict(slim(tmp_path))["numpy/**/tests"] > 1_000_000
    code = "import numpy, scipy.special, scipy.stats; print(scipy.special.gammaln(1.0), numpy.__file__)"
    where = {**os.environ, "PYTHONPATH": str(tmp_path)}
    done = subprocess.run(
        [sys.executable, "-c", code], cwd=tmp_path, env=where, capture_output=True, text=True
    )
    assert done.stdout.split() == ["0.0", str(tmp_path / "numpy" / "__init__.py")], done.stderr


def test_cut_library_is_replaced_and_never_cut_twice(tmp_path: Path) -> None:
    found = next(package(isal, tmp_path).glob("isal_zlib*.so"))
    original = next(Path(str(isal.__file__)).parent.glob("isal_zlib*.so"))
    size = original.stat().st_size
    assert cut(found) == size - found.stat().st_size > 0
    assert original.stat().st_size == size, "a hard link into a package cache"
    assert cut(found) == 0


def test_other_files_are_not_cut(tmp_path: Path) -> None:
    text = tmp_path / "linker_script.so"
    text.write_text("INPUT(libc.so.6)")
    assert cut(text) == 0
    assert text.read_text() == "INPUT(libc.so.6)"
