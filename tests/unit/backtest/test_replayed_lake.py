from __future__ import annotations

from datetime import UTC, datetime, timedelta

import numpy as np
import pyarrow as pa
import pytest
import yaml

from backtest.history import default_start, make_history
from backtest.replayed_lake import Replay, ReplayedLake, Serving
from shared.contracts.lake_schema import TIMESTAMP
from shared.contracts.loop_spec import LoopSpec
from shared.contracts.loop_yaml import parse_loop_spec
from shared.errors import ProjectError
from shared.stores.lake_statistics import count_observed
from tests.fakes.retraining_installation import loop_with

START = datetime(2026, 1, 1, tzinfo=UTC)
HOUR = timedelta(hours=1)


def loop() -> LoopSpec:
    return parse_loop_spec(
        yaml.safe_dump(loop_with(retraining={"minimum_rows": 50}, gate={"holdout": "1d", "minimum_rows": 20}))
    )


def rows(count: int, observed: list[datetime | None] | None = None) -> pa.Table:
    """A row an hour; each sixth has no outcome. Not in time order."""
    table = {
        "event_time": pa.array([START + hour * HOUR for hour in range(count)], TIMESTAMP),
        "x": np.arange(count, dtype=float),
        "color": ["red"] * count,
        "outcome": pa.array(
            [None if hour % 6 == 5 else float(hour % 2) for hour in range(count)], pa.float64()
        ),
    }
    if observed is not None:
        table["observed_at"] = pa.array(observed, TIMESTAMP)
    return pa.table(table).take(pa.array(np.arange(count)[::-1]))


def lake_at(hours: float, *, first: int = 2, count: int = 12) -> ReplayedLake:
    """Two generations: the first answers 0.25 from row 2 on, the second 0.75 from row 6 on."""
    replay = Replay(START + hours * HOUR)
    scores = np.full(count - 2, 0.25), np.full(count - 2, 0.75)
    replay.serving += [Serving(1, "one", 2, scores[0], 2), Serving(2, "two", 6, scores[1], 2)]
    return ReplayedLake("", make_history(rows(count), loop()), loop().prediction, replay, first)


def joined(lake: ReplayedLake) -> pa.Table:
    return lake.read_joined(
        "toy",
        START - HOUR,
        START + 99 * HOUR,
        columns=["event_time", "generation", "version", "score"],
        features=loop().features,
        with_faults=True,
    )


def test_nothing_is_seen_before_its_time() -> None:
    """Outcomes are known two hours after their row: outcome.delay."""
    table = joined(lake_at(7.5))
    assert table["f_x"].to_pylist() == [2, 3, 4, 5, 6, 7]
    assert table["outcome"].to_pylist() == [0, 1, 0, None, None, None]
    assert table["observed_at"].null_count == 3
    assert table["generation"].to_pylist() == [1, 1, 1, 1, 2, 2]
    assert table["version"].to_pylist() == ["one"] * 4 + ["two"] * 2
    assert table["score"].to_pylist() == [0.25] * 4 + [0.75] * 2
    assert table["is_early"].to_pylist() == [False] * 6
    assert table["senders"].null_count == 6


def test_watermarks_and_generations_move_with_time() -> None:
    early, late = lake_at(5.9), lake_at(8)
    assert early.watermark("toy") == START + 5 * HOUR
    assert early.latest_observation("toy") == START + 5 * HOUR
    assert [one.generation for one in early.generations("toy", 0)] == [1]
    assert [(one.generation, one.first) for one in late.generations("toy", 0)] == [
        (1, START + 2 * HOUR),
        (2, START + 6 * HOUR),
    ]
    assert [one.generation for one in late.generations("toy", 1)] == [2]
    assert late.event_times("toy", 1, START + 3 * HOUR).to_pylist() == [
        START + hour * HOUR for hour in (3, 4, 5)
    ]
    assert late.event_times("toy", 2, START).to_pylist() == [START + hour * HOUR for hour in (6, 7, 8)]
    assert lake_at(1).watermark("toy") is None


def test_outcomes_are_counted_as_they_become_known() -> None:
    assert count_observed(lake_at(8), "toy", None) == 4  # of rows 2, 3, 4 and 6
    assert count_observed(lake_at(8), "toy", START + 5 * HOUR) == 2


def test_logged_rows_have_the_time_at_which_their_outcome_came() -> None:
    observed = [START + (hour + 3) * HOUR if hour % 2 else None for hour in range(12)]
    history = make_history(rows(12, observed), loop())
    hours = (history.known_at[:5] - history.times[0]) / 3.6e9
    assert hours.tolist() == [2, 4, 4, 6, 6]


def test_the_first_version_begins_when_a_run_would_have_enough_rows() -> None:
    history = make_history(rows(24 * 6), loop())
    # 50 of 60 rows have an outcome; then come the holdout and twice the delay.
    assert default_start(history, loop()) == START + (61 + 24 + 4) * HOUR
    with pytest.raises(ProjectError, match="it ends before a first version could be trained"):
        default_start(make_history(rows(85), loop()), loop())
