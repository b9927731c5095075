"""How far each stream of rows was stored when a snapshot was taken: so the same rows are found in any later version of the lake.

Versions of a Delta table can be read for some hours only: then their files are compacted, and deleted. Rows remain. Each has a
writer, an epoch and a sequence, and the sink stores the rows of one (writer, epoch) in the order of their sequences: so a version
of a table has exactly the rows up to the highest sequence of each that it has.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any

import pyarrow as pa
import pyarrow.compute as pc
from deltalake import DeltaTable

from shared.contracts.lake_schema import TIMESTAMP
from shared.stores.lake import Lake, LakeSnapshot
from shared.stores.lake_errors import raises_dependency_unavailable
from shared.stores.lake_scan import CLOCK_SLACK, files_between, shifted

STREAM_COLUMNS = ("writer", "epoch", "sequence")


@dataclass(frozen=True)
class StreamMarks:
    """The highest sequence per stream, of predictions and of outcomes. Streams without rows in the snapshot's range have none."""

    predictions: Mapping[str, int] = field(default_factory=dict)
    outcomes: Mapping[str, int] = field(default_factory=dict)

    def to_json(self) -> dict[str, Any]:
        """For the ledger."""
        return {"predictions": dict(self.predictions), "outcomes": dict(self.outcomes)}

    @classmethod
    def of_json(cls, stored: dict[str, Any]) -> StreamMarks:
        """From the ledger."""
        return cls(stored["predictions"], stored["outcomes"])


def stream_names(rows: pa.Table) -> pa.ChunkedArray:
    """The name of each row's stream.

    >>> stream_names(pa.table({"writer": ["w"], "epoch": [2], "sequence": [7]})).to_pylist()
    ['w/2']
    """
    return pc.binary_join_element_wise(rows["writer"], rows["epoch"].cast(pa.string()), "/")


@raises_dependency_unavailable
def read_marks(lake: Lake, model: str, versions: LakeSnapshot, start: datetime, end: datetime) -> StreamMarks:
    """The marks of these versions: of predictions with event time in [start, end], and of the outcomes they may have.

    Reads three columns, batch by batch. Raises NotFound where a version is no longer kept.
    """
    observed = shifted(start, -CLOCK_SLACK)
    return StreamMarks(
        _marks(lake.open_at(lake.predictions(model), versions.predictions), "event_time", start, end),
        _marks(lake.open_at(lake.outcomes(model), versions.outcomes), "observed_at", observed, None),
    )


def _marks(
    table: DeltaTable | None, time_column: str, start: datetime, end: datetime | None
) -> dict[str, int]:
    if table is None:
        return {}
    time = pc.field(time_column)
    condition = time >= pa.scalar(start, TIMESTAMP)
    if end is not None:
        condition &= time <= pa.scalar(end, TIMESTAMP)
    dataset = table.to_pyarrow_dataset(file_pruning_predicate=files_between(time_column, start, end))
    marks: dict[str, int] = {}
    for batch in dataset.to_batches(columns=list(STREAM_COLUMNS), filter=condition):
        rows = pa.Table.from_batches([batch])
        highest = (
            pa.table({"stream": stream_names(rows), "sequence": rows["sequence"]})
            .group_by("stream")
            .aggregate([("sequence", "max")])
        )
        for stream, sequence in zip(
            highest["stream"].to_pylist(), highest["sequence_max"].to_pylist(), strict=True
        ):
            marks[stream] = max(sequence, marks.get(stream, -1))
    return marks
