"""Six kinds of broken data: tiles until the alarm, and whether it is called a data fault."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass

import numpy as np
import pyarrow as pa

from loadtests.drift.delays import profile_of
from loadtests.drift.worlds import MINUTE, ROWS, START, World
from services.drift.stream.detector import StreamDetector
from services.drift.stream.statistics.broken_values import FACTORS
from services.drift.stream.stream_profile import StreamProfile
from services.drift.stream.tiles import Tile
from shared.contracts.lake_schema import FEATURE_PREFIX

NUMBERS, CATEGORIES = 8, 2
WORLD = World("faults", 10_000, numbers=NUMBERS, levels=(5, 20), tile=1)
MAXIMUM_TILES, MINIMUM_SHARE = 2, 0.98
CLEAN_TILES = 30
# Means and standard deviations of the numbers: degrees, metres, kilograms, shares, years, dollars and two plain ones.
MEANS = np.array([18.0, 1_200.0, 70.0, 0.3, 40.0, 250.0, 0.0, 5.0])
SPREADS = np.array([6.0, 300.0, 12.0, 0.1, 12.0, 80.0, 1.0, 2.0])

Columns = dict[str, pa.Array | np.ndarray[tuple[int, ...], np.dtype[np.float64]]]
Fault = Callable[[Columns, np.random.Generator, int], None]


@dataclass(frozen=True)
class FaultResult:
    """`within`: share of runs with an alarm in at most two tiles; `named`: share whose first alarms are all data faults."""

    fault: str
    runs: int
    within: float
    named: float
    methods: Mapping[str, int]

    @property
    def holds(self) -> bool:
        """Whether both shares are at least 98 %."""
        return self.within >= MINIMUM_SHARE and self.named >= MINIMUM_SHARE


def _units(columns: Columns, random: np.random.Generator, place: int) -> None:
    factor = FACTORS[int(random.integers(len(FACTORS)))]
    values = np.asarray(columns[f"x{place}"])
    if place == 0:
        columns["x0"] = values * 1.8 + 32
    else:
        columns[f"x{place}"] = values * factor if random.random() < 0.5 else values / factor


def _missing(columns: Columns, random: np.random.Generator, place: int) -> None:
    values = np.asarray(columns[f"x{place}"])
    columns[f"x{place}"] = np.where(random.random(values.size) < 0.5, np.nan, values)


def _new_category(columns: Columns, random: np.random.Generator, place: int) -> None:
    values = columns[f"c{place % CATEGORIES}"]
    new = random.random(len(values)) < 0.5
    columns[f"c{place % CATEGORIES}"] = pa.array(
        [f"new{place}" if flag else value for flag, value in zip(new, values, strict=True)], pa.string()
    )


def _swapped(columns: Columns, random: np.random.Generator, place: int) -> None:
    other = (place + 1 + int(random.integers(NUMBERS - 1))) % NUMBERS
    columns[f"x{place}"], columns[f"x{other}"] = columns[f"x{other}"], columns[f"x{place}"]


def _frozen(columns: Columns, random: np.random.Generator, place: int) -> None:
    values = np.asarray(columns[f"x{place}"])
    # The sensor repeats one value for as long as the fault lasts.
    columns[f"x{place}"] = np.full(values.size, MEANS[place] + SPREADS[place] * _FROZEN[place])


def _schema(columns: Columns, random: np.random.Generator, place: int) -> None:
    if random.random() < 0.5:
        del columns[f"x{place}"]
    else:
        values = np.asarray(columns[f"x{place}"])
        columns[f"x{place}"] = pa.array([f"{value:.3f} units" for value in values])


_FROZEN = np.random.default_rng(11).normal(size=NUMBERS)
FAULTS: dict[str, Fault] = {
    "units changed": _units,
    "null burst": _missing,
    "new category burst": _new_category,
    "columns swapped": _swapped,
    "sensor frozen": _frozen,
    "schema changed": _schema,
}


def measure_faults(*, runs: int, seed: int = 7) -> list[FaultResult]:
    """Each fault begins with a tile; runs start from the state after thirty tiles without a fault."""
    scaled = World(
        WORLD.name,
        WORLD.reference,
        WORLD.numbers,
        WORLD.levels,
        lambda normal: MEANS + SPREADS * normal,
        tile=1,
    )
    profile = profile_of(scaled, seed)
    clean = StreamDetector(profile)
    random = np.random.default_rng(seed)
    for tile in range(CLEAN_TILES):
        clean.step(_tile(profile, _columns(scaled, random), tile))
    state = clean.state()
    results = []
    for name, fault in FAULTS.items():
        within, named, methods = 0, 0, dict[str, int]()
        for run in range(runs):
            detector = StreamDetector.restore(profile, state)
            for tile in range(MAXIMUM_TILES):
                columns = _columns(scaled, random)
                # The same fault in each tile.
                fault(columns, np.random.default_rng([seed, run]), run % NUMBERS)
                alarms = detector.step(_tile(profile, columns, CLEAN_TILES + tile))
                if alarms:
                    within += 1
                    named += all(alarm.state == "data_fault" for alarm in alarms)
                    method = alarms[0].method
                    methods[method] = methods.get(method, 0) + 1
                    break
        results.append(FaultResult(name, runs, within / runs, named / runs, methods))
    return results


def _columns(world: World, random: np.random.Generator) -> Columns:
    drawn = world.draw(random, 1, 0).next()
    columns: Columns = {f"x{place}": drawn.numbers[0, :, place].copy() for place in range(NUMBERS)}
    for place, levels in enumerate(world.levels):
        names = np.array([f"v{level}" for level in range(levels)], dtype=object)
        columns[f"c{place}"] = pa.array(names[drawn.categories[0, :, place]], pa.string())
    columns["score"] = drawn.scores[0]
    return columns


def _tile(profile: StreamProfile, columns: Columns, tile: int) -> Tile:
    start = START + tile * MINUTE
    times = start + np.arange(ROWS) * (MINUTE // ROWS)
    named = {name if name == "score" else FEATURE_PREFIX + name: values for name, values in columns.items()}
    batch = pa.RecordBatch.from_pydict({"event_time": pa.array(times, pa.timestamp("us", tz="UTC")), **named})
    counted = profile.layout.count_batch(batch)
    return Tile(start, start + MINUTE, counted.rows, counted.counts)
