"""Marks: the highest sequence of each stream in the range of a snapshot, at the versions that it reads."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from pathlib import Path

from shared.stores.as_of.stream_marks import StreamMarks, read_marks
from shared.stores.lake import Lake
from tests.fakes.retraining_installation import MODEL, START, fill_lake

NOW = datetime(2013, 3, 1, tzinfo=UTC)


def test_marks_are_of_the_pinned_versions_and_the_range(tmp_path: Path) -> None:
    lake = Lake(str(tmp_path))
    fill_lake(lake, START, 2, 4, 7)
    pin = lake.snapshot(MODEL)
    fill_lake(lake, START, 2, 4, 8, writer="late")
    day = read_marks(lake, MODEL, pin, START, START + timedelta(days=1))
    assert day == StreamMarks({"w/1": 96}, {"w/1": 191}), (
        "outcomes of the range may be observed at any later time"
    )
    assert StreamMarks.of_json(day.to_json()) == day
    assert set(read_marks(lake, MODEL, lake.snapshot(MODEL), START, NOW).predictions) == {"w/1", "late/1"}
