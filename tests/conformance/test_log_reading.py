"""`homeostat log tail`, `query` and `export`, over a lake on disk."""

from __future__ import annotations

import csv
import json
import stat
import time
from datetime import timedelta
from pathlib import Path

import pyarrow.parquet as pq
import pytest

from shared.spool.record import PredictionRecord
from shared.stores.lake import Lake
from tests.fakes.class_lake import START, append_records, fill_class_lake
from tests.fakes.class_model import class_loop
from tests.fakes.personal_model import put_personal
from tests.fakes.toy_model import ToyStore
from tests.unit.cli.command import run

LINES = [0, 1, 2, 0, 1]


@pytest.fixture
def home(tmp_path: Path) -> tuple[str, str]:
    fill_class_lake(Lake(str(tmp_path / "lake")), class_loop(), LINES, ["cat", None, "dog", None, None])
    return "--home", str(tmp_path)


def test_newest_rows_are_shown_in_order(home: tuple[str, str]) -> None:
    done = run("log", "tail", "animals", "--rows", "2", "--json", *home)
    assert done.exit_code == 0, done.output
    rows = json.loads(done.stdout)["rows"]
    assert [row["prediction_id"] for row in rows] == ["p3", "p4"]
    assert rows[1]["f_line"] == 1
    assert "writer" not in rows[0]
    assert "it has animals" in run("log", "tail", "plants", *home).stderr


def test_followed_rows_are_printed_once(home: tuple[str, str]) -> None:
    done = run("log", "tail", "animals", "--follow", "--seconds", "1.2", *home)
    assert done.exit_code == 0, done.output
    assert [json.loads(line)["prediction_id"] for line in done.stdout.splitlines()] == [
        "p0", "p1", "p2", "p3", "p4",
    ]  # fmt: skip


def test_rows_that_were_there_are_not_followed(
    home: tuple[str, str], monkeypatch: pytest.MonkeyPatch
) -> None:
    lake = Lake(str(Path(home[1]) / "lake"))

    def arrive(seconds: float) -> None:
        rows = lake.read_predictions("animals", START, START + timedelta(days=1))
        if rows.num_rows == len(LINES):
            record = PredictionRecord(
                model="animals", sequence=len(LINES), version="v", generation=1, event_time=START + timedelta(hours=1),
                answered_at=START, prediction_ids=["new"], scores=None, columns={"line": [1]},
            )  # fmt: skip
            append_records(lake, "animals", [record], [])

    monkeypatch.setattr(time, "sleep", arrive)
    done = run("log", "tail", "animals", "--rows", "2", "--follow", "--seconds", "0.4", *home)
    assert done.exit_code == 0, done.output
    assert [json.loads(line)["prediction_id"] for line in done.stdout.splitlines()] == ["p3", "p4", "new"]


def test_personal_values_are_not_in_the_tail(tmp_path: Path) -> None:
    put_personal(ToyStore(tmp_path))
    record = PredictionRecord(
        model="loans", sequence=0, version="v", generation=1, event_time=START, answered_at=START,
        prediction_ids=["p0"], scores=[0.5], columns={"customer": ["anna"], "amount": [2.0]},
    )  # fmt: skip
    append_records(Lake(str(tmp_path / "lake")), "loans", [record], [])
    done = run("log", "tail", "loans", "--json", "--home", str(tmp_path))
    row = json.loads(done.stdout)["rows"][0]
    assert (row["f_customer"], row["f_amount"]) == ("(personal)", 2.0)


def test_query_reads_the_tables_of_a_model(home: tuple[str, str]) -> None:
    sql = "SELECT f_line, count(*) AS n FROM predictions GROUP BY f_line ORDER BY f_line"
    document = json.loads(run("log", "query", "animals", sql, "--json", *home).stdout)
    assert document == {
        "rows": [{"f_line": 0, "n": 2}, {"f_line": 1, "n": 2}, {"f_line": 2, "n": 1}],
        "has_more": False,
    }
    joined = "SELECT o.label FROM predictions p JOIN outcomes o USING (prediction_id) ORDER BY p.event_time"
    document = json.loads(run("log", "query", "animals", joined, "--json", *home).stdout)
    assert [row["label"] for row in document["rows"]] == ["cat", "dog"]


def test_query_shows_at_most_its_limit(home: tuple[str, str]) -> None:
    done = run("log", "query", "animals", "SELECT * FROM predictions", "--limit", "3", "--json", *home)
    document = json.loads(done.stdout)
    assert (len(document["rows"]), document["has_more"]) == (3, True)
    plain = run("log", "query", "animals", "SELECT * FROM predictions", "--limit", "3", *home)
    assert "the first 3 rows are shown" in plain.stderr


@pytest.mark.parametrize(
    "sql",
    [
        "COPY (SELECT 1) TO '{home}/copy.csv' STORED AS CSV",
        "/* SELECT */ COPY (SELECT 1) TO '{home}/copy.csv' STORED AS CSV",
        "/* /* */ SELECT 1 */ COPY (SELECT 1) TO '{home}/copy.csv' STORED AS CSV",
        "/**//* /* */*/ COPY (SELECT 1) TO '{home}/copy.csv' STORED AS CSV",
        " -- SELECT\nCREATE EXTERNAL TABLE t STORED AS CSV LOCATION '/etc/passwd'",
        "DROP TABLE predictions",
        "",
    ],
)
def test_what_is_no_query_is_refused(home: tuple[str, str], sql: str) -> None:
    done = run("log", "query", "animals", sql.format(home=home[1]), *home)
    assert done.exit_code == 3
    assert "the statement is no query" in done.stderr
    assert not (Path(home[1]) / "copy.csv").exists()


def test_query_may_begin_with_comments(home: tuple[str, str]) -> None:
    sql = " -- of one\n/* row */ /**/\nWITH one AS (SELECT 1 AS a /* /* b */ */) SELECT a FROM one"
    assert json.loads(run("log", "query", "animals", sql, "--json", *home).stdout)["rows"] == [{"a": 1}]


@pytest.mark.parametrize(
    "sql",
    ["SELECT nothing FROM predictions", "SELECT 1; DROP TABLE predictions", "SELECT * FROM '/etc/passwd'"],
)
def test_wrong_query_is_an_error_of_the_caller(home: tuple[str, str], sql: str) -> None:
    done = run("log", "query", "animals", sql, *home)
    assert done.exit_code == 3, done.output
    assert "the query failed" in done.stderr


def test_rows_of_a_range_are_exported(home: tuple[str, str], tmp_path: Path) -> None:
    given = ("--from", START.isoformat(), "--until", "2026-01-01T00:03:00Z")
    for suffix in ("parquet", "csv", "jsonl"):
        file = tmp_path / f"rows.{suffix}"
        done = run("log", "export", "animals", str(file), *given, "--json", *home)
        assert done.exit_code == 0, done.output
        assert json.loads(done.stdout)["rows"] == 3
        assert stat.S_IMODE(file.stat().st_mode) == 0o600
    assert sorted(pq.read_table(tmp_path / "rows.parquet")["prediction_id"].to_pylist()) == ["p0", "p1", "p2"]
    with (tmp_path / "rows.csv").open() as text:
        assert sorted(row["f_line"] for row in csv.DictReader(text)) == ["0", "1", "2"]
    lines = [json.loads(line) for line in (tmp_path / "rows.jsonl").read_text().splitlines()]
    assert sorted(line["event_time"] for line in lines)[0] == START.isoformat()
    assert all(isinstance(line["scores"], list) for line in lines)


def test_outcomes_are_exported_and_other_files_refused(home: tuple[str, str], tmp_path: Path) -> None:
    file = tmp_path / "outcomes.parquet"
    assert run("log", "export", "animals", str(file), "--table", "outcomes", *home).exit_code == 0
    assert pq.read_table(file)["label"].to_pylist() == ["cat", "dog"]
    assert "none of the suffixes" in run("log", "export", "animals", "rows.xlsx", *home).stderr
    assert "no predictions of plants" in run("log", "export", "plants", str(file), *home).stderr
