"""The lake: Delta tables of predictions, outcomes and dead letters. The sink writes them; all reading goes through here.

    predictions/<model>   one row per answered row
    outcomes/<model>      one row per outcome received
    dead_letters          one row per record that could not be read or stored

Every predictions table has the columns of PREDICTION_COLUMNS, then one column per feature under the feature's own name, prefixed
`f_` so that no feature can shadow a column, and one more for each further type that the feature had: see `storing_column`. A
tensor feature is a flat list, row-major; the manifest knows its shape.
Rows of a model with classes have `label` and `scores` as well, and their outcomes a `label` instead of a `value`. An answer of
several values or an embedding is in `scores` alone; the outcomes of values are in `values`, by name.
Imported rows have the source `import`, and partitions of their own: see lake_scan.in_stream.
Of several outcomes of a prediction (a repetition or a correction) the last by (received_at, epoch, sequence) counts.

Times are microseconds in UTC; ranges are [start, end). Reading raises DependencyUnavailable where the lake cannot be read.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import datetime

import pyarrow as pa
import pyarrow.compute as pc
from deltalake import DeltaTable
from deltalake.exceptions import DeltaError
from pyarrow import fs

from shared.contracts.feature import Feature
from shared.contracts.lake_schema import (
    DEAD_LETTERS,
    OUTCOME_COLUMNS,
    OUTCOMES,
    PARTITION,
    PREDICTION_COLUMNS,
    PREDICTIONS,
    TIMESTAMP,
    VALUE,
    partition_of,
)
from shared.contracts.loop_spec import MODEL_NAME
from shared.errors import NotFound
from shared.stores.lake_errors import raises_dependency_unavailable
from shared.stores.lake_scan import (
    CLOCK_SLACK,
    empty_rows,
    files_between,
    greatest,
    in_stream,
    join_outcomes,
    latest_outcomes,
    read_time_range,
    shifted,
)
from shared.stores.tables.id_hours import hours_of
from shared.stores.tables.lake_table import LakeTable
from shared.stores.tables.table_handles import TableHandles

ARRIVAL = ("received_at", "epoch", "sequence")


@dataclass(frozen=True)
class LakeSnapshot:
    """Versions of a model's two tables; None where a table does not exist yet. Reading the same snapshot gives the same rows."""

    predictions: int | None
    outcomes: int | None


@dataclass(frozen=True)
class AnsweredGeneration:
    """A generation with predictions in the lake: its version, and the event time of its first row."""

    generation: int
    version: str
    first: datetime


@dataclass(frozen=True)
class Lake:
    """The tables below `root` (a folder or an object store URL)."""

    root: str
    _handles: TableHandles = field(default_factory=TableHandles, init=False, repr=False, compare=False)

    def predictions(self, model: str) -> str:
        """Location of a model's predictions."""
        return f"{self.root.rstrip('/')}/{PREDICTIONS}/{model}"

    def outcomes(self, model: str) -> str:
        """Location of a model's outcomes."""
        return f"{self.root.rstrip('/')}/{OUTCOMES}/{model}"

    def dead_letters(self) -> str:
        """Location of the dead letters."""
        return f"{self.root.rstrip('/')}/{DEAD_LETTERS}"

    @raises_dependency_unavailable
    def open(self, location: str) -> DeltaTable | None:
        """The table there at its newest version; None where nothing was written yet. The handle is shared: do not move it."""
        return self._handles.newest(location)

    @raises_dependency_unavailable
    def models(self, kind: str = PREDICTIONS) -> list[str]:
        """Models with predictions (or outcomes, of the kind OUTCOMES), by name; other folders are ignored."""
        if "://" in self.root:
            files, path = fs.FileSystem.from_uri(f"{self.root.rstrip('/')}/{kind}")
        else:
            files, path = fs.LocalFileSystem(), f"{self.root}/{kind}"
        found = files.get_file_info(fs.FileSelector(path, allow_not_found=True))
        names = (entry.base_name for entry in found if entry.type == fs.FileType.Directory)
        return sorted(name for name in names if re.fullmatch(MODEL_NAME.strip("^$"), name))

    @raises_dependency_unavailable
    def snapshot(self, model: str) -> LakeSnapshot:
        """Newest versions of a model's two tables. They can be read for HOMEOSTAT_SINK_LOG_HOURS."""
        predictions = self.open(self.predictions(model))
        outcomes = self.open(self.outcomes(model))
        return LakeSnapshot(
            predictions.version() if predictions is not None else None,
            outcomes.version() if outcomes is not None else None,
        )

    @raises_dependency_unavailable
    def read_predictions(
        self,
        model: str,
        start: datetime,
        end: datetime,
        columns: Sequence[str] | None = None,
        table_version: int | None = None,
        *,
        features: Sequence[Feature] = (),
        with_other_types: bool = False,
    ) -> pa.Table:
        """Rows with event time in [start, end), in order of (event_time, writer, epoch, sequence).

        `columns`: names as in the lake (features with their prefix); None: all. A feature that never had a value is all null.
        `features`: added as columns `f_<name>` of their type; values of versions with another type are converted if that loses
        nothing, else null. `with_other_types` adds OTHER_TYPES: whether a row has such a value.
        `table_version`: as of that version of the table. An empty table where nothing was written yet.
        Raises NotFound for an unknown column or version.
        """
        table = self.open_at(self.predictions(model), table_version)
        if table is None:
            return empty_rows(PREDICTION_COLUMNS, columns, features, with_other_types)
        return read_time_range(
            table,
            "event_time",
            start,
            end,
            columns,
            order=("event_time", "writer", "epoch", "sequence"),
            features=features,
            with_other_types=with_other_types,
        )

    @raises_dependency_unavailable
    def read_outcomes(
        self, model: str, start: datetime, end: datetime, table_version: int | None = None
    ) -> pa.Table:
        """Every outcome received with observed_at in [start, end), repeats and corrections included, in order of arrival."""
        table = self.open_at(self.outcomes(model), table_version)
        if table is None:
            return empty_rows(OUTCOME_COLUMNS, None)
        return read_time_range(table, "observed_at", start, end, None, order=ARRIVAL)

    @raises_dependency_unavailable
    def read_joined(
        self,
        model: str,
        start: datetime,
        end: datetime,
        known_until: datetime | None = None,
        *,
        columns: Sequence[str] | None = None,
        features: Sequence[Feature] = (),
        with_other_types: bool = False,
        snapshot: LakeSnapshot | None = None,
        with_outcome: bool = False,
        with_faults: bool = False,
        source: str = VALUE,
        excluded_senders: Sequence[str] = (),
    ) -> pa.Table:
        """Predictions with event time in [start, end), each with its outcome, in order of (event_time, writer, epoch, sequence).

        Adds two columns: `outcome` and `observed_at`; both null where the outcome is not known. Each prediction
        appears once; of several outcomes the last received counts, unless it was observed more than a day before the event.
        `with_faults` adds two more columns: `is_early` for such an outcome; `senders`, null unless another one differs from it.
        Outcomes of `excluded_senders`, names of API keys, do not count. `known_until`: only outcomes observed up to and including
        that time count. `snapshot`: read these versions of the tables. `with_outcome`: leave out predictions
        without outcome. `source`: the column of the outcomes that `outcome` is read from, which depends on the kind of the
        model (shared/models/answers.py). `columns`, `features` and `with_other_types` as in
        read_predictions; prediction_id is always included.
        """
        wanted = None if columns is None else list(dict.fromkeys(["prediction_id", "event_time", *columns]))
        seen = snapshot if snapshot is not None else self.snapshot(model)
        if seen.predictions is None:
            predictions = empty_rows(PREDICTION_COLUMNS, wanted, features, with_other_types)
        else:
            predictions = self.read_predictions(
                model,
                start,
                end,
                wanted,
                seen.predictions,
                features=features,
                with_other_types=with_other_types,
            )
        received = None if seen.outcomes is None else self.open_at(self.outcomes(model), seen.outcomes)
        since, hours = shifted(start, -CLOCK_SLACK), hours_of(predictions["prediction_id"])
        latest = latest_outcomes(
            received,
            since,
            known_until,
            order=ARRIVAL,
            source=source,
            hours=hours,
            excluded_senders=excluded_senders,
        )
        joined = join_outcomes(predictions, latest, slack=CLOCK_SLACK, with_faults=with_faults)
        if columns is not None and "event_time" not in columns:
            joined = joined.drop_columns(["event_time"])
        return joined.filter(pc.is_valid(joined["outcome"])) if with_outcome else joined

    @raises_dependency_unavailable
    def watermark(self, model: str) -> datetime | None:
        """The latest event time of a model's predictions that are not set aside; None where there are none."""
        table = self.open(self.predictions(model))
        # Statistics may be cut to milliseconds: they find the files, the rows give the exact time.
        about = None if table is None else greatest(table, "event_time")
        if table is None or about is None:
            return None
        rows = table.to_pyarrow_dataset(
            file_pruning_predicate=files_between("event_time", about, None)
        ).to_table(columns=["event_time"], filter=in_stream())
        latest: datetime | None = pc.max(rows["event_time"]).as_py()
        return latest

    @raises_dependency_unavailable
    def latest_event_time(self, model: str) -> datetime | None:
        """`watermark` without reading rows: exact to the millisecond, as the statistics of the table's files are."""
        table = self.open(self.predictions(model))
        return None if table is None else greatest(table, "event_time")

    @raises_dependency_unavailable
    def latest_observation(self, model: str) -> datetime | None:
        """The latest `observed_at` among a model's outcomes, to the millisecond; None where there are none."""
        table = self.open(self.outcomes(model))
        return None if table is None else greatest(table, "observed_at")

    @raises_dependency_unavailable
    def generations(self, model: str, after: int) -> list[AnsweredGeneration]:
        """Generations above `after` with predictions, in order. Rows are read only where the files' statistics show one."""
        table = self.open(self.predictions(model))
        newest = None if table is None else greatest(table, "generation")
        # Without statistics the rows are read.
        if table is None or (newest is not None and newest <= after):
            return []
        rows = table.to_pyarrow_dataset().to_table(
            columns=["generation", "version", "event_time"],
            filter=(pc.field("generation") > after) & in_stream(),
        )
        first = rows.group_by(["generation", "version"]).aggregate([("event_time", "min")]).to_pylist()
        found = [
            AnsweredGeneration(row["generation"], row["version"], row["event_time_min"]) for row in first
        ]
        return sorted(found, key=lambda answered: answered.generation)

    @raises_dependency_unavailable
    def event_times(self, model: str, generation: int, since: datetime) -> pa.ChunkedArray:
        """Event times of a generation's predictions from `since` on, ascending. Months before `since` are not opened."""
        table = self.open(self.predictions(model))
        if table is None:
            return pa.chunked_array([], TIMESTAMP)
        dataset = table.to_pyarrow_dataset(file_pruning_predicate=f"{PARTITION} >= '{partition_of(since)}'")
        since_then = pc.field("event_time") >= pa.scalar(since, TIMESTAMP)
        condition = (pc.field("generation") == generation) & since_then & in_stream()
        return dataset.to_table(columns=["event_time"], filter=condition).sort_by("event_time")["event_time"]

    @raises_dependency_unavailable
    def read_event_times(self, model: str) -> pa.Table:
        """The columns `generation` and `event_time` of every prediction, in no particular order."""
        table = self.open(self.predictions(model))
        columns = ["generation", "event_time"]
        if table is None:
            return empty_rows(PREDICTION_COLUMNS, columns)
        return table.to_pyarrow_dataset().to_table(columns=columns)

    def open_at(self, location: str, version: int | None) -> DeltaTable | None:
        """The table there at that version (None: the newest); None where there is no table. Raises NotFound."""
        if version is None or (newest := self._handles.at(location, version) or self.open(location)) is None:
            return self.open(location)
        if newest.version() == version:
            return newest
        try:
            return LakeTable(location, version=version)
        except DeltaError as error:
            # Raises DependencyUnavailable where the newest version cannot be opened either: then the store fails.
            self.open(location)
            raise NotFound(
                f"version {version} of the table {location} no longer exists: {error}",
                hint="read a newer snapshot; the sink keeps old ones for HOMEOSTAT_SINK_LOG_HOURS",
            ) from error
