from __future__ import annotations

from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from cli.replay.history import Columns, History
from shared.errors import CallerError, ProjectError

NOON = datetime(2026, 3, 1, 12, tzinfo=UTC)
NOW = NOON + timedelta(days=30)
COLUMNS = Columns("event_time", "outcome", {"amount": "amount"})


def write(path: Path, order: list[int], **changed: Any) -> Path:
    """Row i happened i hours after noon; its amount is i, its outcome i / 10."""
    columns: dict[str, Any] = {
        "event_time": pa.array([NOON + timedelta(hours=hour) for hour in order], pa.timestamp("us", "UTC")),
        "amount": pa.array([float(hour) for hour in order], pa.float64()),
        "outcome": pa.array([hour / 10 for hour in order], pa.float64()),
        "note": pa.array(["ignored"] * len(order), pa.string()),
    }
    pq.write_table(pa.table(columns | changed), path, row_group_size=2)
    return path


def hours(history: History) -> list[float]:
    return [(row.event_time - NOON) / timedelta(hours=1) for row in history]


def test_rows_have_time_inputs_and_outcome(tmp_path: Path) -> None:
    history = History(write(tmp_path / "h.parquet", [0, 1]), COLUMNS, NOW)
    assert (history.rows, history.is_sorted) == (2, True)
    first, second = history
    assert (first.event_time, first.inputs, first.outcome) == (NOON, {"amount": 0.0}, 0.0)
    assert (second.event_time, second.outcome) == (NOON + timedelta(hours=1), 0.1)


def test_missing_outcomes_are_none(tmp_path: Path) -> None:
    file = write(tmp_path / "h.parquet", [0, 1], outcome=pa.array([None, float("nan")], pa.float64()))
    assert [row.outcome for row in History(file, COLUMNS, NOW)] == [None, None]
    assert [row.outcome for row in History(file, Columns("event_time", "", {"amount": "amount"}), NOW)] == [
        None,
        None,
    ]


@pytest.mark.parametrize("order", [[2, 0, 1, 3], [0, 1, 3, 2], [1, 2, 0, 3]])
def test_unordered_file_is_sorted(tmp_path: Path, order: list[int]) -> None:
    history = History(write(tmp_path / "h.parquet", order), COLUMNS, NOW)
    assert not history.is_sorted
    assert hours(history) == [0, 1, 2, 3]


@pytest.mark.parametrize("order", [[0, 1, 2, 3], [2, 0, 3, 1]])
def test_rows_have_their_places_in_the_file(
    tmp_path: Path, order: list[int], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("cli.replay.history._READ_ROWS", 3)
    history = History(write(tmp_path / "h.parquet", order), COLUMNS, NOW)
    assert [(row.number, row.inputs["amount"]) for row in history] == [
        (order.index(hour), hour) for hour in range(4)
    ]


def test_earlier_rows_are_counted(tmp_path: Path) -> None:
    history = History(write(tmp_path / "h.parquet", [2, 0, 3, 1]), COLUMNS, NOW)
    assert [history.rows_before(NOON + timedelta(hours=hour)) for hour in (0, 1, 9)] == [0, 1, 4]


def test_disorder_between_two_reads_is_found(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("cli.replay.history._TIMES", 2)
    assert not History(write(tmp_path / "h.parquet", [2, 3, 0, 1]), COLUMNS, NOW).is_sorted


def test_unordered_file_that_is_too_large_is_refused(tmp_path: Path) -> None:
    with pytest.raises(CallerError, match="too large to be sorted here.*write it sorted by event_time"):
        History(write(tmp_path / "h.parquet", [1, 0]), COLUMNS, NOW, max_sorted_bytes=10)
    assert History(write(tmp_path / "s.parquet", [0, 1]), COLUMNS, NOW, max_sorted_bytes=10).is_sorted


@pytest.mark.parametrize(
    ("times", "words"),
    [
        (pa.array([NOON.replace(tzinfo=None)]), "column event_time is .*without a time zone"),
        (pa.array(["2026-03-01T12:00:00Z"]), "column event_time is string"),
        (pa.array([NOW + timedelta(days=2)]), "more than a day ahead"),
        (pa.array([None], pa.timestamp("us", "UTC")), "missing values"),
    ],
)
def test_wrong_times_are_refused(tmp_path: Path, times: pa.Array, words: str) -> None:
    with pytest.raises(ProjectError, match=words):
        History(write(tmp_path / "h.parquet", [0], event_time=times), COLUMNS, NOW)


def test_missing_column_is_named(tmp_path: Path) -> None:
    file = write(tmp_path / "h.parquet", [0])
    with pytest.raises(ProjectError, match="has no column colour; it has event_time, amount, outcome, note"):
        History(file, Columns("event_time", "outcome", {"colour": "colour"}), NOW)


@pytest.mark.parametrize(
    ("columns", "option"),
    [
        (Columns("at", "outcome", {}), "--time-column"),
        (Columns("event_time", "label", {}), "--outcome-column"),
        (Columns("event_time", "", {"a": "a"}), "each input of the model"),
    ],
)
def test_missing_column_names_its_option(tmp_path: Path, columns: Columns, option: str) -> None:
    with pytest.raises(ProjectError) as refused:
        History(write(tmp_path / "h.parquet", [0]), columns, NOW)
    assert option in refused.value.hint


def test_columns_have_the_names_of_the_inputs(tmp_path: Path) -> None:
    file = write(tmp_path / "h.parquet", [0, 1])
    columns = Columns("event_time", "outcome", {"Amount": "amount"})
    assert [list(row.inputs) for row in History(file, columns, NOW)] == [["Amount"], ["Amount"]]


def test_file_must_be_parquet_with_rows(tmp_path: Path) -> None:
    (tmp_path / "text.parquet").write_text("no")
    with pytest.raises(ProjectError, match="cannot be read as Parquet"):
        History(tmp_path / "text.parquet", COLUMNS, NOW)
    with pytest.raises(ProjectError, match="has no rows"):
        History(write(tmp_path / "h.parquet", []), COLUMNS, NOW)


def test_outcomes_of_several_values_are_dictionaries(tmp_path: Path) -> None:
    rows = [{"low": 1.0, "high": 2.0}, None, {"low": None, "high": float("nan")}]
    file = write(tmp_path / "h.parquet", [0, 1, 2], outcome=pa.array(rows))
    assert [row.outcome for row in History(file, COLUMNS, NOW)] == [rows[0], None, None]


def test_times_are_inputs_to_the_microsecond(tmp_path: Path) -> None:
    opened = pa.array([1_772_366_400_000_001_999] * 2, pa.timestamp("ns", "UTC"))
    path = write(tmp_path / "h.parquet", [0, 1], opened=opened)
    first, _ = History(path, Columns("event_time", "", {"amount": "amount", "opened": "opened"}), NOW)
    assert first.inputs == {"amount": 0.0, "opened": datetime(2026, 3, 1, 12, 0, 0, 1, tzinfo=UTC)}
    assert type(first.inputs["opened"]) is datetime
