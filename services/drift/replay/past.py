"""The past that a replay runs over: logged rows of a model, as its versions answered them."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from datetime import datetime, timedelta

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from services.drift.evaluation.columns import answer_columns
from services.drift.monitoring.lake_reader import LakeReader
from services.drift.monitoring.references import References, live_generation
from services.drift.outcome_readiness import Watermarks
from services.drift.verdicts.positions import Generation
from services.drift.windows import Span
from shared.contracts.event_time import to_micros
from shared.contracts.loop_spec import LoopSpec
from shared.contracts.manifest import short
from shared.errors import NotFound, ProjectError
from shared.stores.lake import Lake

# Rows that stream detectors read at once cover at least this event time.
_READ_AT_ONCE = timedelta(days=1)
# Batches of the rows of `span` of a generation, in order of event time, as the predictions topic has them.
StreamRows = Callable[[Generation, Span], Iterator[pa.RecordBatch]]


@dataclass(frozen=True)
class Past:
    """Rows with the references to judge them by. `outcomes_until`: event time to which outcomes are taken to be complete, where
    that is not what the rows say."""

    model: str
    references: References
    lake_reader: LakeReader
    stream_rows: StreamRows
    outcomes_until: datetime | None = None


@dataclass(frozen=True)
class Generations:
    """The generations that are replayed; `skipped`: why others are not, a sentence each."""

    generations: tuple[Generation, ...]
    skipped: tuple[str, ...] = ()


@dataclass(frozen=True)
class Interval:
    """Event time to replay; None: as far as there are rows."""

    start: datetime | None = None
    end: datetime | None = None


def generations_of(past: Past, interval: Interval) -> Generations:
    """Live generations with rows in the interval. One whose version does not fit the given loop.yaml is skipped.

    Raises NotFound where there are none.
    """
    found: list[Generation] = []
    skipped: list[str] = []
    seen = list(past.lake_reader.generations(past.model, 0))
    for place, one in enumerate(seen):
        if live_generation(past.references, past.model, one.generation) != one.generation:
            continue  # a canary: its rows are no windows
        following = seen[place + 1].first if place + 1 < len(seen) else None
        if interval.end is not None and one.first >= interval.end:
            break
        if interval.start is not None and following is not None and following <= interval.start:
            continue
        try:
            past.references.get(past.model, one.version)
        except ProjectError as error:
            skipped.append(f"generation {one.generation} (version {short(one.version)}): {error.message}")
            continue
        first = max(one.first, interval.start) if interval.start is not None else one.first
        found.append(Generation(one.generation, one.version, first, first, first))
    if not found:
        raise NotFound(
            f"there are no rows of {past.model} to replay" + (f": {skipped[0]}" if skipped else ""),
            hint="choose another --from and --until, or a loop.yaml that fits the version"
            if seen
            else "send prediction requests first",
        )
    return Generations(tuple(found), tuple(skipped))


def watermarks_of(past: Past, interval: Interval, now: datetime) -> tuple[Watermarks, Watermarks]:
    """Up to where rows, and for performance outcomes too, are taken to be complete."""
    known = past.lake_reader.watermarks(past.model)
    end = min(interval.end or now, now)
    inputs = Watermarks(
        *(None if mark is None else min(mark, end) for mark in (known.predictions, known.outcomes))
    )
    if past.outcomes_until is None:
        return inputs, inputs
    return inputs, Watermarks(past.outcomes_until, past.outcomes_until)


def rows_between(past: Past, found: Generations, start: datetime, end: datetime) -> int:
    """Rows of these generations from `start` to `end`."""
    limit = to_micros(end)
    return sum(
        int(np.searchsorted(past.lake_reader.times(past.model, seen.generation, start), limit))
        for seen in found.generations
    )


@dataclass(frozen=True)
class Configured:
    """The loop.yaml that a version is replayed with: `given`, or the version's own; `false_alarms` replaces the budget."""

    given: LoopSpec | None = None
    false_alarms: float | None = None

    def of(self, loop: LoopSpec) -> LoopSpec:
        """For a version with `loop`. Raises ProjectError where `given` has other features or another prediction."""
        found = self.given or loop
        if self.given is not None:
            _check_fits(loop, self.given)
        if self.false_alarms is None:
            return found
        drift = found.drift.model_copy(update={"false_alarms_per_30_days": self.false_alarms})
        return found.model_copy(update={"drift": drift})


def _check_fits(loop: LoopSpec, given: LoopSpec) -> None:
    here, there = ({one.name: (one.type, one.shape) for one in spec.features} for spec in (loop, given))
    other = sorted({name for name, _ in set(here.items()) ^ set(there.items())})
    if other:
        raise ProjectError(
            f"its features differ from those of loop.yaml: {', '.join(other[:5])}",
            hint="replay a loop.yaml with the features of the version",
        )
    if loop.prediction != given.prediction or loop.model != given.model:
        key = "prediction" if loop.prediction != given.prediction else "model"
        raise ProjectError(
            f"its {key} differs from that of loop.yaml", hint=f"replay a loop.yaml with the same {key}"
        )


@dataclass(frozen=True)
class LakeRows:
    """`StreamRows` of the lake, in order of event time: late rows, which the stream counts apart, are in their place here."""

    lake: Lake
    references: References
    model: str
    length: timedelta = field(default=_READ_AT_ONCE)

    def __call__(self, seen: Generation, span: Span) -> Iterator[pa.RecordBatch]:
        """Reads a day, or a window if that is longer, at once."""
        loop = self.references.get(self.model, seen.version).loop
        step = max(self.length, loop.drift.window.every or self.length)
        start = span.start
        while start < span.end:
            end = min(start + step, span.end)
            columns = ["event_time", "answered_at", "generation", *answer_columns(loop)]
            rows = self.lake.read_predictions(self.model, start, end, columns, features=loop.features)
            mine = pc.equal(rows["generation"], seen.generation)
            yield from rows.filter(mine).combine_chunks().to_batches()
            start = end
