"""Stream detectors against their bars, and the cost of evaluating a window.

`python -m loadtests.bench_drift` prints tables and a last line; exit status 0 only if every bar holds. `--short` takes about a
tenth of the time: fewer worlds and runs, with wider bars for the false alarms it can hardly count. Seeds are fixed.
"""

from __future__ import annotations

import sys
from dataclasses import dataclass

from loadtests.drift import errors
from loadtests.drift.budget import HIGHEST, LOWEST, measure_budget
from loadtests.drift.cost import (
    MAXIMUM_CHECK_SECONDS,
    MINIMUM_RATIO,
    MINIMUM_ROWS_PER_SECOND,
    measure_cost,
)
from loadtests.drift.delays import MAXIMUM_ROWS, measure_delays, measure_power
from loadtests.drift.estimates import MAXIMUM_DIFFERENCE, SHIFTS, measure_estimates
from loadtests.drift.faults import MAXIMUM_TILES, measure_faults
from loadtests.drift.river_detectors import measure_river
from loadtests.drift.window_evaluation import measure_window_evaluation
from loadtests.drift.worlds import WORLDS

MINIMUM_POWER, MINIMUM_TOP, MAXIMUM_DISCOVERIES, MINIMUM_ONSET = 0.99, 0.99, 0.05, 0.9
# The shift at whose alarm blame and onset are judged, in standard deviations.
BLAME_SHIFT = 0.5


@dataclass(frozen=True)
class Size:
    """Numbers of simulated things: `tiles` per stream; `minute_tiles` in worlds of one-minute tiles."""

    references: int
    streams: int
    tiles: int
    minute_tiles: int
    runs: int
    windows: int
    faults: int


LONG = Size(references=8, streams=64, tiles=900, minute_tiles=4_000, runs=200, windows=2_000, faults=100)
SHORT = Size(references=2, streams=32, tiles=300, minute_tiles=300, runs=20, windows=100, faults=16)
# The budget is a mean over references, and small ones differ: of 1,000 rows, eight had 44 false alarms with one seed and 149 with
# another, where 107 are stated. As many tiles are run against four times as many of them.
SMALL_REFERENCE, MORE_REFERENCES = 2_000, 4
SHORT_WORLDS = ("independent, reference 1,000", "correlated columns 0.9", "categories 3 to 500")


def main() -> int:
    """Measure, print, and say whether the bars hold."""
    short = "--short" in sys.argv[1:]
    size = SHORT if short else LONG
    missed = [
        *_budget(size, short),
        *_delays(size),
        *_faults(size),
        *_errors(size),
        *_estimates(size),
        *_cost(),
    ]
    for line in measure_river():
        print(line)
    print(measure_window_evaluation())
    print(f"bench-drift: {'all bars hold' if not missed else 'missed: ' + '; '.join(missed)}")
    return 1 if missed else 0


def _budget(size: Size, short: bool) -> list[str]:
    print("no drift, one false alarm per 30 days stated: realised / stated time between false alarms")
    missed, low, high = [], LOWEST, HIGHEST
    if short:
        # A few false alarms are expected at most.
        low, high = 0.3, float("inf")
    for world in WORLDS:
        if short and world.name not in SHORT_WORLDS:
            continue
        tiles = size.minute_tiles if world.tile == 1 else size.tiles
        references, streams = size.references, size.streams
        if not short and world.reference <= SMALL_REFERENCE:
            references, streams = references * MORE_REFERENCES, streams // MORE_REFERENCES
        found = measure_budget(world, references=references, streams=streams, tiles=tiles)
        kinds = ", ".join(f"{kind} {count}" for kind, count in found.by_kind.items() if count)
        print(
            f"  {found.world:42s} {found.ratio:6.2f}  {found.alarms} alarms in {found.tiles} tiles ({kinds})",
            flush=True,
        )
        if not low <= found.ratio <= high:
            missed.append(f"budget, {found.world}: {found.ratio:.2f}")
    return missed


def _delays(size: Size) -> list[str]:
    print("1 of 30 columns shifted, one false alarm per 30 days of 50-row minutes, reference 10,000")
    missed = []
    for shift, most in MAXIMUM_ROWS.items():
        found = measure_delays(shift, runs=size.runs, references=4 if size is LONG else 1)
        print(
            f"  {shift} sd: {found.rows:6.0f} rows (at most {most:.0f}), found {found.found:.1%}, top column right "
            f"{found.top_right:.1%}, false discoveries {found.false_discoveries:.1%}, onset within two tiles "
            f"{found.onset_near:.1%}",
            flush=True,
        )
        if not found.rows <= most or found.found < 1:
            missed.append(f"delay at {shift} sd: {found.rows:.0f} rows")
        if shift == BLAME_SHIFT:
            blame = (
                ("top column", found.top_right >= MINIMUM_TOP),
                ("false discoveries", found.false_discoveries <= MAXIMUM_DISCOVERIES),
                ("onset", found.onset_near >= MINIMUM_ONSET),
            )
            missed += [f"{name} at {shift} sd" for name, holds in blame if not holds]
    power = measure_power(windows=size.windows)
    print(
        f"  10 columns by 0.1 sd, windows of 1,000 rows: power {power.power:.1%}, without shift {power.false_alarms:.2%} "
        f"(0.1 % stated), {power.windows} windows"
    )
    if power.power < MINIMUM_POWER:
        missed.append(f"power of many small shifts: {power.power:.3f}")
    return missed


def _faults(size: Size) -> list[str]:
    print(f"data faults: share found within {MAXIMUM_TILES} tiles, share called data_fault")
    missed = []
    for found in measure_faults(runs=size.faults):
        print(f"  {found.fault:20s} {found.within:6.1%} {found.named:6.1%}  {dict(found.methods)}")
        if not found.holds:
            missed.append(found.fault)
    return missed


def _errors(size: Size) -> list[str]:
    rows = errors.SHORT_CLEAN_ROWS if size is SHORT else errors.CLEAN_ROWS
    false, most = errors.count_false_alarms(rows), errors.most_false_alarms(rows)
    print(
        f"error rate 10 %, one false alarm per 10^6 labelled rows: {false} in {rows} rows without a change; "
        f"more than {most} would show a higher rate"
    )
    missed = [f"false alarms of the error detector: {false}"] if false > most else []
    for rate, slowest in errors.MAXIMUM_ROWS.items():
        found = errors.measure_errors(rate, runs=10 * size.runs)
        print(
            f"  to {rate:.0%}: median {found.rows:.0f} labelled rows (at most {slowest:.0f}), {found.runs} runs",
            flush=True,
        )
        if not found.rows <= slowest:
            missed.append(f"error rate {rate:.0%}: {found.rows:.0f} rows")
    return missed


def _estimates(size: Size) -> list[str]:
    print("estimated performance of a probability without outcomes: mean difference from the realised one")
    missed = []
    for shift in SHIFTS:
        found = measure_estimates(shift, runs=size.runs // 10)
        print(
            f"  inputs by {shift:4.1f} sd: AUC {found.auc:.4f} (worst {found.worst_auc:.4f}), log-loss {found.loss:.4f}, "
            f"{found.runs} runs",
            flush=True,
        )
        if shift == 0:
            print(
                f"  other outcomes for the same inputs: not seen, the loss is {found.concept:.3f} above its estimate"
            )
        if found.auc > MAXIMUM_DIFFERENCE:
            missed.append(f"estimated AUC at {shift} sd: {found.auc:.4f} off")
    return missed


def _cost() -> list[str]:
    found = measure_cost()
    print(
        f"50 columns, one core: {found.rows_per_second / 1e6:.2f} M rows/s, check {found.check_seconds * 1e3:.2f} ms; 1,000 rows "
        f"{found.window_seconds * 1e3:.2f} ms, DataDriftPreset {found.preset_seconds:.2f} s: {found.ratio:.0f} times"
    )
    bars = (
        ("rows per second", found.rows_per_second >= MINIMUM_ROWS_PER_SECOND),
        ("check", found.check_seconds <= MAXIMUM_CHECK_SECONDS),
        ("cost relative to the preset", found.ratio >= MINIMUM_RATIO),
    )
    return [name for name, holds in bars if not holds]


if __name__ == "__main__":
    sys.exit(main())
