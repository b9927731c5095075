"""Many streams through the detectors' own code at once, for one reference."""

from __future__ import annotations

from dataclasses import dataclass, field

import numpy as np
import numpy.typing as npt
import pyarrow as pa

from loadtests.drift.worlds import Drawn
from services.drift.stream.cells.category_cells import CategoryCells
from services.drift.stream.cells.number_cells import NumberCells
from services.drift.stream.stream_profile import StreamProfile
from services.drift.stream.tiles import CELLS, Counts

Flags = npt.NDArray[np.bool_]
KINDS = ("feature", "prediction", "many_columns", "data")


def count_tiles(profile: StreamProfile, drawn: Drawn) -> Counts:
    """Tiles of all streams: (streams, columns, 70)."""
    columns = profile.layout.columns
    streams, rows = drawn.scores.shape
    cells = np.empty((streams, len(columns), rows), np.int64)
    categories = 0
    for place, column in enumerate(columns):
        if isinstance(column.cells, CategoryCells):
            levels = drawn.categories[..., categories]
            known = [f"v{level}" for level in range(int(levels.max()) + 1)]
            cells[:, place] = column.cells.cells(pa.array(known))[levels]
            categories += 1
            continue
        assert isinstance(column.cells, NumberCells)
        values = drawn.scores if column.name == "score" else drawn.numbers[..., place]
        cells[:, place] = column.cells.cells(np.ascontiguousarray(values).ravel()).reshape(streams, rows)
    offsets = (np.arange(streams * len(columns)) * CELLS).reshape(streams, len(columns), 1)
    size = streams * len(columns) * CELLS
    counts = np.bincount((cells + offsets).ravel(), minlength=size)
    return counts.reshape(streams, len(columns), CELLS).astype(np.int32)


@dataclass
class Streams:
    """Detectors of many streams. After an alarm a stream starts anew; `alarms` counts them by kind."""

    profile: StreamProfile
    streams: int
    alarms: dict[str, int] = field(default_factory=lambda: dict.fromkeys(KINDS, 0))

    def __post_init__(self) -> None:
        shape, profile = (self.streams,), self.profile
        self._numeric = profile.cusums.begin(shape)
        self._categories = profile.categories.begin(shape)
        self._many = profile.many.begin(shape)
        self._bursts = profile.bursts.begin(shape)
        self._broken = profile.broken.begin(shape)
        self._feature = profile.of_signal("feature")

    def step(self, counts: Counts, start: int, end: int) -> Flags:
        """Add a tile to each stream; which streams alarm."""
        profile, limits = self.profile, self.profile.thresholds
        sums, rows = profile.scores_of(counts, (start + end) // 2)
        numeric = profile.cusums.step(self._numeric, sums, rows, start).max(axis=(2, 3, 4))
        categories = profile.categories.step(self._categories, counts, start).max(axis=2, initial=0.0)
        many = profile.many.step(self._many, sums[..., 0], rows.max(axis=1, initial=0.0), start)
        bursts = profile.bursts.step(self._bursts, counts, start)
        broken = profile.broken.step(self._broken, counts, start)
        strongest = np.zeros((self.streams, len(profile.layout.columns)))
        strongest[:, profile.cusums.scores.columns] = numeric
        strongest[:, profile.categories.columns] = categories
        above = {
            "feature": strongest[:, self._feature].max(axis=1, initial=0.0) >= limits.feature,
            "prediction": strongest[:, ~self._feature].max(axis=1, initial=0.0) >= limits.prediction,
            "many_columns": many >= limits.many_columns,
            "data": np.max(
                [part.reshape(self.streams, -1).max(axis=1, initial=0.0) for part in (bursts, *broken)],
                axis=0,
            )
            >= limits.data,
        }
        alarmed = np.zeros(self.streams, bool)
        for kind in KINDS:
            self.alarms[kind] += int((above[kind] & ~alarmed).sum())
            alarmed |= above[kind]
        if alarmed.any():
            self._restart(alarmed)
        return alarmed

    def _restart(self, alarmed: Flags) -> None:
        for part, names in (
            (self._numeric, ("sums", "rows")),
            (self._categories, ("counts",)),
            (self._many, ("sums", "rows")),
            (self._bursts, ("hits", "rows")),
            (self._broken, ("units", "swaps", "frozen")),
        ):
            for name in names:
                getattr(part, name)[alarmed] = 0.0
