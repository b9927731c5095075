"""Rows from a change to the alarm, blame and onset; power for many small shifts. One column of thirty changes, 50-row minutes."""

from __future__ import annotations

from dataclasses import dataclass, replace
from datetime import timedelta

import numpy as np

from loadtests.drift.streams import count_tiles
from loadtests.drift.worlds import MINUTE, ROWS, START, World
from services.drift.stream.detector import StreamDetector
from services.drift.stream.statistics.sum_statistic import SumCusum
from services.drift.stream.stream_profile import StreamProfile
from services.drift.stream.tiles import Tile
from shared.contracts.event_time import from_micros

COLUMNS, CHANGED = 30, 17
WORLD = World("delay", 10_000, numbers=COLUMNS, tile=1)
# Shift in standard deviations, and the most rows that its detection may take in the mean.
MAXIMUM_ROWS = {0.5: 215.0, 0.3: 600.0, 0.1: 5_400.0}
MAXIMUM_TILES = 600
BEFORE = 25


@dataclass(frozen=True)
class DelayResult:
    """Of the runs in which the first alarm came after the change: mean rows to it; shares over all runs."""

    shift: float
    runs: int
    rows: float
    found: float
    top_right: float
    false_discoveries: float
    onset_near: float
    early: int


def profile_of(world: World, seed: int) -> StreamProfile:
    """A profile with one false alarm per 30 days, of a reference drawn from the world."""
    reference = world.draw_reference(np.random.default_rng([seed, 99]))
    return StreamProfile.of(reference, 1.0, tile=timedelta(minutes=world.tile))


def measure_delays(
    shift: float, *, runs: int, references: int, world: World = WORLD, seed: int = 3
) -> DelayResult:
    """Runs of 25 tiles without and then up to 600 tiles with the shift."""
    delays, top, discoveries, onsets, early = [], [], [], [], 0
    for number in range(references):
        profile = profile_of(world, seed + number)
        for run in range(runs // references):
            random = np.random.default_rng([seed, number, run])
            detector, stream = StreamDetector(profile), world.draw(random, 1, 0)
            for tile in range(BEFORE + MAXIMUM_TILES):
                start, end, drawn = stream.start, stream.end, stream.next()
                if tile >= BEFORE:
                    drawn.numbers[..., CHANGED] += shift
                alarms = detector.step(Tile(start, end, ROWS, count_tiles(profile, drawn)[0]))
                if not alarms:
                    continue
                if tile < BEFORE:
                    early += 1
                    break
                delays.append((tile - BEFORE + 1) * ROWS)
                named = alarms[0].features
                top.append(named[0] == f"x{CHANGED}")
                discoveries.append(sum(name != f"x{CHANGED}" for name in named) / len(named))
                change = from_micros(START + BEFORE * MINUTE * world.tile)
                distance = abs(alarms[0].onset - change) / timedelta(minutes=world.tile)
                onsets.append(distance <= 2)
                break
    return DelayResult(
        shift,
        runs,
        float(np.mean(delays)) if delays else float("inf"),
        len(delays) / max(1, runs - early),
        float(np.mean(top)) if top else 0.0,
        float(np.mean(discoveries)) if discoveries else 1.0,
        float(np.mean(onsets)) if onsets else 0.0,
        early,
    )


@dataclass(frozen=True)
class PowerResult:
    """Share of windows of 1,000 rows that are found, and of those without a shift (0.1 % stated)."""

    power: float
    false_alarms: float
    windows: int


def measure_power(*, windows: int, shifted: int = 10, shift: float = 0.1, seed: int = 5) -> PowerResult:
    """The statistic of many columns on windows of 1,000 rows, with the threshold of `window_threshold`."""
    random = np.random.default_rng(seed)
    profile = profile_of(replace(WORLD, name="power"), seed)
    many, rows = profile.many, 1_000.0
    limit = window_threshold(many, rows, 0.001, random)
    found = {}
    for name, amount in (("power", shift), ("false_alarms", 0.0)):
        above = 0
        for _ in range(windows):
            stream = WORLD.draw(random, round(rows) // ROWS, 0)
            drawn = stream.next()
            drawn.numbers[..., :shifted] += amount
            counts = count_tiles(profile, drawn).sum(axis=0)
            sums, _ = profile.cusums.scores.sums(counts)
            above += bool(many.evidence(sums[:, 0] @ many.directions.T, np.array(rows)) >= limit)
        found[name] = above / windows
    return PowerResult(found["power"], found["false_alarms"], windows)


def window_threshold(many: SumCusum, rows: float, alpha: float, random: np.random.Generator) -> float:
    """Upper `alpha` quantile of the evidence of one window without drift, reference error included."""
    variance = many.variance * rows * (1 + rows / many.rows)
    sums = random.standard_normal((200_000, many.variance.size)) * np.sqrt(variance)
    return float(np.quantile(many.evidence(sums, np.full(200_000, rows)), 1 - alpha))
