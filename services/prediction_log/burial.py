"""Burial: dead letters into their Delta table, each once, by the same order as rows (see writer.py)."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import timedelta

from deltalake import CommitProperties, DeltaTable, Transaction, write_deltalake
from deltalake.exceptions import CommitFailedError

from services.prediction_log.dead_letters import DeadLetter, dead_letter_rows
from shared.errors import Conflict
from shared.stores.lake import DEAD_LETTER_COLUMNS, Lake


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
        reached: dict[str, int] = {}
        fresh: list[DeadLetter] = []
        for letter in letters:
            if letter.origin not in reached:
                version = handle.transaction_version(letter.origin)
                reached[letter.origin] = -1 if version is None else version
            if letter.origin_offset > reached[letter.origin]:
                reached[letter.origin] = letter.origin_offset
                fresh.append(letter)
        if not fresh:
            return 0
        transactions = [Transaction(name, version) for name, version in reached.items() if version >= 0]
        try:
            write_deltalake(
                handle,
                dead_letter_rows(fresh),
                mode="append",
                commit_properties=CommitProperties(app_transactions=transactions),
            )
        except CommitFailedError as error:
            raise Conflict(f"another sink wrote to {location} meanwhile: {error}") from error
        return len(fresh)
