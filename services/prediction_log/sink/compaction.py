"""Compaction of a table: small files are merged, and the rows of a month whose times are mixed are sorted by time.

Readers of a window select files and row groups by the statistics of the time column. Rows that come in the order of their times
lie together as they come. Those of a batch over a month, or of outcomes observed long before they were sent, lie everywhere: then
each commit makes a file as long as the month, and a window reads all of them.
"""

from __future__ import annotations

from collections.abc import Iterator

import pyarrow as pa
import pyarrow.compute as pc
from deltalake import DeltaTable, WriterProperties

from services.prediction_log.sink.table_properties import ROW_GROUP_ROWS, Retention
from shared.contracts.lake_schema import PARTITION, SET_ASIDE

ROW_GROUPS = WriterProperties(max_row_group_size=ROW_GROUP_ROWS)
# Files that hold rows of the same moment, on average, above which a month is sorted. Sinks that write side by side make fewer.
_MIXED = 3.0
# A month up to this size is sorted whenever it is mixed, a larger one when a narrow window reads that share of it.
_TARGET_BYTES = 100 << 20
_READ_SHARE = 0.6
# Files are merged up to this size, and this many of them into one of the target's size.
_SMALL_BYTES = 8 << 20
_MANY = 16
# A month is sorted as a whole, in memory.
_LARGEST_BYTES = 1 << 30
_SORT_MEMORY_BYTES = 1 << 30


def compact(table: DeltaTable, time_column: str, retention: Retention) -> None:
    """Sort, merge, then delete files that no version within the retention uses. Raises CommitFailedError."""
    for month in mixed_months(pa.table(table.get_add_actions(flatten=True)), time_column):
        table.optimize.z_order(
            [time_column],
            partition_filters=[(PARTITION, "=", month)],
            max_spill_size=_SORT_MEMORY_BYTES,
            writer_properties=ROW_GROUPS,
        )
    table.optimize.compact(target_size=_SMALL_BYTES, writer_properties=ROW_GROUPS)
    for month in months_of_many_files(pa.table(table.get_add_actions(flatten=True))):
        table.optimize.compact(partition_filters=[(PARTITION, "=", month)], writer_properties=ROW_GROUPS)
    table.vacuum(
        retention_hours=int(retention.files.total_seconds() // 3600),
        dry_run=False,
        enforce_retention_duration=True,
        full=True,  # also files of a killed sink that were never committed
    )


def mixed_months(files: pa.Table, time_column: str) -> list[str]:
    """Months whose files overlap in time; `files`: the flat add actions of a table.

    Sorting a month costs as much as its size. A large one is sorted again when rows of a good part of its size were added, so
    that each row is sorted a number of times that grows with the logarithm of the size.
    """
    columns = (f"partition.{PARTITION}", "size_bytes", f"min.{time_column}", f"max.{time_column}")
    if any(name not in files.column_names for name in columns):
        return []
    spans: dict[str, list[tuple[int, int, int]]] = {}
    for month, size, first, last in _rows(files, columns):
        spans.setdefault(month, []).append((size, first, last))
    return sorted(month for month, found in spans.items() if month != SET_ASIDE and _is_mixed(found))


def months_of_many_files(files: pa.Table) -> list[str]:
    """Months whose merged files are merged once more, into large ones; `files`: the flat add actions of a table.

    Merging into one large file each time would write the month's newest 100 MB again for every few megabytes that were added.
    """
    if f"partition.{PARTITION}" not in files.column_names:
        return []
    months = files.filter(pc.less(files["size_bytes"], _TARGET_BYTES // 2))[f"partition.{PARTITION}"]
    counts = pc.value_counts(months.cast(pa.string())).to_pylist()
    return sorted(one["values"] for one in counts if one["counts"] >= _MANY)


def _rows(files: pa.Table, columns: tuple[str, ...]) -> Iterator[tuple[str, int, int, int]]:
    month, size, first, last = (files[name] for name in columns)
    micros = [values.cast(pa.timestamp("us")).cast(pa.int64()).to_pylist() for values in (first, last)]
    for row in zip(month.cast(pa.string()).to_pylist(), size.to_pylist(), *micros, strict=True):
        if None not in row:
            yield row


def _is_mixed(files: list[tuple[int, int, int]]) -> bool:
    total = sum(size for size, _, _ in files)
    width = max(last for _, _, last in files) - min(first for _, first, _ in files)
    if not width or total > _LARGEST_BYTES:
        return False
    shares = [(size, (last - first) / width) for size, first, last in files]
    read = sum(size * share for size, share in shares) / total
    return sum(share for _, share in shares) > _MIXED and (total <= _TARGET_BYTES or read > _READ_SHARE)
