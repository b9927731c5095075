"""The training file of a deployed version, made again from the rows that its deployment imported."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path

import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq

from shared.contracts.lake_schema import IMPORT, SOURCE, feature_column
from shared.contracts.loop_spec import LoopSpec
from shared.models.answers import outcome_source, typed_outcomes
from shared.stores.lake import Lake

_START, _END = datetime(1970, 1, 2, tzinfo=UTC), datetime(9999, 1, 1, tzinfo=UTC)


def training_files(lake: Lake, loop: LoopSpec, folder: Path) -> Iterator[tuple[Path, int]]:
    """A file for each import of the model, as `homeostat deploy` writes its training rows, and its number of rows.

    Rows of an import are in the order of their sequences, which is that of the file. A file that has ids of predictions, or rows
    that another import had stored before, is not made again byte by byte. Reads the imported rows of the model into memory.
    """
    rows = _imported_rows(lake, loop)
    for number, writer in enumerate(pc.unique(rows["writer"]).to_pylist()):
        mine = rows.filter(pc.equal(rows["writer"], writer)).sort_by("sequence")
        names = ["event_time", *(feature.name for feature in loop.features)]
        stored = ["event_time", *(feature_column(feature.name) for feature in loop.features)]
        columns = {name: mine[column] for name, column in zip(names, stored, strict=True)}
        if loop.prediction.has_loss:
            columns["outcome"] = typed_outcomes(loop.prediction, mine["outcome"])
        columns["prediction_id"] = pa.array([""] * mine.num_rows, pa.string())
        path = folder / f"import-{number}.parquet"
        pq.write_table(pa.table(columns).combine_chunks(), path)
        yield path, mine.num_rows


def _imported_rows(lake: Lake, loop: LoopSpec) -> pa.Table:
    rows = lake.read_joined(
        loop.model,
        _START,
        _END,
        columns=["event_time", "writer", "sequence", SOURCE],
        features=loop.features,
        source=outcome_source(loop.prediction),
        excluded_senders=loop.excluded_senders,
    )
    return rows.filter(pc.fill_null(pc.equal(rows[SOURCE].cast(pa.string()), IMPORT), False))
