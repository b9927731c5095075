"""`homeostat log watermark`."""

from __future__ import annotations

import json
from datetime import timedelta
from pathlib import Path

from shared.stores.lake import Lake
from tests.fakes.class_lake import START, fill_class_lake
from tests.fakes.class_model import class_loop
from tests.unit.cli.command import run


def test_watermark_is_shown_and_set(tmp_path: Path) -> None:
    lake = Lake(str(tmp_path / "lake"))
    fill_class_lake(lake, class_loop(), [0, 1, 2], ["cat", None, "dog"])
    home = ("--home", str(tmp_path))
    shown = json.loads(run("log", "watermark", "animals", "--json", *home).stdout)
    assert shown["predictions"]["watermark"] == (START + timedelta(minutes=2)).isoformat()
    assert shown["outcomes"]["rows_set_aside"] == shown["predictions"]["rows_set_aside"] == 0
    done = run("log", "watermark", "animals", "--set", START.isoformat(), *home)
    assert done.exit_code == 0, done.output
    assert "2 rows were set aside, 0 returned" in done.stderr
    assert "predictions: p2 of 2026-01-01T00:02:00+00:00" in done.stdout
    assert lake.watermark("animals") == START
    done = run("log", "watermark", "animals", "--outcomes", "--set", "2026-01-01T00:30:00Z", *home)
    assert "1 rows were set aside" in done.stderr
    assert lake.latest_observation("animals") == START + timedelta(minutes=30)


def test_unknown_model_and_time_are_named(tmp_path: Path) -> None:
    fill_class_lake(Lake(str(tmp_path / "lake")), class_loop(), [0], [None])
    home = ("--home", str(tmp_path))
    done = run("log", "watermark", "plants", *home)
    assert done.exit_code != 0
    assert "it has animals" in done.stderr
    assert "without an offset" in run("log", "watermark", "animals", "--set", "2026-01-01", *home).stderr
