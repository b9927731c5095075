"""The answers of a file as Parquet: a row for each row of the file, in its order."""

from __future__ import annotations

from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq

from services.inference.models.servable import Servable
from services.inference.prediction.call import Prediction
from shared.errors import Conflict
from shared.models.answers import list_column

_ROWS_PER_GROUP = 20_000


class ResultFile:
    """Collects answers and writes them in groups; readable once it is closed, with the rows that were added until then."""

    def __init__(self, path: Path) -> None:
        self._path = path
        self._writer: pq.ParquetWriter | None = None
        self._pending: list[pa.Table] = []
        self.rows = 0

    def add(self, servable: Servable, prediction: Prediction, *, first_row: int) -> None:
        """Add the answers to consecutive rows of the file. Raises Conflict where a new release answers in another form."""
        rows = len(prediction.prediction_ids)
        table = pa.table(
            {
                "row": pa.array(range(first_row, first_row + rows), pa.int64()),
                "prediction_id": pa.array(list(prediction.prediction_ids), pa.string()),
                "version": pa.array([servable.version] * rows, pa.string()),
                "generation": pa.array([servable.generation] * rows, pa.int64()),
                **answer_columns(servable, prediction),
            }
        )
        schema = self._writer.schema if self._writer else self._pending[0].schema if self._pending else None
        if schema is not None and table.schema != schema:
            raise Conflict(
                f"generation {servable.generation} of model {servable.model} returns other output columns than the "
                "previous release",
                hint="submit the remaining rows as another file",
            )
        self._pending.append(table)
        self.rows += rows

    def flush(self, *, everything: bool = False) -> None:
        """Write what is complete; call this on a thread. Raises OSError."""
        rows = sum(table.num_rows for table in self._pending)
        if not rows or (rows < _ROWS_PER_GROUP and not everything):
            return
        table = pa.concat_tables(self._pending)
        if self._writer is None:
            self._writer = pq.ParquetWriter(self._path, table.schema)
        self._writer.write_table(table)
        self._pending = []

    def close(self) -> None:
        """Write the rest. Without any answer there is no file. Raises OSError."""
        self.flush(everything=True)
        if self._writer is not None:
            self._writer.close()


def answer_columns(servable: Servable, prediction: Prediction) -> dict[str, pa.Array]:
    """The answers under the names that they have in the response of `/predict`."""
    output = prediction.output
    if prediction.classes is not None:
        labels = servable.labels.values
        return {
            "label": pa.array([labels[place] for place in prediction.classes.tolist()]),
            "score": pa.array(prediction.scores, pa.float64()),
            "scores": list_column(output),
        }
    if prediction.scores is not None:
        return {"score": pa.array(prediction.scores, pa.float64())}
    if servable.names:
        columns = [pa.array(output[:, place], pa.float32()) for place in range(len(servable.names))]
        return {"values": pa.StructArray.from_arrays(columns, names=list(servable.names))}
    if servable.is_vector:
        return {"embedding": list_column(output)}
    return {"output": pa.array(output.tolist())}
