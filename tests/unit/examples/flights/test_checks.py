from __future__ import annotations

from datetime import UTC, datetime, timedelta
from pathlib import Path

import pyarrow as pa
import pytest
from deltalake import write_deltalake

from examples.flights.checks import compare, failed_limits
from examples.flights.replay import Answers
from shared.contracts.lake_schema import OUTCOME_COLUMNS, PARTITION, PREDICTION_COLUMNS
from shared.stores.lake import Lake

NOW = datetime(2013, 2, 1, tzinfo=UTC)


def _answers(rows: int) -> Answers:
    answers = Answers.none(rows)
    for place in range(rows):
        answers.prediction_id[place], answers.version[place] = f"p{place}", "a" * 64
        answers.generation[place], answers.score[place] = 1, 0.5
        answers.outcome_sent[place] = True
    return answers


def _write(table: str, schema: pa.Schema, rows: list[dict[str, object]]) -> None:
    typed = pa.Table.from_pylist(rows, schema=schema)
    write_deltalake(table, typed.append_column(PARTITION, pa.array(["2013-02"] * len(rows))), mode="append")


def _log(lake: Lake, places: range, *, generation: int = 1) -> None:
    common = {"writer": "w", "epoch": 1, "traceparent": None}
    predictions = [
        {
            **common,
            "prediction_id": f"p{place}",
            "version": "a" * 64,
            "generation": generation,
            "event_time": NOW + timedelta(hours=place),
            "answered_at": NOW,
            "sequence": place,
            "score": 0.5,
        }
        for place in places
    ]
    outcomes = [
        {
            **common,
            "prediction_id": f"p{place}",
            "value": 1.0,
            "observed_at": NOW + timedelta(hours=place),
            "received_at": NOW,
            "sequence": place,
        }
        for place in places
    ]
    _write(lake.predictions("flights"), PREDICTION_COLUMNS, list(predictions))
    _write(lake.outcomes("flights"), OUTCOME_COLUMNS, list(outcomes))


@pytest.fixture
def lake(tmp_path: Path) -> Lake:
    return Lake(str(tmp_path))


def test_the_same_on_both_sides_is_no_problem(lake: Lake) -> None:
    _log(lake, range(5))
    found = compare(lake, "flights", _answers(5))
    assert (found.answered, found.in_lake, found.outcomes_sent, found.outcomes_in_lake) == (5, 5, 5, 5)
    assert found.problems == ()


def test_a_lost_row_is_seen(lake: Lake) -> None:
    _log(lake, range(4))
    problems = compare(lake, "flights", _answers(5)).problems
    assert problems[0] == "1 answered predictions are not in the lake"


def test_row_without_a_reply_is_detected(lake: Lake) -> None:
    _log(lake, range(6))
    assert "1 predictions in the lake were never answered" in compare(lake, "flights", _answers(5)).problems


def test_a_row_logged_twice_is_seen(lake: Lake) -> None:
    _log(lake, range(5))
    _log(lake, range(1))
    problems = compare(lake, "flights", _answers(5)).problems
    assert "1 predictions are in the lake more than once" in problems
    assert "5 outcomes were sent, 6 are in the lake" in problems


def test_another_generation_than_the_reply_named_is_seen(lake: Lake) -> None:
    _log(lake, range(4))
    _log(lake, range(4, 5), generation=2)
    assert compare(lake, "flights", _answers(5)).problems == (
        "1 predictions name another version, generation or score in the lake than in the reply",
    )


@pytest.mark.parametrize(
    ("first", "served", "promoted", "by_hand", "missed"),
    [
        (0.57, 0.512, 9, 0, 0),
        (0.61, 0.512, 9, 0, 1),
        (0.57, 0.526, 9, 0, 1),
        (0.53, 0.512, 9, 0, 1),
        (0.57, 0.512, 2, 0, 1),
        (0.57, 0.512, 9, 1, 1),
    ],
)
def test_each_limit_is_checked(first: float, served: float, promoted: int, by_hand: int, missed: int) -> None:
    assert len(failed_limits(first, served, promoted, by_hand)) == missed
