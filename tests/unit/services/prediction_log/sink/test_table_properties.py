"""The log of a table is short, and files stay for long; tables of earlier releases become so too."""

from __future__ import annotations

from datetime import timedelta
from pathlib import Path

import pyarrow as pa
from deltalake import DeltaTable, write_deltalake

from services.prediction_log.sink.table_properties import Retention, table_properties, with_properties


def test_log_is_kept_for_less_time_than_files() -> None:
    found = table_properties(Retention(timedelta(days=7), timedelta(hours=1)), ["event_time"])
    assert found["delta.logRetentionDuration"] == "interval 3600 seconds"
    assert found["delta.deletedFileRetentionDuration"] == "interval 7 days"
    assert found["delta.dataSkippingStatsColumns"] == "event_time"
    assert "delta.dataSkippingStatsColumns" not in table_properties(Retention())


def test_table_of_an_earlier_release_gets_the_properties_once(tmp_path: Path) -> None:
    location = str(tmp_path / "table")
    write_deltalake(
        location,
        pa.table({"value": [1]}),
        configuration={"delta.logRetentionDuration": "interval 8 days", "delta.appendOnly": "false"},
    )
    wanted = table_properties(Retention(), ["value"])
    changed = with_properties(DeltaTable(location), wanted)
    assert changed.version() == 1
    assert DeltaTable(location).metadata().configuration == {**wanted, "delta.appendOnly": "false"}
    assert with_properties(DeltaTable(location), wanted).version() == 1
    write_deltalake(changed, pa.table({"value": [2]}), mode="append")


def test_log_holds_no_more_commits_than_its_time_allows(tmp_path: Path) -> None:
    """Checked with delta-rs, which cleans up when it writes a checkpoint."""
    location = str(tmp_path / "table")
    properties = table_properties(Retention(log=timedelta(0)))
    DeltaTable.create(location, pa.schema([("value", pa.int64())]), configuration=properties)
    table = DeltaTable(location)
    for value in range(120):
        write_deltalake(table, pa.table({"value": [value]}), mode="append")
    assert len(list((tmp_path / "table" / "_delta_log").glob("*.json"))) < 60
    assert DeltaTable(location).count() == 120
