"""The past from a file of rows: event time, features, answer and outcome, as in reference.parquet."""

from __future__ import annotations

from collections.abc import Hashable, Iterator, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from functools import cached_property

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.compute as pc

from services.drift.evaluation.columns import Rows, rows_from_table
from services.drift.evaluation.reference_profile import Reference, build_reference
from services.drift.monitoring.lake_reader import Groups, Read
from services.drift.outcome_readiness import Watermarks
from services.drift.replay.past import Past
from services.drift.verdicts.positions import Generation
from services.drift.windows import Span
from shared.contracts.event_time import INSTANT, from_micros, to_micros
from shared.contracts.lake_schema import FEATURE_PREFIX, TIMESTAMP
from shared.contracts.loop_spec import LoopSpec
from shared.contracts.release import Release
from shared.contracts.slices.slice_spec import Slice, slices_of
from shared.data_checks.contract import contract_findings
from shared.errors import NotFound, ProjectError

# What a file cannot be replayed without; other findings are what drift detection is for.
_FATAL = ("missing_column", "wrong_type")
_BATCH = 10_000


def file_past(loop: LoopSpec, rows: pa.Table, reference: Reference) -> Past:
    """The rows of a file as the past of one version. Raises ProjectError for rows that do not fit loop.yaml."""
    table = checked(rows, loop, "the rows")
    reader = FileReader(table, reference.version)
    delay = loop.performance.outcome.delay if loop.performance else timedelta(0)
    length = loop.drift.window.every or timedelta(0)
    # A file holds every outcome that will ever be known of its rows.
    return Past(
        loop.model,
        OneReference(loop.model, reference),
        reader,
        reader.batches,
        outcomes_until=reader.newest + delay + length,
    )


def file_reference(loop: LoopSpec, table: pa.Table, version: str) -> Reference:
    """The rows of a file as a reference. Raises ProjectError."""
    table = checked(table, loop, "the reference")
    slices = slices_of(loop.slices, loop.features, table)
    return build_reference(version, loop, rows_from_table(table, loop, slices=slices), None, slices)


def checked(table: pa.Table, loop: LoopSpec, what: str) -> pa.Table:
    """The table in order of event time, which is a timestamp in UTC. Raises ProjectError that names what is missing."""
    if "event_time" not in table.column_names:
        raise ProjectError(f"{what} have no column event_time", hint="add the time of each row, in UTC")
    try:
        times = pc.cast(table["event_time"], TIMESTAMP)
    except (pa.ArrowInvalid, pa.ArrowNotImplementedError) as error:
        raise ProjectError(
            f"event_time of {what} cannot be read as times: {str(error)[:120]}",
            hint="write it as timestamps, or as text such as 2026-01-31T12:00:00Z",
        ) from error
    if times.null_count:
        raise ProjectError(f"event_time of {what} has {times.null_count} missing values", hint="fill them")
    fatal = [one for one in contract_findings(table, loop) if one.kind in _FATAL]
    if fatal:
        raise ProjectError(f"{what} do not fit loop.yaml: {fatal[0].message}", hint=fatal[0].hint)
    place = table.column_names.index("event_time")
    table = table.set_column(place, "event_time", times)
    return table.take(pc.sort_indices(table["event_time"]))


@dataclass(frozen=True)
class OneReference:
    """`References` with one version, which answered all rows."""

    model: str
    reference: Reference

    def models(self) -> list[str]:
        """The model."""
        return [self.model]

    def live_release(self, model: str) -> Release | None:
        """A file has no release log."""
        return None

    def release(self, model: str, generation: int) -> Release:
        """A file has no release log."""
        raise NotFound("the rows come from a file, which has no release log")

    def get(self, model: str, version: str) -> Reference:
        """The reference."""
        return self.reference


@dataclass(frozen=True)
class FileReader:
    """`LakeReader` of one table in order of event time. Every row is of generation 1."""

    table: pa.Table
    version: str

    @cached_property
    def _times(self) -> npt.NDArray[np.int64]:
        return np.asarray(pc.cast(self.table["event_time"], pa.int64()).to_numpy(), dtype=np.int64)

    @property
    def newest(self) -> datetime:
        """Just after the last row."""
        return from_micros(int(self._times[-1])) + INSTANT

    def revision(self, model: str) -> Hashable:
        """A file does not change."""
        return 1

    def watermarks(self, model: str) -> Watermarks:
        """The last row, also for outcomes."""
        return Watermarks(self.newest, self.newest)

    def generations(self, model: str, after: int) -> Sequence[Generation]:
        """One."""
        first = from_micros(int(self._times[0]))
        return [Generation(1, self.version, first, first, first)] if after < 1 else []

    def times(self, model: str, generation: int, since: datetime) -> npt.NDArray[np.int64]:
        """Event times from `since` on."""
        return self._times[np.searchsorted(self._times, to_micros(since)) :]

    def rows(
        self,
        model: str,
        loop: LoopSpec,
        span: Span,
        generation: int,
        read: Read = "all",
        slices: Sequence[Slice] = (),
    ) -> Rows:
        """The rows of a window."""
        marked = slices if read != "inputs" else ()
        return rows_from_table(self._of(span), loop, with_features=read != "performance", slices=marked)

    def outcomes_version(self, model: str) -> int:
        """A file does not change."""
        return 1

    def outcome_groups_since(self, model: str, version: int) -> Groups | None:
        """None are added."""
        return np.array([], dtype=np.str_)

    def prediction_groups(self, model: str, span: Span) -> Groups:
        """Rows of a file have no ids."""
        return np.array([], dtype=np.str_)

    def batches(self, seen: Generation, span: Span) -> Iterator[pa.RecordBatch]:
        """The rows of `span` as the predictions topic has them."""
        found = self._of(span)
        kept = ("event_time", "score", "scores", "label", "outcome")
        names = [name if name in kept else FEATURE_PREFIX + name for name in found.column_names]
        found = found.rename_columns(names).append_column("answered_at", found["event_time"])
        for start in range(0, len(found), _BATCH):
            yield from found.slice(start, _BATCH).combine_chunks().to_batches()

    def _of(self, span: Span) -> pa.Table:
        low, high = np.searchsorted(self._times, [to_micros(span.start), to_micros(span.end)])
        return self.table.slice(int(low), int(high - low))
