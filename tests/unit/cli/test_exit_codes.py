"""Every error has an exit code, and `homeostat --help` explains them."""

from __future__ import annotations

import re

from typer.testing import CliRunner

from cli.exit_codes import BY_ERROR, MEANINGS
from cli.main import app
from shared.errors import HomeostatError


def page(*words: str, width: int = 80) -> str:
    done = CliRunner().invoke(
        app, [*words, "--help"], env={"COLUMNS": str(width), "TERMINAL_WIDTH": str(width)}
    )
    assert done.exit_code == 0, done.output
    return re.sub("\x1b\\[[0-9;]*m", "", done.output)


def test_help_page_explains_exit_codes() -> None:
    shown = " ".join(page().split())
    assert "homeostat demo --part 0.1" in shown
    for code, meaning in MEANINGS.items():
        assert f"{code} {re.split('[:;]', meaning)[0]}" in shown


def test_every_error_has_an_exit_code() -> None:
    assert {code for _, code in BY_ERROR} < set(MEANINGS)
    tree = {kind for kind in HomeostatError.__subclasses__() if kind.__module__ == HomeostatError.__module__}
    assert {kind for kind, _ in BY_ERROR} == tree
