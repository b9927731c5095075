"""Dead letters written again without some of their rows."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

import pyarrow as pa
from deltalake import DeltaTable, write_deltalake
from deltalake.exceptions import CommitFailedError

from shared.errors import Conflict
from shared.stores.erasure.lake_rows import delete_where, quoted
from shared.stores.lake import Lake
from shared.stores.lake_errors import raises_dependency_unavailable


@dataclass(frozen=True)
class Kept:
    """What remains of a dead letter: `value` and number of its rows; a value of None deletes it."""

    value: bytes | None
    rows: int | None = None


# Receives a dead letter as a row of the table; None leaves it as it is.
Rewrite = Callable[[Mapping[str, Any]], Kept | None]


@raises_dependency_unavailable
def rewrite_dead_letters(lake: Lake, rewrite: Rewrite, *, dry_run: bool) -> int:
    """Replace dead letters, each in one commit; how many. With `dry_run` none is changed. Raises Conflict."""
    location = lake.dead_letters()
    table = lake.open(location)
    if table is None:
        return 0
    rows = table.to_pyarrow_dataset().to_table()
    changed = 0
    for row in rows.to_pylist():
        kept = rewrite(row)
        if kept is None:
            continue
        changed += 1
        if dry_run:
            continue
        one = f"origin = {quoted(row['origin'])} AND origin_offset = {row['origin_offset']}"
        if kept.value is None:
            delete_where(location, one)
            continue
        remaining = {**row, "value": kept.value, "rows": kept.rows, "detail": ""}
        try:
            write_deltalake(
                DeltaTable(location),
                pa.Table.from_pylist([remaining], rows.schema),
                mode="overwrite",
                predicate=one,
            )
        except CommitFailedError as error:
            raise Conflict(f"another commit to {location} came first: {error}", hint="try again") from error
    return changed
