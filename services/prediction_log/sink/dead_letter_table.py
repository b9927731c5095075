"""Burial: dead letters into their Delta table, each once.

A letter's identity is the record it is about: (origin, origin_offset). Letters of one partition do not come in order of their
offsets, and the same one comes again after a crash, so:

1. Look up which identities the table has.
2. Append the others through the handle looked through, with the one application transaction all burials share: delta-rs then
   refuses the commit when another sink has buried anything since step 1.
"""

from __future__ import annotations

from collections.abc import Sequence
from datetime import timedelta

import pyarrow.compute as pc
from deltalake import CommitProperties, DeltaTable, Transaction, write_deltalake
from deltalake.exceptions import CommitFailedError

from services.prediction_log.dead_letters import DeadLetter, dead_letter_rows
from shared.contracts.lake_schema import DEAD_LETTER_COLUMNS
from shared.errors import Conflict
from shared.stores.lake import Lake

_TRANSACTION = "burial"


class Burial:
    """Writes the lake's dead-letter table."""

    def __init__(self, lake: Lake, retention: timedelta) -> None:
        self._lake = lake
        self._days = max(1, round(retention / timedelta(days=1)))

    def bury(self, letters: Sequence[DeadLetter]) -> int:
        """Append letters the table does not have yet; how many. Raises Conflict where another sink was first."""
        if not letters:
            return 0
        location = self._lake.dead_letters()
        if not DeltaTable.is_deltatable(location):
            DeltaTable.create(
                location,
                DEAD_LETTER_COLUMNS,
                mode="ignore",
                configuration={"delta.deletedFileRetentionDuration": f"interval {self._days} days"},
            )
        handle = DeltaTable(location)
        buried = _buried(handle, letters)
        fresh = {_identity(letter): letter for letter in letters if _identity(letter) not in buried}
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


def _identity(letter: DeadLetter) -> tuple[str, int]:
    return letter.origin, letter.origin_offset


def _buried(handle: DeltaTable, letters: Sequence[DeadLetter]) -> set[tuple[str, int]]:
    """Identities in the table, among them those of `letters` that are there."""
    if "origin" not in {field.name for field in handle.schema().fields}:
        return set()
    offsets = [letter.origin_offset for letter in letters]
    rows = handle.to_pyarrow_dataset().to_table(
        columns=["origin", "origin_offset"],
        filter=pc.field("origin").isin(sorted({letter.origin for letter in letters}))
        & (pc.field("origin_offset") >= min(offsets))
        & (pc.field("origin_offset") <= max(offsets)),
    )
    return set(zip(rows["origin"].to_pylist(), rows["origin_offset"].to_pylist(), strict=True))
