"""What the lake knows about a model: how far it is, which generations answered, and the rows of a window."""

from __future__ import annotations

from collections.abc import Hashable, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any, Protocol

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.compute as pc

from services.drift.evaluation.columns import SCORE, Rows, rows_from_table
from services.drift.verdicts.store import Generation
from services.drift.windows import Span, Watermarks
from shared.contracts.lake_schema import FEATURE_PREFIX, TIMESTAMP, feature_column, partition_of
from shared.contracts.loop_spec import LoopSpec
from shared.errors import DependencyUnavailable, HomeostatError
from shared.stores.lake import Lake


class LakeReader(Protocol):
    """Reads only. Raises DependencyUnavailable where the lake does not answer."""

    def revision(self, model: str) -> Hashable:
        """Something that changes whenever rows or outcomes were added."""
        ...

    def watermarks(self, model: str) -> Watermarks:
        """How far predictions and outcomes are."""
        ...

    def generations(self, model: str, after: int) -> Sequence[Generation]:
        """Generations above `after`, oldest first, each with its first row."""
        ...

    def times(self, model: str, generation: int, since: datetime) -> npt.NDArray[np.int64]:
        """Event times (µs since 1970) of a generation's rows from `since` on, ascending."""
        ...

    def rows(self, model: str, loop: LoopSpec, span: Span, generation: int) -> Rows:
        """A generation's rows of a window, with their outcomes."""
        ...


@dataclass(frozen=True)
class DeltaLakeReader:
    """Reads the Delta tables."""

    lake: Lake

    def revision(self, model: str) -> Hashable:
        """Versions of the two tables."""
        try:
            return self.lake.snapshot(model)
        except Exception as error:
            raise _away(error) from error

    def watermarks(self, model: str) -> Watermarks:
        """Latest event time of predictions, latest observation of outcomes; from the files' statistics, so to the millisecond."""
        try:
            predictions = self._greatest(self.lake.predictions(model), "event_time")
            if predictions is None:
                predictions = self.lake.watermark(model)
            return Watermarks(predictions, self._greatest(self.lake.outcomes(model), "observed_at"))
        except Exception as error:
            raise _away(error) from error

    def generations(self, model: str, after: int) -> Sequence[Generation]:
        """Rows are read only where the files' statistics show a newer generation: a look at a quiet lake costs milliseconds."""
        try:
            location = self.lake.predictions(model)
            newest = self._greatest(location, "generation")
            table = self.lake.open(location)
            if table is None or (newest is not None and newest <= after):
                return []
            rows = table.to_pyarrow_dataset().to_table(
                columns=["generation", "version", "event_time"], filter=pc.field("generation") > after
            )
        except Exception as error:
            raise _away(error) from error
        first = rows.group_by(["generation", "version"]).aggregate([("event_time", "min")]).to_pylist()
        found = [
            Generation(row["generation"], row["version"], row["event_time_min"], row["event_time_min"])
            for row in first
        ]
        return sorted(found, key=lambda seen: seen.generation)

    def _greatest(self, location: str, column: str) -> Any:
        """The greatest value of a column by the statistics of the table's files; None where there are none."""
        table = self.lake.open(location)
        if table is None:
            return None
        actions = pa.table(table.get_add_actions(flatten=True))
        name = f"max.{column}"
        return pc.max(actions[name]).as_py() if name in actions.column_names else None

    def times(self, model: str, generation: int, since: datetime) -> npt.NDArray[np.int64]:
        """Months before `since` are not opened."""
        try:
            table = self.lake.open(self.lake.predictions(model))
            if table is None:
                return np.empty(0, np.int64)
            condition = (pc.field("generation") == generation) & (
                pc.field("event_time") >= pa.scalar(since, TIMESTAMP)
            )
            dataset = table.to_pyarrow_dataset(file_pruning_predicate=f"month >= '{partition_of(since)}'")
            rows = dataset.to_table(columns=["event_time"], filter=condition)
        except Exception as error:
            raise _away(error) from error
        moments = rows["event_time"].to_numpy().astype("datetime64[us]").astype(np.int64)
        return np.asarray(np.sort(moments), dtype=np.int64)

    def rows(self, model: str, loop: LoopSpec, span: Span, generation: int) -> Rows:
        """The joined rows, as columns in time order."""
        try:
            table = self.lake.open(self.lake.predictions(model))
            known = {field.name for field in table.schema().fields} if table is not None else set()
            wanted = ["event_time", "generation", SCORE]
            wanted += [
                name for name in (feature_column(feature.name) for feature in loop.features) if name in known
            ]
            joined = self.lake.read_joined(model, span.start, span.end, columns=wanted)
        except Exception as error:
            raise _away(error) from error
        return rows_from_table(
            joined.filter(pc.field("generation") == generation), loop, prefix=FEATURE_PREFIX
        )


def _away(error: Exception) -> HomeostatError:
    if isinstance(error, HomeostatError):
        return error
    return DependencyUnavailable(f"the lake cannot be read: {error}", hint="windows wait; nothing is lost")
