"""Candidate slices: simple conditions over features, as `slices` of loop.yaml states them, and the rows that meet each. Pure."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from services.drift.evaluation.columns import Column, Floats, Objects, Rows
from services.drift.evaluation.data_quality import missing
from shared.contracts.slices.condition import Booleans

# Of a number: below and above each of these quantiles of the reference. Two conditions on the same number make a range.
QUANTILES = (0.25, 0.5, 0.75)
# A value with less of the rows, of the window and of the reference, is no candidate.
MINIMUM_SHARE = 1 / 64
MAX_VALUES = 20
# Candidates of one search, of some 250 numbers: each has a byte per row in memory. Features after these are not searched.
MAX_CANDIDATES = 1_500
_DIGITS = 4


@dataclass(frozen=True, eq=False)
class Candidate:
    """A condition with the rows of the window, and of the reference, that meet it."""

    text: str
    window: Booleans
    reference: Booleans


def candidates(
    columns: tuple[Column, ...], window: Rows, reference: Rows, *, watched: bool
) -> list[Candidate]:
    """Conditions on numbers, integers, booleans and categories.

    Personal features are left out, as their values would be in verdicts; `watched`: so are those whose drift is not measured.
    """
    found: list[Candidate] = []
    for column in columns:
        feature = column.feature
        if len(found) >= MAX_CANDIDATES:
            break
        if feature.personal or column.summary or feature.type in ("timestamp", "text", "tensor"):
            continue
        if watched and not feature.watch:
            continue
        now, before = window.columns[column.name], reference.columns[column.name]
        if column.kind == "numeric":
            found += _of_number(feature.name, now.astype(np.float64), before.astype(np.float64))
        else:
            found += _of_category(
                feature.name, feature.type == "boolean", now.astype(object), before.astype(object)
            )
        absent = missing(now), missing(before)
        if any(0 < one.sum() < one.size for one in absent):
            found.append(Candidate(f"{feature.name} is missing", *absent))
    return found


def _of_number(name: str, now: Floats, before: Floats) -> Iterator[Candidate]:
    present = before[np.isfinite(before)]
    if not present.size:
        return
    # Rounded first, so that the condition that is shown is the one that was measured.
    edges = {float(f"{edge:.{_DIGITS}g}") for edge in np.quantile(present, QUANTILES)}
    for edge in sorted(edges):
        yield Candidate(f"{name} <= {edge:.{_DIGITS}g}", now <= edge, before <= edge)
        yield Candidate(f"{name} > {edge:.{_DIGITS}g}", now > edge, before > edge)


def _of_category(name: str, is_boolean: bool, now: Objects, before: Objects) -> Iterator[Candidate]:
    shares: dict[str, float] = {}
    for values in (now, before):
        levels, counts = np.unique(values[~missing(values)].astype(str), return_counts=True)
        for level, count in zip(levels.tolist(), counts.tolist(), strict=True):
            shares[level] = max(shares.get(level, 0.0), count / values.size)
    frequent = [level for level, share in shares.items() if share >= MINIMUM_SHARE and _can_be_quoted(level)]
    for level in sorted(frequent, key=lambda one: (-shares[one], one))[:MAX_VALUES]:
        shown = level if is_boolean else f'"{level}"'
        yield Candidate(f"{name} == {shown}", _equal(now, level), _equal(before, level))


def _can_be_quoted(level: str) -> bool:
    return '"' not in level and level.isprintable()


def _equal(values: Objects, level: str) -> npt.NDArray[np.bool_]:
    return np.asarray(values == level, dtype=np.bool_)
