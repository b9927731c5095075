from __future__ import annotations

from datetime import datetime, timedelta
from pathlib import Path

import pytest

import homeostat
from homeostat import CallerError, NotFound
from shared.stores.lake import Lake
from tests.fakes.class_lake import START, fill_class_lake
from tests.fakes.class_model import class_loop


def test_logged_rows_are_arrow_and_pandas(tmp_path: Path) -> None:
    fill_class_lake(Lake(str(tmp_path)), class_loop(), [0, 1, 2], ["cat", None, "dog"])
    end = START + timedelta(minutes=2)
    rows = homeostat.read_log(str(tmp_path), "animals", start=START, end=end)
    assert rows["prediction_id"].to_pylist() == ["p0", "p1"]
    frame = rows.to_pandas()
    assert frame["f_line"].tolist() == [0, 1]
    assert frame["event_time"].iloc[0] == START
    outcomes = homeostat.read_log(str(tmp_path), "animals", table="outcomes")
    assert outcomes["label"].to_pylist() == ["cat", "dog"]


def test_unknown_model_and_time_without_offset_are_named(tmp_path: Path) -> None:
    fill_class_lake(Lake(str(tmp_path)), class_loop(), [0], [None])
    with pytest.raises(NotFound, match="no predictions of plants"):
        homeostat.read_log(str(tmp_path), "plants")
    with pytest.raises(CallerError, match="start is 2026-01-01 00:00:00, which has no offset"):
        homeostat.read_log(str(tmp_path), "animals", start=datetime(2026, 1, 1))
