from __future__ import annotations

import ctypes
import importlib.util
import sys
from importlib.machinery import ModuleSpec
from types import ModuleType

import pytest

from shared.errors import UnservableModel
from shared.models.torch_archive import torch_import


@pytest.fixture
def loaded(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """Libraries that were loaded before the import; torch is a module without any."""
    monkeypatch.setitem(sys.modules, "torch", ModuleType("torch"))
    monkeypatch.setattr(
        torch_import, "find_spec", lambda _: ModuleSpec("torch", None, origin="/site/torch/__init__.py")
    )
    names: list[str] = []
    monkeypatch.setattr(ctypes, "CDLL", names.append)
    return names


def test_library_is_loaded_before_the_import_holds_the_lock(loaded: list[str]) -> None:
    torch_import.import_torch()
    assert loaded == ["/site/torch/lib/libtorch_python.so"]


def test_library_of_another_platform_is_left_to_the_import(
    monkeypatch: pytest.MonkeyPatch, loaded: list[str]
) -> None:
    def missing(_: str) -> None:
        raise OSError("no such file")

    monkeypatch.setattr(ctypes, "CDLL", missing)
    torch_import.import_torch()


def test_missing_torch_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "torch", None)
    with pytest.raises(UnservableModel, match=r"homeostat\[torch\]"):
        torch_import.import_torch()
    assert importlib.util.find_spec("torch") is None
