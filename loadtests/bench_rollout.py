"""Watched releases and canaries against their bars: equal versions stay, those that are bad live are taken back or refused.

`python -m loadtests.bench_rollout` prints figures and a last line; exit status 0 only if every bar holds. `--short`: fewer
releases. Seeds are fixed.
"""

from __future__ import annotations

import logging
import math
import sys
import tempfile
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from statistics import median

import numpy as np
import structlog
from scipy.stats import norm, t

from loadtests.rollout.canaries import FAULTS as BROKEN
from loadtests.rollout.canaries import PER_SECOND, SHARE, seconds_until_refused
from loadtests.rollout.simulation import PER_BLOCK, Simulation
from loadtests.rollout.worlds import FAULTS, BadChallenger, Floats, Rows, Weights, equal_rows
from services.retraining.gate_checks.gain import gain_of
from services.retraining.ledger.watches import Watch
from services.retraining.watch.blocks import BLOCKS_PER_WATCH, Block, judge
from services.retraining.watch.paired_test import ERROR
from shared.models.losses import row_losses

CONFIDENCE = 0.9
# Of the planned fixed-sample test.
POWER = 0.95
PROMOTIONS_PER_MODEL = 50


@dataclass(frozen=True)
class Size:
    """Numbers of simulated releases, and of looks at each: every block since the look before is judged, so few suffice.

    `canaries`: equal ones, looked at each second of a minute; of each fault there is a tenth as many.
    """

    equal: int
    bad: int
    looks: int
    canaries: int


LONG = Size(equal=1000, bad=100, looks=4, canaries=1000)
SHORT = Size(equal=40, bad=9, looks=2, canaries=20)
CANARY_SECONDS = 60
# Within which a broken canary is refused, at 50 requests per second of which it gets a tenth.
FAILING_SECONDS, SLOW_SECONDS = 10, 15


@dataclass(frozen=True)
class EqualPairs:
    """Of `pairs` equal pairs: how many were taken back, and how many a t-test at every block would have taken back."""

    pairs: int
    taken_back: int
    by_repeated_t_test: int


@dataclass(frozen=True)
class Canaries:
    """Of `equal` canaries as good as the live version: how many the guard refused; of broken ones, seconds until it did.

    `found`: seconds by fault, infinite where the canary was not refused.
    """

    equal: int
    refused: int
    found: Mapping[str, tuple[float, ...]]


@dataclass(frozen=True)
class BadChallengers:
    """Of challengers that passed the gate: those taken back with the former version live, and rows needed by two tests."""

    challengers: int
    passed_gate: int
    taken_back: int
    rows: float
    planned_rows: float


def main(arguments: Sequence[str]) -> int:
    """Measure, print, and say whether the bars hold."""
    structlog.configure(wrapper_class=structlog.make_filtering_bound_logger(logging.ERROR))
    size = SHORT if "--short" in arguments else LONG
    with tempfile.TemporaryDirectory(prefix="homeostat-") as folder:
        equal = measure_equal(Path(folder) / "equal", size)
        bad = measure_bad(Path(folder) / "bad", size)
    print(
        f"equal pairs, each judged after every block: {equal.taken_back} of {equal.pairs} taken back (bar {ERROR:.0%}); "
        f"a t-test at 5 % after every block would have taken back {equal.by_repeated_t_test}"
    )
    print(
        f"good offline, bad live: {bad.passed_gate} of {bad.challengers} passed the gate, {bad.taken_back} taken back; median "
        f"{bad.rows:.0f} rows in blocks of {PER_BLOCK}; a paired z-test planned with the true effect for {POWER:.0%} power, "
        f"looked at once, {bad.planned_rows:.0f} rows"
    )
    canaries = measure_canaries(size)
    print(
        f"canaries at {PER_SECOND} requests/s with a share of {SHARE:.0%}: {canaries.refused} of {canaries.equal} equal ones "
        f"refused within {CANARY_SECONDS} s (bar {ERROR:.0%})"
    )
    for name, seconds in canaries.found.items():
        longest = f"{max(seconds):.0f} s (longest of {len(seconds)})"
        print(f"  {name}: refused after {median(seconds):.0f} s (median), {longest}")
    missed = missed_bars(equal, bad, canaries)
    print(f"bench-rollout: {'all bars hold' if not missed else 'missed: ' + '; '.join(missed)}")
    return 1 if missed else 0


def missed_bars(equal: EqualPairs, bad: BadChallengers, canaries: Canaries) -> list[str]:
    """The bars that do not hold."""
    missed = []
    if equal.taken_back > ERROR * equal.pairs:
        missed.append(f"{equal.taken_back} of {equal.pairs} equal versions were taken back")
    if bad.passed_gate < bad.challengers:
        missed.append(f"{bad.challengers - bad.passed_gate} challengers were not good offline")
    if bad.taken_back < bad.challengers:
        missed.append(f"{bad.challengers - bad.taken_back} bad challengers stayed")
    if canaries.refused > ERROR * canaries.equal:
        missed.append(f"{canaries.refused} of {canaries.equal} equal canaries were refused")
    limits = {fault.name: FAILING_SECONDS if fault.share else SLOW_SECONDS for fault in BROKEN}
    for name, seconds in canaries.found.items():
        if max(seconds) > limits[name]:
            missed.append(f"{name}: refused after {max(seconds):.0f} s, bar {limits[name]}")
    return missed


def measure_canaries(size: Size) -> Canaries:
    """Canaries as good as the live version, and broken ones, judged each second by the operational guard."""
    random = np.random.default_rng(14)
    ended = [seconds_until_refused(random, None, CANARY_SECONDS) for _ in range(size.canaries)]
    found = {
        fault.name: tuple(
            seconds_until_refused(random, fault, CANARY_SECONDS) or math.inf
            for _ in range(max(3, size.canaries // 10))
        )
        for fault in BROKEN
    }
    return Canaries(size.canaries, sum(one is not None for one in ended), found)


def measure_equal(root: Path, size: Size) -> EqualPairs:
    """Promote each of two equal versions in place of the other, again and again."""
    random = np.random.default_rng(12)
    simulation = Simulation(root, size.looks)
    taken_back = repeated = 0
    for first in range(0, size.equal, PROMOTIONS_PER_MODEL):
        model = f"equal{first}"
        weight = float(random.uniform(0.1, 0.6))
        pair: list[Weights] = [(1.5, weight, 0.0), (1.5, -weight, 0.0)]
        versions = simulation.versions(model, pair)
        for _ in range(min(PROMOTIONS_PER_MODEL, size.equal - first)):
            new = 1 - versions.index(simulation.served(model))
            rows = equal_rows(random, BLOCKS_PER_WATCH, PER_BLOCK)
            watch = simulation.watch(model, versions[new], rows, pair[new])
            taken_back += watch.state == "rolled_back"
            repeated += _repeated_t_test(_differences(rows, pair[new], pair[1 - new]))
    simulation.close()
    return EqualPairs(size.equal, taken_back, repeated)


def measure_bad(root: Path, size: Size) -> BadChallengers:
    """Challengers of every fault: compare them offline, promote them, and watch them."""
    random = np.random.default_rng(13)
    simulation = Simulation(root, size.looks)
    passed = taken_back = 0
    rows, planned = [], []
    for number in range(size.bad):
        bad = BadChallenger.draw(random, FAULTS[number % len(FAULTS)])
        before = bad.before(random, BLOCKS_PER_WATCH, 3 * PER_BLOCK)
        passed += _passes_gate(before, bad)
        model = f"bad{number}"
        former, version = simulation.versions(model, [bad.champion, bad.challenger])
        after = bad.after(random, BLOCKS_PER_WATCH, PER_BLOCK)
        watch = simulation.watch(model, version, after, bad.challenger)
        taken_back += watch.state == "rolled_back" and simulation.served(model) == former
        rows.append(_rows_needed(watch))
        planned.append(_planned_rows(_differences(after, bad.challenger, bad.champion)))
    simulation.close()
    return BadChallengers(size.bad, passed, taken_back, median(rows), median(planned))


def _losses(rows: Rows, weights: Weights) -> Floats:
    return row_losses("log_loss", rows.scores(weights), rows.outcomes)


def _differences(rows: Rows, new: Weights, former: Weights) -> Floats:
    return _losses(rows, new) - _losses(rows, former)


def _passes_gate(rows: Rows, bad: BadChallenger) -> bool:
    """The gate's comparison on rows as they were before the release, over seven days."""
    count = len(rows.outcomes)
    times = np.arange(count) * (7 * 86_400_000_000 // count)
    gain = gain_of(_losses(rows, bad.champion), _losses(rows, bad.challenger), times, CONFIDENCE)
    return gain.lower > 0


def _rows_needed(watch: Watch) -> float:
    """Rows of the shortest beginning of the watch that is evidence enough; infinite if there is none."""
    blocks: list[Block] = []
    for block in watch.blocks:
        blocks.append(block)
        if judge(blocks, watch.tolerance, root=False).is_worse:
            return sum(one.rows for one in blocks)
    return math.inf


def _planned_rows(differences: Floats) -> float:
    """The sample size of a one-sided test of a mean, with normal quantiles: n = ((z_error + z_power) deviation / mean)^2.

    Cohen, Statistical Power Analysis for the Behavioral Sciences (1988), section 12.
    """
    quantiles = float(norm.ppf(1 - ERROR) + norm.ppf(POWER))
    return max(2.0, math.ceil((quantiles * float(differences.std() / differences.mean())) ** 2))


def _repeated_t_test(differences: Floats) -> bool:
    """Whether a one-sided t-test of block means, made after every block, is ever significant at `ERROR`."""
    means = differences.reshape(-1, PER_BLOCK).mean(axis=1)
    for count in range(2, len(means) + 1):
        seen = means[:count]
        statistic = seen.mean() / (seen.std(ddof=1) / math.sqrt(count))
        if statistic > t.ppf(1 - ERROR, count - 1):
            return True
    return False


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
