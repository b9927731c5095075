from __future__ import annotations

import json
from pathlib import Path

from tests.unit.cli.command import run


def test_files_are_in_the_home_by_default(tmp_path: Path) -> None:
    done = run("certificates", "create", "--home", str(tmp_path), "--json")
    assert done.exit_code == 0, done.output
    files = json.loads(done.stdout)
    assert files["certificate"] == str(tmp_path / "tls" / "server.pem")
    assert all(Path(path).is_file() for path in files.values())


def test_next_command_is_shown(tmp_path: Path) -> None:
    done = run("certificates", "create", "--folder", str(tmp_path), "--name", "a.example.org")
    assert done.exit_code == 0, done.output
    assert f"use them: set -a; . {tmp_path / 'settings.env'}; set +a; homeostat up" in done.stdout
