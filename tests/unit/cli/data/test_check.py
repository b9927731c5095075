"""`homeostat check`: exit codes, ignored kinds, and a released model as the expectation."""

from __future__ import annotations

import json
from pathlib import Path

import pyarrow.parquet as pq
import pytest

from shared.data_checks.table_file import read_table
from tests.unit.cli.command import run
from tests.unit.shared.data_checks.data_sets import LOOP, numbers, parcels, with_column


@pytest.fixture
def project(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A folder with loop.yaml and three files of rows."""
    (tmp_path / "loop.yaml").write_text(LOOP)
    good = parcels(500, seed=2)
    pq.write_table(parcels(2000, seed=1), tmp_path / "train.parquet")
    pq.write_table(good, tmp_path / "good.parquet")
    metres = with_column(good, "distance_km", numbers(good, "distance_km") * 3)
    pq.write_table(
        with_column(metres, "weight_kg", numbers(good, "weight_kg") * 1000), tmp_path / "bad.parquet"
    )
    monkeypatch.chdir(tmp_path)
    return tmp_path


def test_good_data_pass(project: Path) -> None:
    done = run("check", "good.parquet", "--reference", "train.parquet")
    assert done.exit_code == 0, done.output
    assert "500 rows, 7 columns, 2000 reference rows: no findings" in done.output


def test_findings_fail_with_exit_code_1(project: Path) -> None:
    done = run(
        "check",
        str(project / "bad.parquet"),
        "--project",
        str(project),
        "--reference",
        "train.parquet",
        "--json",
    )
    assert done.exit_code == 1
    document = json.loads(done.stdout)
    assert document["passed"] is False
    assert ("unit_change", "weight_kg") in [(one["kind"], one["column"]) for one in document["findings"]]
    assert (document["model"], document["rows"], document["reference_rows"]) == ("parcels", 500, 2000)


def test_without_a_reference_only_loop_yaml_counts(project: Path) -> None:
    done = run("check", "bad.parquet", "--ignore", "out_of_range:distance_km")
    assert done.exit_code == 0, done.output
    assert "no reference" in done.output


def test_notes_do_not_fail(project: Path) -> None:
    rows = read_table(project / "good.parquet")
    pq.write_table(
        with_column(rows, "key", [f"k{number}" for number in range(500)]), project / "keys.parquet"
    )
    done = run("check", "keys.parquet")
    assert done.exit_code == 0
    assert "identifier" in done.output


@pytest.mark.parametrize(
    ("arguments", "code", "said"),
    [
        (("good.parquet", "--ignore", "nonsense"), 3, "names no kind"),
        (("good.parquet", "--model", "parcels", "--project", "."), 3, "exclude each other"),
        (("absent.parquet",), 4, "there is no file"),
        (("loop.yaml",), 4, "unknown kind"),
    ],
)
def test_wrong_arguments(project: Path, arguments: tuple[str, ...], code: int, said: str) -> None:
    done = run("check", *arguments)
    assert done.exit_code == code
    assert said in done.stderr


def test_without_a_project_the_hint_names_the_options(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    done = run("check", "rows.parquet")
    assert done.exit_code == 3
    assert "--project" in done.stderr
    assert "--model" in done.stderr
