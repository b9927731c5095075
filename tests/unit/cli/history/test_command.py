"""`homeostat import`: what is checked before anything is sent, and what a person reads."""

from __future__ import annotations

import json
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from cli.exit_codes import DONE, FOUND_SOMETHING
from tests.unit.cli.command import run
from tests.unit.cli.history.conftest import HEADER, LOOP, csv_rows

BAD = "2013-01-09T00:00:00Z,far,AA,,1\n2013-01-09T01:00:00Z,1,DL,,1\n"


@pytest.fixture
def project(tmp_path: Path) -> Path:
    (tmp_path / "project").mkdir()
    (tmp_path / "project" / "loop.yaml").write_text(LOOP.replace("personal: pseudonym", "personal: true"))
    (tmp_path / "rows.csv").write_text(HEADER + csv_rows(0, 4) + BAD)
    return tmp_path


def arguments(at: Path, *more: str) -> tuple[str, ...]:
    return (
        "import",
        str(at / "rows.csv"),
        "--model",
        "flights",
        "--project",
        str(at / "project"),
        "--home",
        str(at / "home"),
        *more,
    )


def test_dry_run_names_every_wrong_row(project: Path) -> None:
    done = run(*arguments(project, "--dry-run", "--json", "--refused", str(project / "refused.jsonl")))
    assert done.exit_code == FOUND_SOMETHING, done.output
    [file] = json.loads(done.stdout)["files"]
    assert (file["rows"], file["outcomes"], file["refused"]) == (4, 3, 2)
    assert [(one["line"], one["field"]) for one in file["problems"]] == [(6, "distance"), (7, "carrier")]
    assert len((project / "refused.jsonl").read_text().splitlines()) == 2


def test_file_with_wrong_rows_is_not_imported(project: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Neither with the other rows of the file, nor with those of the other files."""
    sent = []

    @contextmanager
    def producer(settings: object) -> Iterator[object]:
        sent.append(settings)
        yield None

    monkeypatch.setattr("cli.history.command.find_home", lambda *_, **__: project / "home")
    monkeypatch.setattr("cli.history.connection.log_producer", producer)
    (project / "good.csv").write_text(HEADER + csv_rows(0, 4))
    done = run("import", str(project / "good.csv"), *arguments(project, "--json")[1:])
    assert done.exit_code != DONE
    assert "2 rows are not valid, so nothing was imported; the first: " in json.loads(done.stdout)["error"]
    assert (
        f"{project / 'rows.csv'}:6: distance: is 'far'; expected a number" in json.loads(done.stdout)["error"]
    )
    assert not sent
    text = run(*arguments(project, "--skip-invalid", "--dry-run")).output
    assert "4 rows and 3 outcomes are valid; 2 rows are not valid" in text
    (project / "rows.csv").write_text(HEADER + csv_rows(0, 4))
    assert run(*arguments(project, "--dry-run")).exit_code == DONE


def test_other_model_and_other_suffix_are_refused(project: Path) -> None:
    done = run(*arguments(project, "--dry-run", "--json", "--model", "parcels"))
    assert "is of flights, not of parcels" in json.loads(done.stdout)["error"]
    (project / "rows.txt").write_text("a")
    done = run(
        "import",
        str(project / "rows.txt"),
        "--model",
        "flights",
        "--project",
        str(project / "project"),
        "--home",
        str(project / "home"),
        "--dry-run",
        "--json",
    )
    assert "none of the suffixes .parquet, .csv, .jsonl" in json.loads(done.stdout)["error"]
