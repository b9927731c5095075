"""Rows of a model with classes in the lake, by the path of real ones: records, Arrow batches, a table of the sink's making."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import UTC, datetime, timedelta

import numpy as np
import numpy.typing as npt
import pyarrow as pa
from deltalake import write_deltalake

from services.prediction_log.sink.table_properties import Retention
from services.prediction_log.sink.table_writer import TableWriter
from shared.contracts.lake_schema import OUTCOME_COLUMNS, PREDICTION_COLUMNS, partition_of
from shared.contracts.loop_spec import LoopSpec
from shared.messaging.arrow import outcomes_batch, predictions_batch
from shared.spool.record import Classes, OutcomeRecord, PredictionRecord
from shared.stores.lake import Lake
from tests.fakes.class_model import TABLE

START = datetime(2026, 1, 1, tzinfo=UTC)
HOUR = timedelta(hours=1)


def fill_class_lake(
    lake: Lake,
    loop: LoopSpec,
    lines: Sequence[int],
    outcomes: Sequence[int | str | None],
    *,
    table: npt.NDArray[np.float32] = TABLE,
    version: str = "0" * 64,
    start: datetime = START,
    step: timedelta = timedelta(minutes=1),
) -> None:
    """Row i is answered with line `lines[i]` of `table`; its outcome, unless that is None, is observed half an hour later."""
    scores = table[list(lines)]
    texts = [loop.prediction.label_texts[place] for place in scores.argmax(axis=1)]
    times = [start + step * row for row in range(len(lines))]
    predictions = [
        PredictionRecord(
            model=loop.model,
            sequence=row,
            version=version,
            generation=1,
            event_time=times[row],
            answered_at=times[row],
            prediction_ids=[f"p{row}"],
            scores=[float(scores[row].max())],
            columns={"line": [lines[row]]},
            classes=Classes([texts[row]], scores[row : row + 1]),
        )
        for row in range(len(lines))
    ]
    observed = [
        OutcomeRecord(
            loop.model, row, time, [f"p{row}"], [None], [time + HOUR / 2], labels=[str(outcomes[row])]
        )
        for row, time in enumerate(times)
        if outcomes[row] is not None
    ]
    append_records(lake, loop.model, predictions, observed)


def append_records(
    lake: Lake, model: str, predictions: Sequence[PredictionRecord], outcomes: Sequence[OutcomeRecord]
) -> None:
    """Append to the tables of a model as the shipper and the sink do."""
    batch = predictions_batch(predictions, writer="w", epoch=1)
    append_batch(lake.predictions(model), PREDICTION_COLUMNS, "event_time", batch)
    if outcomes:
        batch = outcomes_batch(outcomes, writer="w", epoch=1)
        append_batch(lake.outcomes(model), OUTCOME_COLUMNS, "observed_at", batch)


def append_batch(location: str, columns: pa.Schema, time_column: str, batch: pa.RecordBatch) -> None:
    """Append to a table as the sink makes it."""
    writer = TableWriter(location, columns, time_column=time_column, retention=Retention())
    rows = pa.Table.from_batches([batch])
    month = pa.array([partition_of(moment) for moment in rows[time_column].to_pylist()])
    write_deltalake(writer.newest(), rows.append_column("month", month), mode="append", schema_mode="merge")
