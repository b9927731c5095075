from __future__ import annotations

import importlib
import sys
from collections.abc import Iterator
from pathlib import Path
from threading import Thread

import pytest

from shared.deferred_package import defer_package

INIT = """
import time
from slow_library.core import number
time.sleep(0.05)
runs = globals().get("runs", 0) + 1
"""


@pytest.fixture(autouse=True)
def library(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """A package `slow_library` with the modules `core` and `test`."""
    folder = tmp_path / "slow_library"
    folder.mkdir()
    (folder / "__init__.py").write_text(INIT)
    (folder / "core.py").write_text("number = 7\n")
    (folder / "test.py").write_text("from slow_library.core import number\n")
    monkeypatch.syspath_prepend(str(tmp_path))
    yield
    for name in [name for name in sys.modules if name.partition(".")[0] == "slow_library"]:
        del sys.modules[name]


def test_submodule_is_imported_without_the_package() -> None:
    defer_package("slow_library")
    assert importlib.import_module("slow_library.test").number == 7
    package = importlib.import_module("slow_library")
    assert not hasattr(package, "__warningregistry__")
    assert "runs" not in vars(package)


def test_use_of_the_package_runs_its_init_once() -> None:
    defer_package("slow_library")
    package = importlib.import_module("slow_library")
    found: list[int] = []
    threads = [Thread(target=lambda: found.append(package.runs)) for _ in range(3)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(10)
    assert found == [1, 1, 1]
    with pytest.raises(AttributeError, match="slow_library"):
        _ = package.missing


def test_imported_package_is_left_as_it_is() -> None:
    package = importlib.import_module("slow_library")
    defer_package("slow_library")
    assert sys.modules["slow_library"] is package
    assert package.runs == 1


def test_missing_package_is_an_import_error() -> None:
    with pytest.raises(ModuleNotFoundError, match="no_such_library"):
        defer_package("no_such_library")
