"""From evidence to alarms: which statistics are above their threshold, which columns are blamed, when the change began.

After a drift alarm the blamed columns are chosen by Benjamini and Hochberg (1995) among all columns of the same signal. Their
p-values: in the long run a CUSUM of a log-likelihood ratio is at least s with a probability of at most exp(-s) (Kingman 1964),
times the number of statistics of the column.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from services.drift.stream.alarm import Alarm, Blame, Method
from services.drift.stream.statistics.broken_values import BrokenState
from services.drift.stream.statistics.bursts import BURSTS
from services.drift.stream.statistics.scores import Floats
from services.drift.stream.stream_profile import StreamProfile
from shared.contracts.event_time import from_micros

# Expected share of columns that are blamed wrongly.
FALSE_DISCOVERIES = 0.03

Times = npt.NDArray[np.int64]
Flags = npt.NDArray[np.bool_]
METHODS: tuple[Method, ...] = ("location", "spread")
KINDS_OF_BURST: tuple[Method, ...] = tuple(name for name, _ in BURSTS)


@dataclass(frozen=True, eq=False)
class TileEvidence:
    """Evidence of all statistics after a tile, in nats, and the starts (µs) of their CUSUMs; axes as in the detectors."""

    numeric: Floats
    categories: Floats
    many: float
    bursts: Floats
    units: Floats
    swaps: Floats
    frozen: Floats
    numeric_start: Times
    categories_start: Times
    many_start: int
    bursts_start: Times
    broken: BrokenState

    def strongest(self, profile: StreamProfile) -> Floats:
        """Drift evidence of each column of the layout, in nats; 0 of one that is not watched."""
        found = np.zeros(len(profile.layout.columns))
        found[profile.cusums.scores.columns] = self.numeric.max(axis=(1, 2, 3), initial=0.0)
        found[profile.categories.columns] = self.categories.max(axis=1, initial=0.0)
        return found


def drift_alarms(
    profile: StreamProfile, evidence: TileEvidence, free: Flags, detected_at: int
) -> tuple[Alarm, ...]:
    """At most one alarm each of features, predictions and many columns; `free`: (columns + 1,), the last of all together."""
    free = free & ~np.append(_suspected(profile, evidence), False)
    strongest = np.where(free[:-1], evidence.strongest(profile), 0.0)
    above = strongest >= profile.limits
    end, alarms = from_micros(detected_at), []
    for signal in ("feature", "prediction"):
        own = profile.of_signal(signal)
        if not (above & own).any():
            continue
        blamed = _blamed(profile, evidence, np.where(own, strongest, 0.0), above & own)
        first = max(blamed, key=lambda blame: blame.evidence / blame.threshold)
        alarms.append(
            Alarm(signal, "drift", first.method, first.evidence, first.threshold, blamed, first.onset, end)
        )
    limit = profile.thresholds.many_columns
    if not alarms and free[-1] and evidence.many >= limit:
        top = np.arange(strongest.size) == int(strongest.argmax())
        blamed = _blamed(profile, evidence, strongest, top)
        signal = profile.layout.columns[int(strongest.argmax())].signal
        onset = from_micros(evidence.many_start)
        alarms.append(Alarm(signal, "drift", "many_columns", evidence.many, limit, blamed, onset, end))
    return tuple(alarms)


def fault_alarms(
    profile: StreamProfile, evidence: TileEvidence, free: Flags, detected_at: int
) -> tuple[Alarm, ...]:
    """One alarm for each kind of fault, naming all its columns; a column has the first kind that fits."""
    limit, found, taken = profile.thresholds.data, [], set[str]()
    candidates = list(_faults(profile, evidence, free))
    for method in dict.fromkeys(blame.method for blame in candidates):
        blamed = sorted(
            (blame for blame in candidates if blame.method == method and blame.column not in taken),
            key=lambda blame: -blame.evidence,
        )
        if not blamed:
            continue
        taken.update(blame.column for blame in blamed)
        onset = min(blame.onset for blame in blamed)
        strongest = blamed[0].evidence
        end = from_micros(detected_at)
        found.append(Alarm("data", "data_fault", method, strongest, limit, tuple(blamed), onset, end))
    return tuple(found)


def _suspected(profile: StreamProfile, evidence: TileEvidence) -> Flags:
    """Columns with half the evidence that a change of units or a swap needs: whether it is one, the next tile will tell."""
    half, found = profile.thresholds.data / 2, np.zeros(len(profile.layout.columns), bool)
    found[profile.cusums.scores.columns] = (evidence.units >= half) | (
        evidence.swaps.max(axis=1, initial=0.0) >= half
    )
    return found


def _blamed(
    profile: StreamProfile, evidence: TileEvidence, strongest: Floats, certain: Flags
) -> tuple[Blame, ...]:
    """`certain` columns and what Benjamini and Hochberg choose among those with a statistic, strongest first."""
    order = np.argsort(-strongest, kind="stable")
    order = order[strongest[order] > 0]
    p = profile.statistics_per_column[order] * np.exp(-strongest[order])
    total = int((profile.statistics_per_column > 0).sum())
    passed = np.flatnonzero(p <= FALSE_DISCOVERIES * np.arange(1, order.size + 1) / total)
    chosen = set(order[: passed[-1] + 1 if passed.size else 0].tolist()) | set(
        np.flatnonzero(certain).tolist()
    )
    blames = [_blame(profile, evidence, place) for place in sorted(chosen)]
    return tuple(sorted(blames, key=lambda blame: -blame.evidence))


def _blame(profile: StreamProfile, evidence: TileEvidence, place: int) -> Blame:
    column, limit = profile.layout.columns[place], float(profile.limits[place])
    row = np.flatnonzero(profile.cusums.scores.columns == place)
    if row.size:
        own, starts = evidence.numeric[row[0]], evidence.numeric_start[row[0]]
        best = np.unravel_index(int(own.argmax()), own.shape)
        method = METHODS[int(best[0])]
    else:
        row = np.flatnonzero(profile.categories.columns == place)
        own, starts = evidence.categories[row[0]], evidence.categories_start[row[0]]
        best = np.unravel_index(int(own.argmax()), own.shape)
        method = "categories"
    return Blame(column.name, column.feature, method, float(own[best]), limit, from_micros(int(starts[best])))


def _faults(profile: StreamProfile, evidence: TileEvidence, free: Flags) -> Iterator[Blame]:
    """Faults above the threshold, in the order in which they are named."""
    limit, columns = profile.thresholds.data, profile.layout.columns

    def blame(place: int, method: Method, nats: float, start: int) -> Blame:
        column = columns[place]
        return Blame(column.name, column.feature, method, nats, limit, from_micros(start))

    def bursts(method: Method) -> Iterator[Blame]:
        kind = KINDS_OF_BURST.index(method)
        burst = evidence.bursts[:, kind]
        for place in map(int, np.flatnonzero((burst.max(axis=1) >= limit) & free)):
            share = int(burst[place].argmax())
            start = int(evidence.bursts_start[place, kind, share])
            yield blame(place, method, float(burst[place, share]), start)

    # Changed units and swapped columns put values out of range: they are named first.
    for method in ("schema", "missing", "new_category", "infinite"):
        yield from bursts(method)
    numeric, broken = profile.cusums.scores.columns, evidence.broken
    swaps = evidence.swaps
    for row in np.flatnonzero((swaps.max(axis=1, initial=0.0) >= limit) & free[numeric]):
        slot = int(swaps[row].argmax())
        yield blame(numeric[row], "swapped", float(swaps[row, slot]), int(broken.swaps_start[row, slot]))
    for row in np.flatnonzero((evidence.units >= limit) & free[numeric]):
        unit = int(broken.units[row].argmax())
        yield blame(numeric[row], "units", float(evidence.units[row]), int(broken.units_start[row, unit]))
    yield from bursts("out_of_range")
    for row in np.flatnonzero((evidence.frozen >= limit) & free[numeric]):
        yield blame(numeric[row], "frozen", float(evidence.frozen[row]), int(broken.frozen_start[row]))
