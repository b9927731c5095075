"""What stream detection remembers: per generation its tiles and detector, per writer its last row number.

Its size is bounded by the number of generations and columns, not by rows.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Literal, Protocol

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from services.drift.stream.stream_profile import StreamProfile
from services.drift.stream_monitor.generation_stream import Arrays, GenerationStream
from services.drift.stream_monitor.profiles import NotWatched
from services.drift.stream_monitor.row_numbers import RowNumbers
from services.drift.stream_monitor.suspicion import Suspicion
from shared.contracts.lake_schema import IMPORT, SOURCE
from shared.messaging.log_record import LogRecord
from shared.stores.stream_time import StreamTime, of_array

Result = Literal[
    "counted",
    "repeated",
    "flawed",
    "imported",
    "unknown_model",
    "unknown_release",
    "no_reference",
    "canary",
    "too_many_generations",
    "failed",
]
# Generations of a model at a time: the one served, one that drains, one that was rolled back a moment ago.
MAX_GENERATIONS_OF_A_MODEL = 3

Key = tuple[str, int]  # model and generation


class ProfileSource(Protocol):
    """Where profiles come from. `get` raises NotWatched."""

    def get(self, model: str, generation: int, version: str) -> StreamProfile: ...


@dataclass(frozen=True)
class Added:
    """What became of a record: a result for each group of its rows (generation and version), and what was found. `errors`: of
    the groups that `failed`."""

    results: tuple[Result, ...]
    suspicions: tuple[Suspicion, ...] = ()
    touched: tuple[Key, ...] = ()
    errors: tuple[Exception, ...] = ()


@dataclass
class StreamState:
    """The generations that are watched, at most `limit`.

    `stored`: generations of a snapshot, restored when their next row comes: until then nobody needs their reference.
    """

    profiles: ProfileSource
    limit: int
    on_mismatch: Callable[[Key, str], None] = lambda *_: None
    numbers: RowNumbers = field(default_factory=RowNumbers)
    generations: dict[Key, GenerationStream] = field(default_factory=dict)
    stored: dict[Key, Arrays] = field(default_factory=dict)

    def add(self, record: LogRecord) -> Added:
        """Add the rows of a record. An unknown error changes nothing but the generation it is raised in, which starts anew.

        Imported rows are left out. 1. repeats   2. group by generation   3. per group: is it watched?   4. its tiles and detector
        """
        if record.flaw:
            return Added(("flawed",))
        batch = record.batch
        if SOURCE in batch.schema.names and batch[SOURCE][0].as_py() == IMPORT:
            return Added(("imported",))  # history: nobody was answered
        first = self.numbers.first_new((record.model, record.source, record.epoch), record.sequences)
        if first == batch.num_rows:
            return Added(("repeated",))
        results: list[Result] = []
        suspicions: list[Suspicion] = []
        touched: list[Key] = []
        errors: list[Exception] = []
        for generation, version, rows in _groups(batch.slice(first)):
            try:
                stream = self._stream(record.model, generation, version)
            except NotWatched as why:
                results.append(why.reason)
                continue
            if stream is None:
                results.append("too_many_generations")
                continue
            try:
                suspicions += stream.add(rows)
            except Exception as error:
                # Half a step may have been made. The alarms of other generations stand.
                del self.generations[record.model, generation]
                errors.append(error)
                results.append("failed")
                continue
            results.append("counted")
            touched.append((record.model, generation))
        return Added(tuple(results), tuple(suspicions), tuple(touched), tuple(errors))

    def _stream(self, model: str, generation: int, version: str) -> GenerationStream | None:
        """The stream of a generation; None where there are too many. Raises NotWatched."""
        key = (model, generation)
        known = self.generations.get(key)
        if known is not None:
            if known.version != version:
                raise NotWatched("unknown_release")
            return known
        superseded = self._superseded_by(model, generation)
        if superseded is None:
            return None
        profile = self.profiles.get(model, generation, version)
        stream = GenerationStream(model, version, generation, profile, time=self._time_of(model))
        for gone in superseded:
            self.generations.pop(gone, None)
            self.stored.pop(gone, None)
        stored = self.stored.pop(key, None)
        if stored is not None:
            try:
                stream.restore(stored)
            except ValueError as error:
                self.on_mismatch(key, str(error))
        self.generations[key] = stream
        return stream

    def _time_of(self, model: str) -> StreamTime:
        """The time of the model's stream, by its newest generation: a generation's first row may be far off, too."""
        live = [key for key in self.generations if key[0] == model]
        if live:
            return self.generations[max(live)].time
        kept = [key for key, arrays in self.stored.items() if key[0] == model and "time" in arrays]
        return of_array(self.stored[max(kept)]["time"]) if kept else StreamTime()

    def _superseded_by(self, model: str, generation: int) -> list[Key] | None:
        """The generations to forget for a new one; None where there is no room for it.

        1. of a model the newest ones are kept   2. at the limit, a generation goes that a newer one of its model has replaced
        """
        others = [key for key in {**self.generations, **self.stored} if key != (model, generation)]
        own = sorted(number for name, number in others if name == model)
        oldest = own[: max(0, len(own) - MAX_GENERATIONS_OF_A_MODEL + 1)]
        if oldest and generation < oldest[-1]:
            return None
        gone = [(model, number) for number in oldest]
        left = [key for key in others if key not in gone]
        if len(left) >= self.limit:
            newest: dict[str, int] = {model: generation}
            for name, number in left:
                newest[name] = max(number, newest.get(name, 0))
            replaced = [(name, number) for name, number in left if number < newest[name]]
            if not replaced:
                return None
            gone.append(replaced[0])
        return gone

    def forget(self, unwanted: Callable[[str], bool]) -> frozenset[str]:
        """Forget these models, which another process watches from now on; those that were known."""
        known = frozenset(model for model, _ in {**self.generations, **self.stored} if unwanted(model))
        self.generations = {key: one for key, one in self.generations.items() if key[0] not in known}
        self.stored = {key: one for key, one in self.stored.items() if key[0] not in known}
        self.numbers.forget(unwanted)
        return known

    def evidence(self, key: Key) -> Mapping[str, float]:
        """Evidence of the columns of a generation relative to its threshold; empty before its first tile."""
        return self.generations[key].detector.evidence()


def _groups(batch: pa.RecordBatch) -> list[tuple[int, str, pa.RecordBatch]]:
    """Rows by generation and version, in order of generation; nearly always one group."""
    generations = batch["generation"].to_numpy(zero_copy_only=False)
    versions = batch["version"]
    if generations[0] == generations[-1] and np.all(generations == generations[0]):
        names = pc.unique(versions)
        if len(names) == 1:
            return [(int(generations[0]), str(names[0].as_py()), batch)]
    keys: dict[tuple[int, str], list[int]] = {}
    for place, key in enumerate(zip(generations.tolist(), versions.to_pylist(), strict=True)):
        keys.setdefault(key, []).append(place)
    return [(number, name, batch.take(pa.array(places))) for (number, name), places in sorted(keys.items())]
