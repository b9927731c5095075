from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest

from services.inference.isolation.program_files import ProgramFiles


@pytest.mark.parametrize(
    "change",
    [
        lambda module: module.write_text("x = 22\n"),
        lambda module: module.unlink(),
        lambda module: module.with_name("new.py").write_text(""),
    ],
)
def test_change_of_a_module_is_seen(tmp_path: Path, change: Callable[[Path], object]) -> None:
    module = tmp_path / "shared" / "models" / "probe.py"
    module.parent.mkdir(parents=True)
    module.write_text("x = 1\n")
    files = ProgramFiles(tmp_path)
    module.with_suffix(".pyc").write_text("made by Python itself")
    assert not files.replaced()
    change(module)
    assert files.replaced()


def test_files_are_those_of_the_server() -> None:
    files = ProgramFiles()
    assert not files.replaced()
    assert any(path.endswith("isolation/__main__.py") for path in files._at_start)
