"""Read access to the lake for monitoring: watermarks, generations with predictions, and the rows of a window."""

from __future__ import annotations

from collections.abc import Callable, Hashable, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Literal, Protocol

import numpy as np
import numpy.typing as npt
import pyarrow.compute as pc

from services.drift.evaluation.columns import Rows, answer_columns, rows_from_table
from services.drift.outcome_readiness import Watermarks
from services.drift.verdicts.store import Generation
from services.drift.windows import Span
from shared.contracts.lake_schema import FEATURE_PREFIX, feature_column
from shared.contracts.loop_spec import LoopSpec
from shared.models.answers import outcome_source
from shared.stores.lake import Lake

OutcomeFault = Literal["early", "contradicting"]


class LakeReader(Protocol):
    """Read access to the lake. Every method raises DependencyUnavailable where it cannot be read."""

    def revision(self, model: str) -> Hashable:
        """Something that changes whenever rows or outcomes were added."""
        ...

    def watermarks(self, model: str) -> Watermarks:
        """Watermarks of predictions and outcomes."""
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
    """Reads the lake, in the terms of window evaluation. `on_faults` receives a model, a fault of outcomes and their number."""

    lake: Lake
    on_faults: Callable[[str, OutcomeFault, int], None] = lambda *_: None

    def revision(self, model: str) -> Hashable:
        """Versions of the two tables."""
        return self.lake.snapshot(model)

    def watermarks(self, model: str) -> Watermarks:
        """Latest event time of predictions, latest observation of outcomes; from the files' statistics, so to the millisecond."""
        return Watermarks(self.lake.latest_event_time(model), self.lake.latest_observation(model))

    def generations(self, model: str, after: int) -> Sequence[Generation]:
        """Costs milliseconds while no newer generation has answered."""
        return [
            Generation(seen.generation, seen.version, seen.first, seen.first)
            for seen in self.lake.generations(model, after)
        ]

    def times(self, model: str, generation: int, since: datetime) -> npt.NDArray[np.int64]:
        """Months before `since` are not opened."""
        times = self.lake.event_times(model, generation, since)
        return np.asarray(times.to_numpy().astype("datetime64[us]"), dtype=np.int64)

    def rows(self, model: str, loop: LoopSpec, span: Span, generation: int) -> Rows:
        """The joined rows, as columns in time order. A feature the lake does not have yet is missing in every row."""
        features = [feature_column(feature.name) for feature in loop.features]
        joined = self.lake.read_joined(
            model,
            span.start,
            span.end,
            columns=["event_time", "generation", *answer_columns(loop), *features],
            with_faults=True,
            source=outcome_source(loop.prediction),
        )
        joined = joined.filter(pc.field("generation") == generation)
        self.on_faults(model, "early", pc.sum(joined["is_early"]).as_py() or 0)
        self.on_faults(model, "contradicting", pc.sum(joined["is_contradicted"]).as_py() or 0)
        return rows_from_table(joined, loop, prefix=FEATURE_PREFIX)
