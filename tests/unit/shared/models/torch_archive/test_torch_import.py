from __future__ import annotations

import os
import subprocess
import sys
from importlib.machinery import ModuleSpec
from pathlib import Path
from types import ModuleType

import pytest

from shared.errors import UnservableModel
from shared.models.torch_archive import torch_import
from tests.waiting import bound

ROOT = Path(__file__).parents[5]


@pytest.fixture
def torch_of_nothing(monkeypatch: pytest.MonkeyPatch) -> None:
    """A module that is imported already, and says where its libraries would be."""
    monkeypatch.setitem(sys.modules, "torch", ModuleType("torch"))
    spec = ModuleSpec("torch", None, origin="/site/torch/__init__.py")
    monkeypatch.setattr(torch_import, "find_spec", lambda _: spec)


def test_library_is_loaded_before_the_import(torch_of_nothing: None, monkeypatch: pytest.MonkeyPatch) -> None:
    loaded: list[Path] = []
    monkeypatch.setattr(torch_import, "_load", loaded.append)
    torch_import.import_torch()
    assert loaded == [Path("/site/torch/lib/libtorch.so")]


@pytest.mark.usefixtures("torch_of_nothing")
def test_library_that_is_not_there_is_left_to_the_import() -> None:
    torch_import.import_torch()


def test_other_threads_run_while_a_library_is_loaded(tmp_path: Path) -> None:
    """Opening a pipe without a writer waits: a process that holds Python's lock meanwhile waits for ever."""
    os.mkfifo(tmp_path / "library.so")
    code = (
        "import sys, threading; from pathlib import Path; from shared.models.torch_archive.torch_import import _load\n"
        "pipe = Path(sys.argv[1]); loading = threading.Thread(target=_load, args=(pipe,)); loading.start()\n"
        "pipe.write_bytes(b'no library'); loading.join()"
    )
    command = [sys.executable, "-c", code, str(tmp_path / "library.so")]
    assert subprocess.run(command, cwd=ROOT, timeout=bound(30), check=False).returncode == 0


def test_missing_torch_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "torch", None)
    with pytest.raises(UnservableModel, match=r"homeostat\[torch\]"):
        torch_import.import_torch()
