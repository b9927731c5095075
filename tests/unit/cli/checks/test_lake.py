"""Checks of the lake and of the system clock."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from pathlib import Path

import pyarrow as pa
from deltalake import write_deltalake

from cli.checks.lake import clock, lake, last_data
from local_stack.settings import LocalStackSettings
from shared.stores.lake import Lake

NOW = datetime(2026, 11, 21, 12, tzinfo=UTC)


def test_empty_lake_is_ok(settings: LocalStackSettings) -> None:
    assert [finding.state for finding in lake(settings, NOW)] == ["ok"] * 4


def test_clock_behind_newest_commit_is_a_failure(settings: LocalStackSettings) -> None:
    table = pa.table({"prediction_id": ["a"]})
    write_deltalake(Lake(settings.lake_url).predictions("parcels"), table)
    now = datetime.now(UTC)
    assert [finding.state for finding in lake(settings, now)] == ["ok"] * 4
    assert [finding.state for finding in lake(settings, now - timedelta(hours=1))] == [
        "ok",
        "ok",
        "ok",
        "failure",
    ]


def test_broken_lake_is_a_failure(settings: LocalStackSettings) -> None:
    location = Path(Lake(settings.lake_url).predictions("parcels"))
    write_deltalake(location, pa.table({"prediction_id": ["a"]}))
    (location / "_delta_log" / "00000000000000000000.json").write_text("not json")
    write_deltalake(Lake(settings.lake_url).predictions("trains"), pa.table({"prediction_id": ["a"]}))
    found = list(lake(settings, datetime.now(UTC)))
    assert [(one.checked, one.state) for one in found] == [
        ("lake of parcels", "failure"),
        ("lake", "ok"),
        ("dead letters", "ok"),
        ("last data", "ok"),
        ("clock", "ok"),
    ]
    assert "seconds ago" in found[3].found or " s ago" in found[3].found, "of the model that can be read"


def test_age_of_last_data(settings: LocalStackSettings) -> None:
    assert "inject traffic" in last_data(None, NOW).found
    assert last_data(NOW - timedelta(seconds=3), NOW).found == "3 s ago"
    assert last_data(NOW - timedelta(hours=5), NOW).found == "5 hours ago"
    assert last_data(NOW + timedelta(seconds=3), NOW).state == "ok"


def test_clock_may_lag_by_seconds() -> None:
    assert clock(NOW + timedelta(seconds=4), NOW).state == "ok"
    assert clock(NOW + timedelta(seconds=6), NOW).state == "failure"
    assert clock(None, NOW).state == "ok"
