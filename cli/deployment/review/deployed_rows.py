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

    Both have `event_time` and `outcome`. `trained_until`: event time of the newest training row, in UTC; None if nothing tells
    which rows the model was trained on.
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
    """Per row, whether its outcome is known: neither null nor NaN."""
    return pc.invert(pc.is_null(table["outcome"], nan_is_null=True))
