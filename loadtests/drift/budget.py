"""False alarms on worlds without drift: the realised time between them, relative to the stated one."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import timedelta

import numpy as np

from loadtests.drift.streams import Streams, count_tiles
from loadtests.drift.worlds import World
from services.drift.stream.stream_profile import StreamProfile

LOWEST, HIGHEST = 0.8, 2.0
STATED = timedelta(days=30)


@dataclass(frozen=True)
class BudgetResult:
    """`ratio`: realised time between false alarms, divided by the stated 30 days."""

    world: str
    tiles: int
    alarms: int
    ratio: float
    by_kind: dict[str, int]

    @property
    def holds(self) -> bool:
        """Whether the ratio is in [0.8, 2]."""
        return LOWEST <= self.ratio <= HIGHEST


def measure_budget(world: World, *, references: int, streams: int, tiles: int, seed: int = 1) -> BudgetResult:
    """Run `streams` streams of `tiles` tiles against each of several references; one false alarm per 30 days is stated."""
    alarms: dict[str, int] = {}
    for number in range(references):
        random = np.random.default_rng([seed, number])
        profile = StreamProfile.of(world.draw_reference(random), 1.0, tile=timedelta(minutes=world.tile))
        # Correlated rows are evidence for long: as many tiles in all, of fewer and longer streams.
        longer = 6 if world.signal else 1
        detectors, stream = Streams(profile, streams // longer), world.draw(random, streams // longer, 0)
        for _ in range(tiles * longer):
            start, end = stream.start, stream.end
            detectors.step(count_tiles(profile, stream.next()), start, end)
        for kind, count in detectors.alarms.items():
            alarms[kind] = alarms.get(kind, 0) + count
    total = references * (streams // longer) * tiles * longer
    stated = STATED / timedelta(minutes=world.tile)
    found = sum(alarms.values())
    return BudgetResult(world.name, total, found, total / max(1, found) / stated, alarms)
