"""The lake's dead-letter table: every dead letter is stored once.

The identity of a dead letter is (origin, origin_offset) of the refused record. Dead letters of one partition do not arrive in
order of these offsets, and the same one arrives again after a crash, so:

1. Look up which identities the table has.
2. Append the others through the handle used in step 1, with one application transaction that all appends share: delta-rs then
   refuses the commit when another sink has appended anything since step 1.
"""

from __future__ import annotations

from collections.abc import Sequence

import pyarrow.compute as pc
from deltalake import CommitProperties, DeltaTable, Transaction, write_deltalake
from deltalake.exceptions import CommitFailedError

from services.prediction_log.dead_letters import DeadLetter, dead_letter_rows
from services.prediction_log.sink.table_properties import Retention, table_properties, with_properties
from shared.contracts.lake_schema import DEAD_LETTER_COLUMNS
from shared.errors import Conflict
from shared.stores.lake import Lake
from shared.stores.tables.lake_table import LakeTable

_TRANSACTION = "dead_letters"


class DeadLetterTable:
    """Appends to the lake's dead-letter table, creating it on first use."""

    def __init__(self, lake: Lake, retention: Retention) -> None:
        self._lake = lake
        # Statistics of a text would show it in the table's log, also after it was erased.
        self._properties = table_properties(retention, ("refused_at", "origin_offset"))

    def append(self, dead_letters: Sequence[DeadLetter]) -> int:
        """Append the dead letters that the table lacks; how many. Raises Conflict where another sink committed first."""
        if not dead_letters:
            return 0
        location = self._lake.dead_letters()
        if not DeltaTable.is_deltatable(location):
            DeltaTable.create(
                location,
                DEAD_LETTER_COLUMNS,
                mode="ignore",
                configuration=self._properties,
            )
        handle = with_properties(LakeTable(location), self._properties)
        stored = _stored(handle, dead_letters)
        fresh = {
            _identity(dead_letter): dead_letter
            for dead_letter in dead_letters
            if _identity(dead_letter) not in stored
        }
        if not fresh:
            return 0
        try:
            write_deltalake(
                handle,
                dead_letter_rows(list(fresh.values())),
                mode="append",
                schema_mode="merge",  # a table may be older than the newest of its columns
                commit_properties=CommitProperties(
                    app_transactions=[Transaction(_TRANSACTION, handle.version() + 1)]
                ),
            )
        except CommitFailedError as error:
            raise Conflict(f"another sink wrote to {location} meanwhile: {error}") from error
        return len(fresh)


def _identity(dead_letter: DeadLetter) -> tuple[str, int]:
    return dead_letter.origin, dead_letter.origin_offset


def _stored(handle: DeltaTable, dead_letters: Sequence[DeadLetter]) -> set[tuple[str, int]]:
    """Identities in the table, among them at least those of `dead_letters` that it has."""
    if "origin" not in {field.name for field in handle.schema().fields}:
        return set()
    offsets = [dead_letter.origin_offset for dead_letter in dead_letters]
    rows = handle.to_pyarrow_dataset().to_table(
        columns=["origin", "origin_offset"],
        filter=pc.field("origin").isin(sorted({dead_letter.origin for dead_letter in dead_letters}))
        & (pc.field("origin_offset") >= min(offsets))
        & (pc.field("origin_offset") <= max(offsets)),
    )
    return set(zip(rows["origin"].to_pylist(), rows["origin_offset"].to_pylist(), strict=True))
