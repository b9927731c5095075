"""Read access to the lake for monitoring: watermarks, generations with predictions, and the rows of a window."""

from __future__ import annotations

from collections.abc import Hashable, Sequence
from dataclasses import dataclass, replace
from datetime import datetime
from typing import Literal, Protocol

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.compute as pc

from services.drift.evaluation.columns import Rows, answer_columns, rows_from_table
from services.drift.outcome_readiness import Watermarks
from services.drift.verdicts.positions import Generation
from services.drift.windows import Span
from shared.contracts.lake_schema import FEATURE_PREFIX
from shared.contracts.loop_spec import LoopSpec
from shared.contracts.prediction_id import GROUP_LENGTH
from shared.contracts.slices.condition import features_of
from shared.contracts.slices.slice_spec import Slice
from shared.models.answers import outcome_source
from shared.stores.added_outcomes import outcome_ids_since
from shared.stores.contradictions import count_senders
from shared.stores.lake import Lake

Read = Literal["all", "inputs", "performance"]
# One text per row.
Groups = npt.NDArray[np.str_]


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

    def rows(
        self,
        model: str,
        loop: LoopSpec,
        span: Span,
        generation: int,
        read: Read = "all",
        slices: Sequence[Slice] = (),
    ) -> Rows:
        """A generation's rows of a window, or the part of them that one clock judges. Where outcomes are read, the rows of
        each of `slices` are marked."""
        ...

    def outcomes_version(self, model: str) -> int:
        """Version of the outcome table, -1 where there is none. It grows with every change of the table."""
        ...

    def outcome_groups_since(self, model: str, version: int) -> Groups | None:
        """Group of the prediction id of each outcome written after that version; None where that is no longer known."""
        ...

    def prediction_groups(self, model: str, span: Span) -> Groups:
        """Groups of the prediction ids of a window, each once, ascending."""
        ...


@dataclass(frozen=True)
class DeltaLakeReader:
    """Reads the lake, in the terms of window evaluation."""

    lake: Lake

    def revision(self, model: str) -> Hashable:
        """Versions of the two tables."""
        return self.lake.snapshot(model)

    def watermarks(self, model: str) -> Watermarks:
        """Latest event time of predictions, latest observation of outcomes; from the files' statistics, so to the millisecond."""
        return Watermarks(self.lake.latest_event_time(model), self.lake.latest_observation(model))

    def generations(self, model: str, after: int) -> Sequence[Generation]:
        """Costs milliseconds while no newer generation has answered."""
        return [
            Generation(seen.generation, seen.version, seen.first, seen.first, seen.first)
            for seen in self.lake.generations(model, after)
        ]

    def times(self, model: str, generation: int, since: datetime) -> npt.NDArray[np.int64]:
        """Months before `since` are not opened."""
        times = self.lake.event_times(model, generation, since)
        return np.asarray(times.to_numpy().astype("datetime64[us]"), dtype=np.int64)

    def rows(
        self,
        model: str,
        loop: LoopSpec,
        span: Span,
        generation: int,
        read: Read = "all",
        slices: Sequence[Slice] = (),
    ) -> Rows:
        """As columns in time order; a feature the lake does not have yet is missing in every row. Outcomes are joined unless
        only inputs are read."""
        with_features = read != "performance"
        slices = slices if read != "inputs" else ()
        used = {name for one in slices for name in features_of(one.condition)}
        if read != "inputs":
            used.update(*(one.features(loop.features, loop.prediction) for one in loop.custom_metrics))
        features = [feature for feature in loop.features if with_features or feature.name in used]
        columns = ["event_time", "generation", *answer_columns(loop)]
        if read == "inputs":
            rows = self.lake.read_predictions(model, span.start, span.end, columns, features=features)
        else:
            rows = self.lake.read_joined(
                model,
                span.start,
                span.end,
                columns=columns,
                features=features,
                with_faults=True,
                source=outcome_source(loop.prediction),
                excluded_senders=loop.excluded_senders,
            )
        rows = rows.filter(pc.field("generation") == generation)
        found = rows_from_table(rows, loop, prefix=FEATURE_PREFIX, with_features=with_features, slices=slices)
        if read == "inputs":
            return found
        contradicted = rows["senders"].drop_null()
        return replace(
            found,
            early_outcomes=int(pc.sum(rows["is_early"]).as_py() or 0),
            contradicted_outcomes=len(contradicted),
            contradicting=count_senders(contradicted.to_pylist()),
        )

    def outcomes_version(self, model: str) -> int:
        """Of the Delta table."""
        version = self.lake.snapshot(model).outcomes
        return -1 if version is None else version

    def outcome_groups_since(self, model: str, version: int) -> Groups | None:
        """Reads the files written since then only."""
        written = outcome_ids_since(self.lake, model, version)
        return None if written is None else groups_of(written)

    def prediction_groups(self, model: str, span: Span) -> Groups:
        """One column of the window is read."""
        rows = self.lake.read_predictions(model, span.start, span.end, ["prediction_id"])
        return np.unique(groups_of(rows["prediction_id"]))


def groups_of(prediction_ids: pa.ChunkedArray) -> Groups:
    """The group of each id (see shared/contracts/prediction_id.py): ids made together share it, so a window has few groups."""
    return np.asarray(pc.utf8_slice_codeunits(prediction_ids, 0, GROUP_LENGTH).to_numpy(), dtype=np.str_)
