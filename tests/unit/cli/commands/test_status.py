"""`homeostat status`."""

from __future__ import annotations

from pathlib import Path

from tests.unit.cli.command import run


def test_status_without_a_stack_has_a_hint(tmp_path: Path) -> None:
    shown = run("status", "--home", str(tmp_path))
    assert shown.exit_code == 3
    assert "homeostat up" in shown.stderr
