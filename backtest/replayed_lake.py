"""A lake in memory: what the tables would hold at a moment of the replay, read by drift and retraining like the stored ones."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import datetime
from types import SimpleNamespace
from typing import Any

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.dataset as ds

from backtest.history import History
from shared.contracts.event_time import from_micros, to_micros
from shared.contracts.feature import Feature
from shared.contracts.lake_schema import SOURCE, TIMESTAMP, VALUE, feature_column
from shared.contracts.prediction import Prediction
from shared.models.answers import answer_columns
from shared.models.losses import Scores
from shared.stores.lake import AnsweredGeneration, Lake, LakeSnapshot
from shared.stores.lake_scan import OTHER_TYPES


@dataclass(frozen=True)
class Serving:
    """A generation that answers from row number `first` on. `scores`: its answers, of which the first is that of row `offset`."""

    generation: int
    version: str
    first: int
    scores: Scores
    offset: int


@dataclass
class Replay:
    """The state of a replay: event time, and what serves. Only the simulation changes it."""

    now: datetime
    serving: list[Serving] = field(default_factory=list)


@dataclass(frozen=True)
class ReplayedLake(Lake):
    """Rows from number `first` on, up to the event time of the replay; outcomes that are known by then.

    What later outcomes would change is not replayed, and no outcome has a fault.
    """

    history: History
    prediction: Prediction
    replay: Replay
    first: int

    def snapshot(self, model: str) -> LakeSnapshot:
        """The tables never change: what is seen of them does."""
        return LakeSnapshot(0, 0)

    def watermark(self, model: str) -> datetime | None:
        """Event time of the newest row."""
        visible = self._visible()
        return from_micros(int(self.history.times[visible - 1])) if visible > self.first else None

    latest_event_time = watermark

    def latest_observation(self, model: str) -> datetime | None:
        """When the newest outcome became known."""
        known = self.history.known_at[self.first : self._visible()]
        known = known[known <= to_micros(self.replay.now)]
        return from_micros(int(known.max())) if known.size else None

    def generations(self, model: str, after: int) -> list[AnsweredGeneration]:
        """Those that have answered a row."""
        visible = self._visible()
        found = [one for one in self.replay.serving if one.generation > after]
        return [
            AnsweredGeneration(one.generation, one.version, from_micros(int(self.history.times[one.first])))
            for one, end in zip(found, self._ends(found), strict=True)
            if one.first < min(end, visible)
        ]

    def event_times(self, model: str, generation: int, since: datetime) -> pa.ChunkedArray:
        """Of the rows that a generation has answered."""
        times = [pa.array([], TIMESTAMP)]
        for one, end in zip(self.replay.serving, self._ends(self.replay.serving), strict=True):
            if one.generation == generation:
                begin = max(one.first, self.history.from_time(since))
                times.append(pa.array(self.history.times[begin : min(end, self._visible())], TIMESTAMP))
        return pa.chunked_array(times, TIMESTAMP)

    def open_at(self, location: str, version: int | None) -> None:
        """There are no tables: a snapshot reads all rows at once."""

    def open(self, location: str, *, version: int | None = None) -> Any:
        """Of the outcomes, what counts them; no other table is opened in a replay."""
        if location != self.outcomes(location.rsplit("/", 1)[-1]):
            return None
        numbers = np.arange(self.first, self._visible())
        numbers = numbers[self.history.known_at[numbers] <= to_micros(self.replay.now)]
        observed = pa.array(self.history.known_at[numbers], TIMESTAMP)
        ids = self.history.rows["prediction_id"].take(pa.array(numbers))
        table = pa.table({"prediction_id": ids, "observed_at": observed})
        return SimpleNamespace(to_pyarrow_dataset=lambda: ds.dataset(table))

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
        """As the lake does; `columns` must be given."""
        return self._read(self._numbers(start, end), columns or (), features, with_other_types)

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
        """As the lake does; `columns` must be given. The history has one outcome a row, and no senders: those that count."""
        numbers = self._numbers(start, end)
        wanted = list(dict.fromkeys(["prediction_id", "event_time", *(columns or ())]))
        table = self._read(numbers, wanted, features, with_other_types)
        count = len(numbers)
        known_at = self.history.known_at[numbers]
        unknown = pa.array(known_at > to_micros(min(known_until or self.replay.now, self.replay.now)))
        outcome = self.history.rows["outcome"].take(pa.array(numbers)).combine_chunks()
        table = table.append_column("outcome", pc.if_else(unknown, pa.scalar(None, outcome.type), outcome))
        table = table.append_column("observed_at", pa.array(known_at, TIMESTAMP, mask=np.asarray(unknown)))
        if with_faults:
            table = table.append_column("is_early", pa.array(np.zeros(count, bool)))
            table = table.append_column("senders", pa.nulls(count, pa.list_(pa.string())))
        return table.filter(pc.is_valid(table["outcome"])) if with_outcome else table

    def _read(
        self,
        numbers: npt.NDArray[np.int64],
        columns: Sequence[str],
        features: Sequence[Feature],
        with_other_types: bool,
    ) -> pa.Table:
        rows = self.history.rows.slice(int(numbers[0]) if numbers.size else 0, len(numbers))
        columns, has_source = [name for name in columns if name != SOURCE], SOURCE in columns
        answers = self._answers(numbers) if set(columns) - {"event_time", "prediction_id"} else {}
        read = {name: answers[name] if name in answers else rows[name] for name in columns}
        read |= {feature_column(feature.name): rows[feature.name] for feature in features}
        if with_other_types:
            read[OTHER_TYPES] = pa.array(np.zeros(len(numbers), bool))
        if has_source:
            read[SOURCE] = pa.nulls(len(numbers), pa.string())  # what is replayed counts as answered
        return pa.table(read)

    def _answers(self, numbers: npt.NDArray[np.int64]) -> dict[str, pa.Array | pa.ChunkedArray]:
        """Generation, version and answer of each row."""
        parts: list[dict[str, pa.Array]] = []
        serving = self.replay.serving
        for one, end in zip(serving, self._ends(serving), strict=True):
            mine = numbers[(numbers >= one.first) & (numbers < end)]
            if mine.size or one is serving[-1]:
                scores = one.scores[mine - one.offset]
                part = {
                    name: pa.array(column) for name, column in answer_columns(self.prediction, scores).items()
                }
                part["generation"] = pa.array(np.full(mine.size, one.generation, np.int64))
                part["version"] = pa.array([one.version] * mine.size, pa.string())
                parts.append(part)
        return {name: pa.chunked_array([part[name] for part in parts]) for name in parts[0]}

    def _ends(self, serving: Sequence[Serving]) -> list[int]:
        """Row number at which each generation was replaced."""
        return [*(one.first for one in serving[1:]), len(self.history)] if serving else []

    def _numbers(self, start: datetime, end: datetime) -> npt.NDArray[np.int64]:
        begin = max(self.first, self.history.from_time(start))
        return np.arange(begin, max(begin, min(self._visible(), self.history.from_time(end))))

    def _visible(self) -> int:
        return self.history.after_time(self.replay.now)
