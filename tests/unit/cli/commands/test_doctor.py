"""`homeostat doctor`: its report and exit code."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from typer.testing import CliRunner

from cli.main import app


def test_exit_code_1_after_a_failure(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HOMEOSTAT_JAVA_HOME", str(tmp_path))
    done = CliRunner().invoke(app, ["doctor", "--home", str(tmp_path), "--json"])
    report = json.loads(done.stdout)
    assert done.exit_code == 1
    assert not report["ok"]
    checked = {finding["checked"] for finding in report["findings"]}
    assert {
        "python",
        "java",
        "broker jars",
        "disk",
        "device",
        "supervisor",
        "port of kafka",
        "lake",
        "clock",
    } <= checked
