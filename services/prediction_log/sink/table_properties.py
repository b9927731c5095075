"""Properties of the lake's tables: how long old versions are kept, and the columns that have statistics.

Files are kept for days, so that who has opened a table can read it. The log is kept for a shorter time: each commit in it makes
opening the table slower, and with a commit every 0.4 s a week has 1.5 million of them.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import timedelta

from deltalake import DeltaTable
from deltalake.exceptions import CommitFailedError

from shared.stores.tables.lake_table import LakeTable

CHECKPOINT_COMMITS = 50
# Readers of few rows decode whole row groups; delta-rs has a million rows in one.
ROW_GROUP_ROWS = 16_384


@dataclass(frozen=True)
class Retention:
    """`files`: for how long files that the newest version has no more are kept; `log`: for how long commits are."""

    files: timedelta = timedelta(days=7)
    log: timedelta = timedelta(hours=1)


def table_properties(retention: Retention, statistics: Sequence[str] = ()) -> dict[str, str]:
    """Properties of a table, with statistics of those columns only (of its first columns, if none are given)."""
    days = max(1, round(retention.files / timedelta(days=1)))
    found = {
        "delta.checkpointInterval": str(CHECKPOINT_COMMITS),
        "delta.logRetentionDuration": f"interval {round(retention.log.total_seconds())} seconds",
        "delta.deletedFileRetentionDuration": f"interval {days} days",
    }
    return {**found, "delta.dataSkippingStatsColumns": ",".join(statistics)} if statistics else found


def with_properties(table: DeltaTable, properties: dict[str, str]) -> DeltaTable:
    """The table with these properties: those of a table that an earlier release or other settings made are changed."""
    stored = table.metadata().configuration
    if any(stored.get(name) != value for name, value in properties.items()):
        try:
            table.alter.set_table_properties(properties, raise_if_not_exists=True)
        except CommitFailedError:
            # Another sink changes them, or commits: the next start looks again.
            return LakeTable(table.table_uri)
    return table
