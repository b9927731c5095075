"""The rows of a deployment, as the rules read them."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.compute as pc


@dataclass(frozen=True)
class DeployedRows:
    """`given`: all rows of the files; `reference`: those that the version keeps, with the model's answers.

    Both have `event_time`, and `outcome` unless the model has no loss. `trained_until`: event time of the newest training row,
    in UTC; None if the training rows are unknown.
    """

    given: pa.Table
    reference: pa.Table
    trained_until: datetime | None = None

    def times(self, *, with_outcome: bool = False) -> npt.NDArray[np.int64]:
        """Event times of the given rows in µs since 1970, ascending; of all rows, or of those with an outcome."""
        column = self.given["event_time"]
        if with_outcome:
            column = column.filter(has_outcome(self.given))
        return np.sort(micros(column))


def micros(column: pa.ChunkedArray) -> npt.NDArray[np.int64]:
    """Event times in µs since 1970."""
    return np.asarray(column.cast(pa.timestamp("us", "UTC"), safe=False).cast(pa.int64()).to_numpy())


def has_outcome(table: pa.Table) -> pa.ChunkedArray:
    """Per row, whether its outcome is known: neither null nor NaN; of several values, every number."""
    if "outcome" not in table.column_names:
        return pa.chunked_array([pa.repeat(False, table.num_rows)])
    outcome = table["outcome"]
    if not pa.types.is_struct(outcome.type):
        return pc.invert(pc.is_null(outcome, nan_is_null=True))
    known = pc.is_valid(outcome)
    for field in outcome.type:
        number = pc.struct_field(outcome, field.name)
        known = pc.and_(known, pc.invert(pc.is_null(number, nan_is_null=True)))
    return known
