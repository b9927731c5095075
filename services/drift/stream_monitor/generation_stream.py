"""The stream of one generation: its rows become tiles, and each complete tile is a step of its detector. Pure.

What it does depends on the records and their order alone, so that after a restart the same records raise the same alarms.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from typing import Any

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.compute as pc

from services.drift.stream.alarm import Alarm, Blame
from services.drift.stream.detector import StreamDetector
from services.drift.stream.statistics.bursts import BURSTS
from services.drift.stream.stream_profile import StreamProfile
from services.drift.stream.tiles import CELLS, VALUE_CELLS, Tile
from services.drift.stream_monitor.suspicion import Suspicion
from services.drift.stream_monitor.tile_clock import TileClock
from shared.contracts.event_time import INSTANT, to_micros
from shared.stores.stream_time import AHEAD, StreamTime, mark_rows, of_array, to_array

Arrays = Mapping[str, npt.NDArray[Any]]
# Tiles whose number of rows is remembered, to count the rows since an onset.
REMEMBERED_TILES = 4096
# Tiles whose missing, infinite and out-of-range values are remembered, to compare their share with the tolerances of loop.yaml.
SPECIAL_TILES = 64
_CELLS: Mapping[str, tuple[int, ...]] = dict(BURSTS)


@dataclass(frozen=True)
class Progress:
    """Numbers of rows and tiles since the last report; `late` rows, and rows `left_out` because they are from another time."""

    rows: int = 0
    tiles: int = 0
    late: int = 0
    left_out: int = 0


@dataclass
class GenerationStream:
    """Tiles and detector of `generation` of `model`. `newest_tile`: the last one that was complete, since the process started."""

    model: str
    version: str
    generation: int
    profile: StreamProfile
    newest_tile: Tile | None = None
    time: StreamTime = field(default_factory=StreamTime)
    _progress: Progress = field(default_factory=Progress)
    clock: TileClock[Tile] = field(init=False)
    detector: StreamDetector = field(init=False)
    _tiles: deque[tuple[int, int]] = field(init=False)  # start and rows of the last tiles, oldest first

    # Start, rows and special values, (columns, 6), of the last tiles.
    _special: deque[tuple[int, int, npt.NDArray[np.int32]]] = field(init=False)

    def __post_init__(self) -> None:
        self.clock = TileClock(self.profile.tile // INSTANT, self.profile.hold // INSTANT)
        self.detector = StreamDetector(self.profile)
        self._tiles = deque(maxlen=REMEMBERED_TILES)
        self._special = deque(maxlen=SPECIAL_TILES)

    def add(self, batch: pa.RecordBatch) -> list[Suspicion]:
        """Add rows of the predictions topic, all of this generation. A batch that cannot be counted raises and changes nothing.

        1. leave out rows far ahead of the stream   2. count the rows of each tile   3. add them
        4. a step of the detector for each tile that is complete
        """
        rows = batch.num_rows
        batch, time = self._in_stream(batch)
        parts = self.clock.split(*(_micros(batch[name]) for name in ("event_time", "answered_at")))
        counted = [self.profile.layout.count_batch(_rows(batch, part.rows)) for part in parts]
        self.time = time
        before = self.clock.late, self.clock.too_late_rows
        found, tiles = [], 0
        for part, counts in zip(parts, counted, strict=True):
            for closed in self.clock.add(part, counts):
                tile = Tile(closed.start, closed.end, closed.counts.rows, closed.counts.counts)
                tiles += 1
                self._tiles.append((tile.start, tile.rows))
                self.newest_tile = tile
                self._special.append((tile.start, tile.rows, tile.counts[:, VALUE_CELLS:].copy()))
                alarms = self.detector.step(tile, self._tolerates)
                if alarms:
                    found.append(self._suspicion(alarms))
        late, left_out = self.clock.late - before[0], self.clock.too_late_rows - before[1]
        left_out += rows - batch.num_rows
        done = self._progress
        self._progress = Progress(
            done.rows + rows - left_out,
            done.tiles + tiles,
            done.late + late,
            done.left_out + left_out,
        )
        return found

    def _in_stream(self, batch: pa.RecordBatch) -> tuple[pa.RecordBatch, StreamTime]:
        """The rows that are not far ahead, and the stream's time after them; see shared/stores/stream_time.py."""
        times, answered = (_micros(batch[name]) for name in ("event_time", "answered_at"))
        bound = self.profile.layout.reference.loop.event_time.bound // INSTANT
        marks, time = mark_rows(self.time, np.minimum(times, answered), answered, bound)
        ahead = marks == AHEAD
        return (batch.filter(pa.array(~ahead)) if ahead.any() else batch), time

    def take_progress(self) -> Progress:
        """Progress since the last call."""
        progress, self._progress = self._progress, Progress()
        return progress

    def _tolerates(self, blame: Blame) -> bool:
        """Whether the share of such values since the onset is within the tolerance of loop.yaml."""
        drift = self.profile.layout.reference.loop.drift
        tolerances = {
            "missing": drift.missing_increase,
            "infinite": drift.missing_increase,
            "out_of_range": drift.out_of_range,
        }
        if blame.method not in tolerances:
            return False
        place, cells = self.profile.layout.names()[blame.column], list(_CELLS[blame.method])
        start, newest = to_micros(blame.onset), self._special[-1]
        since = [tile for tile in self._special if tile[0] >= start] or [newest]
        special = [cell - VALUE_CELLS for cell in cells]
        hits = sum(int(counts[place, special].sum()) for _, _, counts in since)
        before = self.profile.reference[place]
        usual = float(before[cells].sum()) / max(1, int(before.sum()))
        return hits / sum(rows for _, rows, _ in since) <= usual + tolerances[blame.method]

    def _suspicion(self, alarms: tuple[Alarm, ...]) -> Suspicion:
        bare = Suspicion(self.model, self.version, self.generation, alarms, 0, self.profile.hold)
        start = to_micros(bare.subject.span.start)
        return replace(bare, rows=sum(rows for begun, rows in self._tiles if begun >= start))

    # Snapshots

    def state(self) -> dict[str, npt.NDArray[Any]]:
        """Everything `restore` needs, as plain arrays by name."""
        clock, numbers = self.clock, sorted(self.clock.open)
        open_tiles = [clock.open[number] for number in numbers]
        columns = len(self.profile.layout.columns)
        below = -1 if clock.closed_below is None else clock.closed_below
        return {
            "clock": np.array([clock.length, below, clock.newest, clock.late, clock.too_late_rows], np.int64),
            "time": to_array(self.time),
            "open": np.array(
                [
                    (number, tile.start, tile.end, tile.rows)
                    for number, tile in zip(numbers, open_tiles, strict=True)
                ],
                np.int64,
            ).reshape(-1, 4),
            "counts": np.array([tile.counts for tile in open_tiles], np.int32).reshape(-1, columns, CELLS),
            "special_tiles": np.array([tile[:2] for tile in self._special], np.int64).reshape(-1, 2),
            "special": np.array([tile[2] for tile in self._special], np.int32).reshape(
                -1, columns, CELLS - VALUE_CELLS
            ),
            "tiles": np.array(self._tiles, np.int64).reshape(-1, 2),
            **{f"detector.{name}": array for name, array in self.detector.state().items()},
        }

    def restore(self, state: Arrays) -> None:
        """Go on from a state. Raises ValueError where it is of another profile; then nothing has changed."""
        try:
            length, below, newest, late, too_late = (int(number) for number in state["clock"])
            opened, counts = state["open"], state["counts"]
            if length != self.clock.length or counts.shape[1:] != (len(self.profile.layout.columns), CELLS):
                raise ValueError("the tiles have another length or other columns")
            inside = {name.removeprefix("detector."): array for name, array in state.items()}
            detector = StreamDetector.restore(self.profile, inside)
            tiles = [(int(start), int(rows)) for start, rows in state["tiles"]]
            special = [
                (int(start), int(rows), counts)
                for (start, rows), counts in zip(state["special_tiles"], state["special"], strict=True)
            ]
            time = of_array(state["time"]) if "time" in state else None
        except KeyError as error:
            raise ValueError(f"array {error} is missing") from error
        # A snapshot from before there was such an array: the newest time is known, and the stream may be live.
        self.time = time if time is not None else StreamTime(newest if below >= 0 else None)
        self.detector = detector
        self._tiles.extend(tiles)
        self._special.extend(special)
        clock = self.clock
        clock.closed_below = None if below < 0 else below
        clock.newest, clock.late, clock.too_late_rows = newest, late, too_late
        clock.open = {
            int(number): Tile(int(start), int(end), int(rows), part)
            for (number, start, end, rows), part in zip(opened, counts, strict=True)
        }


def _micros(times: pa.Array) -> npt.NDArray[np.int64]:
    micros: npt.NDArray[np.int64] = pc.cast(times, pa.int64()).to_numpy(zero_copy_only=False)
    return micros


def _rows(batch: pa.RecordBatch, places: npt.NDArray[np.int64]) -> pa.RecordBatch:
    """These rows; without a copy where they lie together."""
    first, size = int(places[0]), int(places.size)
    if int(places[-1]) - first == size - 1 and bool(np.all(np.diff(places) == 1)):
        return batch if size == batch.num_rows else batch.slice(first, size)
    return batch.take(pa.array(places))
