"""The goals of a steady rate: met, or named one by one; delays are counted from the answer to the commit's entry."""

from __future__ import annotations

import os
import time
from datetime import UTC, datetime
from pathlib import Path

import pyarrow as pa
import pytest
from deltalake import CommitProperties, DeltaTable, Transaction, write_deltalake

from loadtests.log_pipe.steady_cost import LogCost, missed_goals, readable_after


def test_each_missed_goal_is_named() -> None:
    assert missed_goals(LogCost(4000, 4.0, {"shipper": 10.0, "sink": 9.0}, 0.4, 1.0)) == []
    missed = missed_goals(LogCost(4000, 4.0, {"shipper": 10.1, "sink": 12.0}, 0.4, 1.1))
    assert missed == [
        "at 1000 rows/s, one a request, shipper takes 10.1 CPU s per million rows",
        "at 1000 rows/s, one a request, sink takes 12.0 CPU s per million rows",
        "at 1000 rows/s, one a request, a row is readable after 1.10 s (p99)",
    ]


def test_delays_are_of_new_rows_and_of_their_commit_only(tmp_path: Path) -> None:
    table, now = tmp_path / "table", time.time()
    answered = [now - 9.0, now - 2.0, now - 1.0]
    rows = pa.table({"answered_at": pa.array([datetime.fromtimestamp(one, UTC) for one in answered])})
    write_deltalake(
        str(table), rows, commit_properties=CommitProperties(app_transactions=[Transaction("offset", 1)])
    )
    write_deltalake(str(table), rows, mode="append")
    DeltaTable(str(table)).optimize.compact()
    for entry in (table / "_delta_log").glob("*.json"):
        os.utime(entry, (now, now))
    assert sorted(readable_after(table, now - 5.0)) == pytest.approx([1.0, 2.0], abs=1e-3)
