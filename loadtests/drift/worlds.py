"""Worlds without drift: what a stream may look like while nothing changes. Rows are drawn tile by tile, for many streams."""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass, field

import numpy as np
import numpy.typing as npt
import pyarrow as pa

from services.drift.evaluation.columns import columns_of, rows_from_table
from services.drift.evaluation.reference_profile import Reference
from shared.contracts.loop_spec import LoopSpec

Floats = npt.NDArray[np.float64]
# Standard normal values, (streams, rows, numbers), to values of the same shape.
Shape = Callable[[Floats], Floats]

ROWS = 50
MINUTE = 60 * 1_000_000
DAY = 1_440 * MINUTE
# A Thursday, midnight.
START = 20_454 * DAY


@dataclass(frozen=True)
class World:
    """`numbers` columns of `shape` with equal `correlation`; `levels`: number of equally frequent values of each category.

    `decay`: of a signal common to the rows of a tile, with the share `signal` of the variance; `daily`, `weekly`: amplitudes in
    standard deviations; `tile`: minutes; `traffic`: relative change of rows in a day.
    """

    name: str
    reference: int
    numbers: int = 10
    levels: tuple[int, ...] = ()
    shape: Shape = field(default=lambda normal: normal)
    correlation: float = 0.0
    decay: float = 0.0
    signal: float = 0.0
    daily: float = 0.0
    weekly: float = 0.0
    traffic: float = 0.0
    tile: int = 10
    zipf: bool = False

    @property
    def spec(self) -> LoopSpec:
        """Its `loop.yaml`."""
        features: list[dict[str, object]] = [
            {"name": f"x{place}", "type": "number", "nullable": True} for place in range(self.numbers)
        ]
        for place, levels in enumerate(self.levels):
            values = [f"v{level}" for level in range(levels)]
            features.append({"name": f"c{place}", "type": "category", "values": values, "unknown": "serve"})
        return LoopSpec.model_validate(
            {
                "model": "world",
                "features": features,
                "prediction": {"kind": "probability"},
                "outcome": {"delay": "1d"},
                "metric": {"name": "log_loss"},
                "drift": {"window": {"every": "1d"}},
                "retraining": {"command": ["python", "train.py"]},
                "gate": {"holdout": "1d"},
            }
        )

    def draw(self, random: np.random.Generator, streams: int, first: int) -> Stream:
        """Streams that begin with tile number `first` after START."""
        return Stream(self, random, streams, first)

    def draw_reference(self, random: np.random.Generator) -> Reference:
        """`reference` rows that end at START."""
        tiles = (
            math.ceil(self.reference / ROWS) if not self.traffic else math.ceil(1.1 * self.reference / ROWS)
        )
        stream = self.draw(random, 1, -tiles)
        times, numbers, categories, scores = [], [], [], []
        for _ in range(tiles):
            start = stream.start
            drawn = stream.next()
            count = drawn.numbers.shape[1]
            times.append(start + np.arange(count) * (self.tile * MINUTE // count))
            numbers.append(drawn.numbers[0])
            categories.append(drawn.categories[0])
            scores.append(drawn.scores[0])
        keep = slice(-self.reference, None)
        columns: dict[str, object] = {
            "event_time": pa.array(np.concatenate(times)[keep], pa.timestamp("us", tz="UTC")),
            "score": np.concatenate(scores)[keep],
            "outcome": pa.nulls(min(self.reference, sum(map(len, times))), pa.float64()),
        }
        all_numbers, all_categories = np.concatenate(numbers)[keep], np.concatenate(categories)[keep]
        for place in range(self.numbers):
            columns[f"x{place}"] = all_numbers[:, place]
        for place, levels in enumerate(self.levels):
            names = np.array([f"v{level}" for level in range(levels)], dtype=object)
            columns[f"c{place}"] = pa.array(names[all_categories[:, place]], pa.string())
        loop = self.spec
        rows = rows_from_table(pa.table(columns), loop)
        return Reference("0" * 64, loop, rows, columns_of(loop), {}, None)


@dataclass(frozen=True, eq=False)
class Drawn:
    """A tile of rows: numbers (streams, rows, numbers), categories (streams, rows, categories), scores (streams, rows)."""

    numbers: Floats
    categories: npt.NDArray[np.int64]
    scores: Floats


class Stream:
    """Draws the tiles of some streams, one after the other."""

    def __init__(self, world: World, random: np.random.Generator, streams: int, first: int) -> None:
        self.world = world
        self._random = random
        self._streams = streams
        self._tile = first
        self._signal = random.normal(size=(streams, world.numbers))

    @property
    def start(self) -> int:
        """Event time (µs) of the next tile's start."""
        return START + self._tile * self.world.tile * MINUTE

    @property
    def end(self) -> int:
        """Event time (µs) of the next tile's end."""
        return self.start + self.world.tile * MINUTE

    def next(self) -> Drawn:
        """The rows of the next tile."""
        world, random, streams = self.world, self._random, self._streams
        middle = (self.start + self.end) / 2
        phase = 2 * math.pi * middle / DAY
        rows = ROWS if not world.traffic else max(2, round(ROWS * (1 + world.traffic * math.sin(phase))))
        normal = random.standard_normal((streams, rows, world.numbers))
        if world.correlation:
            common = random.standard_normal((streams, rows, 1))
            normal = math.sqrt(world.correlation) * common + math.sqrt(1 - world.correlation) * normal
        if world.signal:
            pushed = random.standard_normal(self._signal.shape)
            self._signal = world.decay * self._signal + math.sqrt(1 - world.decay**2) * pushed
            normal = math.sqrt(world.signal) * self._signal[:, None] + math.sqrt(1 - world.signal) * normal
        shift = world.daily * math.sin(phase) + world.weekly * math.sin(phase / 7)
        if shift:
            normal = normal + shift
        categories = np.empty((streams, rows, len(world.levels)), np.int64)
        for place, levels in enumerate(world.levels):
            uniform = random.random((streams, rows))
            # Zipf's law with exponent 1, by inversion of its continuous form.
            categories[..., place] = (
                np.minimum(levels - 1, np.exp(uniform * math.log(levels)) - 1)
                if world.zipf
                else uniform * levels
            )
        scores = 1 / (1 + np.exp(1 + random.standard_normal((streams, rows))))
        self._tile += 1
        return Drawn(world.shape(normal), categories, scores)


def skewed(normal: Floats) -> Floats:
    """Lognormal, lognormal with a long tail, and squares, in turn."""
    values = normal.copy()
    values[..., 0::3] = np.exp(normal[..., 0::3])
    values[..., 1::3] = np.exp(2 * normal[..., 1::3])
    values[..., 2::3] = normal[..., 2::3] ** 2
    return values


def discrete(normal: Floats) -> Floats:
    """Rounded numbers, counts of which nearly all are zero, and flags, in turn."""
    values = np.round(normal * 2)
    values[..., 1::3] = np.maximum(0.0, np.round(3 * (normal[..., 1::3] - 1.6)))
    values[..., 2::3] = normal[..., 2::3] > 0.5
    return values


def heavy(normal: Floats) -> Floats:
    """Cauchy, by the ratio of a value and an independent one of the same row."""
    other = np.roll(normal, 1, axis=-1)
    return normal / np.where(other == 0, 1.0, other)


WORLDS: tuple[World, ...] = (
    World("independent, minutes", 10_000, tile=1),
    World("independent, reference 1,000", 1_000),
    World("independent, reference 100,000", 100_000),
    World("skewed", 10_000, shape=skewed),
    World("discrete numbers", 10_000, shape=discrete),
    World("categories 3 to 500", 20_000, numbers=2, levels=(3, 20, 100, 500)),
    World("categories, Zipf's law, reference 2,000", 2_000, numbers=2, levels=(5, 50, 500), zipf=True),
    World("correlated columns 0.5", 10_000, correlation=0.5),
    World("correlated columns 0.9", 10_000, correlation=0.9),
    World("serial correlation 0.5", 50_000, decay=0.6, signal=0.1),
    World("serial correlation 0.9", 100_000, decay=0.945, signal=0.3),
    World("daily cycle", 50_000, daily=0.5),
    World("daily and weekly cycle", 100_800, daily=0.5, weekly=0.3),
    World("traffic by day", 10_000, traffic=0.8),
    World("heavy tails", 10_000, shape=heavy),
)
