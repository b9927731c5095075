"""A data set beside a reference: what is missing more often, new, in another unit, swapped, or distributed differently. Pure.

The distance of numbers is that of Kolmogorov and Smirnov. Without a change it stays below sqrt(ln(2/a)/2 (1/n + 1/R)) with
probability 1 - a (Dvoretzky, Kiefer, Wolfowitz 1956 with the constant of Massart 1990, for each side). The distance of categories
is total variation; noise adds about sum sqrt(2 p (1-p) (1/n + 1/R) / pi) / 2 to it. Both are for independent rows, so a tolerance
`EFFECT` is added: this is a test of files, which finds what is plainly different. Monitoring has thresholds of its own.
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping
from dataclasses import dataclass

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from shared.data_checks.column_profile import Floats, column_kind, numbers_of, shown, values_present
from shared.data_checks.finding import Finding

EFFECT = 0.15
# Another unit or a swap explains a difference if less than this is left of it, beyond noise.
EXPLAINED = 0.05
ALPHA = 1e-4
MIN_ROWS = 50
MAX_ROWS = 20_000
# Factors between units that are mixed up in practice: powers of ten, percent, time, length, mass.
FACTORS = (10.0, 100.0, 1000.0, 1e6, 1e9, 60.0, 3600.0, 24.0, 86400.0, 1.609344, 0.3048, 2.54, 0.45359237)


@dataclass(frozen=True)
class _Unit:
    factor: float
    offset: float
    name: str


_UNITS = (
    *(_Unit(factor, 0.0, f"multiplied by {factor:g}") for factor in FACTORS),
    *(_Unit(1 / factor, 0.0, f"divided by {factor:g}") for factor in FACTORS),
    _Unit(-1.0, 0.0, "with the opposite sign"),
    _Unit(1.8, 32.0, "in degrees Fahrenheit instead of Celsius"),
    _Unit(1 / 1.8, -32 / 1.8, "in degrees Celsius instead of Fahrenheit"),
    _Unit(1.0, 273.15, "in Kelvin instead of degrees Celsius"),
    _Unit(1.0, -273.15, "in degrees Celsius instead of Kelvin"),
)


def comparison_findings(
    table: pa.Table, reference: pa.Table, *, missing_increase: float, personal: frozenset[str] = frozenset()
) -> Iterator[Finding]:
    """Differences in the columns that both have. Values of `personal` columns are not named."""
    if min(table.num_rows, reference.num_rows) < MIN_ROWS:
        return
    numbers: dict[str, tuple[Floats, Floats]] = {}
    for name in table.column_names:
        if name not in reference.column_names or name in ("event_time", "prediction_id"):
            continue
        column, before = table[name], reference[name]
        yield from _missing(name, column, before, missing_increase)
        kinds = {column_kind(side.type) for side in (column, before)}
        if kinds == {"number"}:
            numbers[name] = _finite(column), _finite(before)
        elif kinds <= {"text", "boolean"}:
            yield from _categories(name, column, before, named=name not in personal)
    yield from _numbers(
        {name: sides for name, sides in numbers.items() if min(map(len, sides)) >= MIN_ROWS}, personal
    )


def distance(one: Floats, other: Floats) -> float:
    """Kolmogorov-Smirnov distance of two samples.

    >>> round(distance(np.arange(100.0), np.arange(100.0) + 25), 2)
    0.25
    """
    one, other = np.sort(one), np.sort(other)
    grid = np.concatenate([one, other])
    below = (
        np.searchsorted(one, grid, "right") / one.size - np.searchsorted(other, grid, "right") / other.size
    )
    return float(np.abs(below).max())


def noise(rows: int, reference_rows: int) -> float:
    """The distance that equal distributions stay below, for independent rows."""
    return math.sqrt(math.log(2 / ALPHA) / 2 * (1 / rows + 1 / reference_rows))


def _missing(
    name: str, column: pa.ChunkedArray, before: pa.ChunkedArray, tolerated: float
) -> Iterator[Finding]:
    if column_kind(column.type) == "other":
        return
    now, then = (1 - len(values_present(side)) / len(side) for side in (column, before))
    limit = then + tolerated + noise(len(column), len(before)) * math.sqrt(then * (1 - then))
    if now > limit:
        yield Finding(
            "missing_increase",
            "warning",
            name,
            f"{now:.1%} of the values of {name} are missing, {then:.1%} in the reference",
            "look for a source that stopped, or a join that finds no partner",
            value=now,
            limit=limit,
        )


def _categories(
    name: str, column: pa.ChunkedArray, before: pa.ChunkedArray, *, named: bool
) -> Iterator[Finding]:
    now, then = _shares(column), _shares(before)
    if not now or not then:
        return
    rows, reference_rows = len(values_present(column)), len(values_present(before))
    if min(rows, reference_rows) < MIN_ROWS:
        return
    size = 1 / rows + 1 / reference_rows
    new = {value: share for value, share in now.items() if value not in then}
    # The mass of values never seen is about that of those seen once (Good 1953).
    unseen = sum(1 for share in then.values() if share * reference_rows < 1.5) / reference_rows
    if sum(new.values()) > unseen + EFFECT / 3 + noise(rows, reference_rows) * math.sqrt(unseen):
        frequent = ", ".join(shown(value) for value in sorted(new, key=lambda value: -new[value])[:3])
        yield Finding(
            "new_category",
            "warning",
            name,
            f"{sum(new.values()):.1%} of the values of {name} are not in the reference{f', such as {frequent}' if named else ''}",
            "a renamed or new value; a model has not learned what it means",
            value=sum(new.values()),
            limit=unseen + EFFECT / 3,
        )
        return
    apart = sum(abs(now.get(value, 0.0) - then.get(value, 0.0)) for value in now.keys() | then.keys()) / 2
    usual = sum(math.sqrt(2 * p * (1 - p) * size / math.pi) for p in then.values()) / 2
    limit = EFFECT + usual + math.sqrt(math.log(1 / ALPHA) / 2 * size)
    if apart > limit:
        most = max(
            now.keys() | then.keys(), key=lambda value: abs(now.get(value, 0.0) - then.get(value, 0.0))
        )
        example = (
            f"; {shown(most)}: {then.get(most, 0.0):.1%} before, {now.get(most, 0.0):.1%} now"
            if named
            else ""
        )
        yield Finding(
            "distribution_change",
            "warning",
            name,
            f"the values of {name} are distributed differently from the reference (total variation {apart:.2f}){example}",
            value=apart,
            limit=limit,
        )


def _numbers(columns: Mapping[str, tuple[Floats, Floats]], personal: frozenset[str]) -> Iterator[Finding]:
    limits = {name: EFFECT + noise(len(now), len(then)) for name, (now, then) in columns.items()}
    apart = {name: distance(now, then) for name, (now, then) in columns.items()}
    changed = [name for name in columns if apart[name] > limits[name]]
    partners = _swapped(columns, changed)
    for name in changed:
        now, then = columns[name]
        unit = _unit(now, then)
        medians = "" if name in personal else f" (median {np.median(now):.4g}, before {np.median(then):.4g})"
        if name in partners:
            yield Finding(
                "swapped_columns",
                "warning",
                name,
                f"the values of {name} are distributed as those of {partners[name]} in the reference, and the other way round",
                "the two columns may be swapped",
                value=apart[name],
                limit=limits[name],
            )
        elif unit is not None:
            yield Finding(
                "unit_change",
                "warning",
                name,
                f"the values of {name} look like those of the reference {unit.name}{medians}",
                "check the unit of the column",
                value=apart[name],
                limit=limits[name],
            )
        else:
            yield Finding(
                "distribution_change",
                "warning",
                name,
                f"the values of {name} are distributed differently from the reference, by a Kolmogorov-Smirnov distance of "
                f"{apart[name]:.2f}{medians}",
                value=apart[name],
                limit=limits[name],
            )


def _unit(now: Floats, then: Floats) -> _Unit | None:
    """The change of unit that explains the difference best; None if none does."""
    fits = [(distance((now - unit.offset) / unit.factor, then), unit) for unit in _UNITS]
    best, unit = min(fits, key=lambda fit: fit[0])
    return unit if best <= EXPLAINED + noise(len(now), len(then)) else None


def _swapped(columns: Mapping[str, tuple[Floats, Floats]], changed: list[str]) -> dict[str, str]:
    """Pairs of columns that each look like the other's reference."""
    found: dict[str, str] = {}
    for place, one in enumerate(changed):
        for other in changed[place + 1 :]:
            pairs = (columns[one][0], columns[other][1]), (columns[other][0], columns[one][1])
            if all(distance(now, then) <= EXPLAINED + noise(len(now), len(then)) for now, then in pairs):
                found[one], found[other] = other, one
    return found


def _finite(column: pa.ChunkedArray) -> Floats:
    numbers = numbers_of(values_present(column))
    numbers = numbers[np.isfinite(numbers)]
    return numbers[:: max(1, -(-numbers.size // MAX_ROWS))]


def _shares(column: pa.ChunkedArray) -> dict[str, float]:
    present = values_present(column)
    if not len(present):
        return {}
    counts = pc.value_counts(present.cast(pa.string()))
    return {str(entry["values"]): entry["counts"] / len(present) for entry in counts.to_pylist()}
