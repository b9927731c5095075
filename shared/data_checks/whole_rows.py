"""Findings about whole rows: rows that are there twice, and equal rows with different outcomes. Pure."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.compute as pc

from shared.data_checks.column_profile import column_kind
from shared.data_checks.finding import Finding

# More rows than that are not compared: the codes of all columns are in memory.
MAX_ROWS = 2_000_000
DUPLICATE_SHARE = 0.01


def row_findings(table: pa.Table, outcome: str) -> Iterator[Finding]:
    """Rows that repeat another in every column; rows with the same features and time, but another outcome."""
    comparable = [
        name for name in table.column_names if column_kind(table.schema.field(name).type) != "other"
    ]
    if not 1 < table.num_rows <= MAX_ROWS or len(comparable) < len(table.column_names) or not comparable:
        return
    whole = _groups(table, comparable)
    repeated = table.num_rows - int(np.unique(whole).size)
    if repeated:
        share = repeated / table.num_rows
        yield Finding(
            "duplicate_rows",
            "warning" if share > DUPLICATE_SHARE else "note",
            "",
            f"{repeated} of {table.num_rows} rows repeat another row in every column",
            "a file that was joined or appended twice has such rows: remove them",
            value=share,
            limit=DUPLICATE_SHARE,
        )
    inputs = [name for name in comparable if name != outcome]
    if outcome in comparable and inputs:
        alike = _groups(table, inputs)
        contradicting = int(np.unique(whole).size - np.unique(alike).size)
        if contradicting and "event_time" in inputs:
            yield Finding(
                "contradicting_outcomes",
                "warning",
                outcome,
                f"{contradicting} rows have the same time and the same features as another row, but another {outcome}",
                "one of the two is wrong, or a feature that tells them apart is missing",
                value=float(contradicting),
                limit=0.0,
            )


def _groups(table: pa.Table, names: Sequence[str]) -> npt.NDArray[np.int64]:
    """A number for each row, the same for rows that are equal in all columns `names`."""
    codes = np.zeros(table.num_rows, dtype=np.int64)
    for name in names:
        column = table[name].combine_chunks()
        encoded = column if pa.types.is_dictionary(column.type) else pc.dictionary_encode(column, "encode")
        numbers = pc.fill_null(encoded.indices.cast(pa.int64()), -1).to_numpy() + 1
        _, codes = np.unique(codes * (int(numbers.max()) + 1) + numbers, return_inverse=True)
    return codes.astype(np.int64)
