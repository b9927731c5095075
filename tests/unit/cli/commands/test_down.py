"""`homeostat down`."""

from __future__ import annotations

import json
from pathlib import Path

from tests.unit.cli.command import run


def test_down_without_a_stack_is_no_error(tmp_path: Path) -> None:
    shown = run("down", "--home", str(tmp_path), "--json")
    assert shown.exit_code == 0
    assert json.loads(shown.stdout) == {"ended": []}
