"""`homeostat init`: a project that reads as a loop spec, and never overwrites."""

from __future__ import annotations

from pathlib import Path

from typer.testing import CliRunner

from cli.main import app
from shared.contracts.loop_spec import read_loop_spec


def test_the_project_is_readable_and_named_as_asked(tmp_path: Path) -> None:
    done = CliRunner().invoke(app, ["init", str(tmp_path / "mine"), "--model", "letters"])
    assert done.exit_code == 0, done.output
    assert read_loop_spec(tmp_path / "mine").model == "letters"
    assert '"model": "letters"' in (tmp_path / "mine" / "README.md").read_text()


def test_nothing_is_overwritten(tmp_path: Path) -> None:
    (tmp_path / "train.py").write_text("mine")
    done = CliRunner().invoke(app, ["init", str(tmp_path)])
    assert done.exit_code == 3
    assert "train.py exists already" in done.stderr
    assert [path.name for path in tmp_path.iterdir()] == ["train.py"]


def test_a_name_no_model_may_have_is_refused_before_anything_is_written(tmp_path: Path) -> None:
    done = CliRunner().invoke(app, ["init", str(tmp_path / "mine"), "--model", "No Name"])
    assert done.exit_code == 4
    assert "model" in done.stderr
    assert not (tmp_path / "mine").exists()
