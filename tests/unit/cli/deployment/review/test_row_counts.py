"""Warnings about numbers of rows, on 100 rows a day."""

from __future__ import annotations

from typing import Any

import numpy as np
import pyarrow as pa
import pytest

from cli.deployment.review.deployed_rows import DeployedRows
from cli.deployment.review.row_counts import row_count_warnings
from tests.unit.cli.deployment.review.conftest import ROWS, MakeLoop, rows, table

EVERY_HOUR = {"window": {"every": "1h"}}


def texts(*arguments: Any) -> list[str]:
    return [warning.text for warning in row_count_warnings(*arguments)]


def test_sufficient_rows_give_no_warning(make_loop: MakeLoop) -> None:
    assert texts(make_loop(automation="auto"), rows()) == []


def test_short_windows_name_a_sufficient_length(make_loop: MakeLoop) -> None:
    assert texts(make_loop(drift=EVERY_HOUR), rows()) == [
        "drift.window.every: 719 of the 719 windows of 1h in these rows hold fewer rows (usually 4) than "
        "drift.window.minimum_rows (200), so their verdict would be `insufficient_data`; set drift.window.every to 2d or lower "
        "drift.window.minimum_rows"
    ]
    assert texts(make_loop(drift={"window": {"every": "2d"}}), rows()) == []


def test_no_sufficient_length_is_invented(make_loop: MakeLoop) -> None:
    loop = make_loop(drift={"window": {"every": "1h", "minimum_rows": 100_000}})
    one = DeployedRows(table(), table().slice(0, 0))
    assert texts(loop, one)[1].endswith("lower drift.window.minimum_rows")


def test_window_longer_than_the_rows_is_extrapolated(make_loop: MakeLoop) -> None:
    made = table().slice(0, 100)
    loop = make_loop(drift={"window": {"every": "7d", "minimum_rows": 1000}})
    assert texts(loop, DeployedRows(made, table())) == [
        "drift.window.every: at the rate of these rows, 7d would hold about 707 rows, fewer than "
        "drift.window.minimum_rows (1000), "
        "so their verdict would be `insufficient_data`; set drift.window.every to 14d or lower drift.window.minimum_rows"
    ]


def test_window_of_few_rows_never_suffices(make_loop: MakeLoop) -> None:
    assert texts(make_loop(drift={"window": {"rows": 100}}), rows()) == [
        "drift.window.rows: a window of 100 rows has fewer than drift.window.minimum_rows (200), so every verdict would be "
        "`insufficient_data`; set drift.window.minimum_rows to 100 or less"
    ]
    assert texts(make_loop(drift={"window": {"rows": 200}}), rows()) == []


@pytest.mark.parametrize(
    ("window", "expected"),
    [
        (
            {"every": "4d"},
            "drift.window.every: 7 of the 7 windows of 4d in these rows hold fewer rows with outcomes (usually 40) than "
            "drift.window.minimum_rows (200), so performance would not be measured; set drift.window.every to 30d or lower "
            "drift.window.minimum_rows",
        ),
        (
            {"rows": 400},
            "drift.window.rows: 10% of the rows have an outcome, so a window of 400 rows would have about 40: too few to measure "
            "performance, which needs drift.window.minimum_rows (200); set drift.window.rows to 2000 or more, or lower "
            "drift.window.minimum_rows",
        ),
    ],
)
def test_too_few_outcomes_have_their_own_warning(
    window: dict[str, Any], expected: str, make_loop: MakeLoop
) -> None:
    outcome = np.where(np.arange(ROWS) % 10 == 0, 1.0, np.nan)
    assert texts(make_loop(drift={"window": window}), rows(outcome=outcome)) == [expected]
    tensor = make_loop(kind="tensor", drift={"window": window})
    assert texts(tensor, rows(outcome=outcome)) == []


def test_short_holdout_names_a_sufficient_length(make_loop: MakeLoop) -> None:
    gate = {"holdout": "1d", "minimum_rows": 500}
    assert texts(make_loop(gate=gate, automation="suggest"), rows()) == [
        "gate.holdout: 29 of the 29 intervals of 1d in these rows hold fewer rows with outcomes (usually 100) than "
        "gate.minimum_rows (500), so most retraining runs would be abandoned; set gate.holdout to 7d or lower gate.minimum_rows"
    ]
    assert texts(make_loop(gate=gate, automation="observe"), rows()) == []


@pytest.mark.parametrize(
    ("window", "expected"),
    [
        (
            {"use": "last", "rows": 500},
            "retraining.window.rows: a run would train on 500 rows, fewer than retraining.minimum_rows (1000), so every "
            "run would "
            "be abandoned; set retraining.window.rows to 1000 or more, or lower retraining.minimum_rows",
        ),
        (
            {"use": "last", "span": "4d"},
            "retraining.window.span: 7 of the 7 intervals of 4d in these rows hold fewer rows with outcomes (usually 400) than "
            "retraining.minimum_rows (1000), so most retraining runs would be abandoned; set retraining.window.span to 14d or "
            "lower retraining.minimum_rows",
        ),
    ],
)
def test_short_training_window_is_named(window: dict[str, Any], expected: str, make_loop: MakeLoop) -> None:
    loop = make_loop(retraining={"command": ["x"], "window": window}, automation="auto")
    assert texts(loop, rows()) == [expected]


def test_small_reference_is_named(make_loop: MakeLoop) -> None:
    made = table()
    small = DeployedRows(made, made.slice(0, 150))
    assert texts(make_loop(), small) == [
        "drift.window.minimum_rows: the reference has 150 rows, fewer than 200, so every verdict would be `warming_up`; give at "
        "least 200 rows"
    ]


def test_rows_of_one_time_give_no_warning(make_loop: MakeLoop) -> None:
    times = pa.array([0] * ROWS, pa.timestamp("us", "UTC"))
    assert texts(make_loop(drift=EVERY_HOUR, automation="auto"), rows(event_time=times)) == []
