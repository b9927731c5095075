"""Finds the slice, of at most two conditions, that a change of a window comes from.

1. half of the time, of the window and of the reference, proposes: of all candidates and pairs of them the one with the largest
   concentration, that is the share of the change in it minus its share of the rows (weighted relative accuracy: Lavrac, Flach,
   Zupan 1999). If a change lies in one slice only, no smaller and no larger one has more
2. the other half confirms: one slice is tested on rows that did not choose it, so that the number of candidates costs nothing
   (data splitting: Cox 1975), by a one-sided t interval of block means, as losses are
A search explains a verdict of drift and leads to none, so it needs no part of the alarm budget.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
from scipy.special import stdtrit

from services.drift.evaluation.columns import Rows
from services.drift.evaluation.performance import BLOCKS, measure_loss
from services.drift.evaluation.reference_profile import Reference
from services.drift.slice_search.conditions import Candidate, candidates
from shared.contracts.slices.condition import Booleans
from shared.contracts.verdict import FoundSlice
from shared.models.losses import in_unit

Floats = npt.NDArray[np.float64]

# Rows of the window, and of the reference, that are searched; of more an evenly spread part.
MAX_ROWS = 10_000
# Of a slice, in each half of the window and of the reference.
MINIMUM_ROWS = 30
# Candidates of which pairs are made.
MAX_PAIRED = 160
# What a second condition must add, and what a slice must have on the rows that confirm it.
GAIN_OF_A_PAIR = 0.03
MINIMUM_CONCENTRATION = 0.15
# Probability of naming a slice that differs no more from the reference than the rest of the rows.
ERROR = 0.01
PARTS = 2 * BLOCKS
# Of the confidence interval, with the degrees of freedom of one mean.
_QUANTILE = -float(stdtrit(BLOCKS - 1, ERROR))


@dataclass(frozen=True, eq=False)
class _Half:
    """Half of the rows. `inside`: which of them meet each candidate, (candidates, rows) of 0 and 1.

    Without losses, the change is one of the number of rows.
    """

    inside: npt.NDArray[np.float32]
    reference_inside: npt.NDArray[np.float32]
    losses: Floats | None
    reference_losses: Floats | None


@dataclass(frozen=True, eq=False)
class _Found:
    """A confirmed slice, its rows in window and reference, and its share of the change on the rows that confirmed it."""

    where: str
    window: Booleans
    reference: Booleans
    share_of_change: float


def find_slice_of_loss(window: Rows, reference: Reference) -> FoundSlice | None:
    """The slice that most of a rise of the loss comes from; None where the rise is spread, or too few rows have outcomes.

    `window` has features. The reference's rows are those of its loss.
    """
    performance = reference.loop.performance
    now, before = _with_loss(window), _with_loss(reference.rows_of_loss)
    if performance is None or min(len(now), len(before)) < 4 * MINIMUM_ROWS:
        return None
    options = candidates(reference.columns, now, before, watched=False)
    found = _search(options, now.loss, before.loss)
    if found is None:
        return None
    metric = performance.metric.name
    return FoundSlice(
        signal="performance",
        where=found.where,
        share=float(found.window.mean()),
        reference_share=float(found.reference.mean()),
        share_of_change=min(1.0, found.share_of_change),
        value=in_unit(metric, float(now.loss[found.window].mean())),
        reference=in_unit(metric, float(before.loss[found.reference].mean())),
    )


def find_slice_of_rows(window: Rows, reference: Reference) -> FoundSlice | None:
    """The slice whose share of the rows has grown most; None where both halves of the window do not show it."""
    now, before = _part(window), _part(reference.rows)
    if min(len(now), len(before)) < 4 * MINIMUM_ROWS:
        return None
    found = _search(candidates(reference.columns, now, before, watched=True), None, None)
    if found is None:
        return None
    return FoundSlice(
        signal="feature",
        where=found.where,
        share=float(found.window.mean()),
        reference_share=float(found.reference.mean()),
    )


def _with_loss(rows: Rows) -> Rows:
    return _part(rows.take(np.flatnonzero(np.isfinite(rows.loss))))


def _part(rows: Rows) -> Rows:
    if len(rows) <= MAX_ROWS:
        return rows
    return rows.take(np.arange(MAX_ROWS) * len(rows) // MAX_ROWS)


def _search(
    options: Sequence[Candidate], losses: Floats | None, reference_losses: Floats | None
) -> _Found | None:
    if not options:
        return None
    proposing, confirming = (_half(options, losses, reference_losses, number) for number in range(2))
    places = _best(proposing)
    if not places:
        return None
    share = _confirmed(confirming, places)
    if share is None:
        return None
    return _Found(
        " and ".join(options[place].text for place in places),
        np.logical_and.reduce([options[place].window for place in places]),
        np.logical_and.reduce([options[place].reference for place in places]),
        share,
    )


def _half(
    options: Sequence[Candidate], losses: Floats | None, reference_losses: Floats | None, number: int
) -> _Half:
    """Every second of twenty parts of the time: both halves have all of it, and neighbours in time are in one."""
    own, of_reference = (
        np.arange(rows) * PARTS // rows % 2 == number
        for rows in (options[0].window.size, options[0].reference.size)
    )
    return _Half(
        np.array([one.window[own] for one in options], np.float32),
        np.array([one.reference[of_reference] for one in options], np.float32),
        None if losses is None else losses[own],
        None if reference_losses is None else reference_losses[of_reference],
    )


def _best(half: _Half) -> list[int]:
    """Places of the one or two conditions with the largest concentration; empty where none has any."""
    now, before = half.inside, half.reference_inside
    alone = _concentration(
        half,
        now.sum(axis=1, dtype=np.float64),
        before.sum(axis=1, dtype=np.float64),
        None if half.losses is None else now @ half.losses,
        None if half.reference_losses is None else before @ half.reference_losses,
    )
    order = np.argsort(-alone, kind="stable")[:MAX_PAIRED]
    now, before = now[order], before[order]
    pairs = _concentration(
        half,
        (now @ now.T).astype(np.float64),
        (before @ before.T).astype(np.float64),
        None if half.losses is None else (now * half.losses) @ now.T,
        None if half.reference_losses is None else (before * half.reference_losses) @ before.T,
    )
    first, second = np.unravel_index(int(np.argmax(pairs)), pairs.shape)
    one = float(alone[order[0]])
    if max(one, float(pairs[first, second])) <= 0:
        return []
    if first == second or pairs[first, second] < one + GAIN_OF_A_PAIR:
        return [int(order[0])]
    return sorted((int(order[first]), int(order[second])))


def _concentration(
    half: _Half, rows: Floats, reference_rows: Floats, sums: Floats | None, reference_sums: Floats | None
) -> Floats:
    """Share of the change minus share of the rows, of slices with these rows and sums of losses; 0 of those with too few rows."""
    share = rows / half.inside.shape[1]
    if half.losses is None or half.reference_losses is None or sums is None or reference_sums is None:
        found = share - reference_rows / half.reference_inside.shape[1]
        return np.where(rows >= MINIMUM_ROWS, found, 0.0)
    total = half.losses.sum() - half.losses.size * half.reference_losses.mean()
    if total <= 0:
        return np.zeros(rows.shape)
    usual = reference_sums / np.maximum(1.0, reference_rows)
    found = np.minimum(1.0, (sums - rows * usual) / total) - share
    return np.where((rows >= MINIMUM_ROWS) & (reference_rows >= MINIMUM_ROWS), found, 0.0)


def _confirmed(half: _Half, places: Sequence[int]) -> float | None:
    """The share of the change in the slice, of one of losses; of rows, by how much its share has grown. None if not confirmed."""
    inside, before = half.inside[places].min(axis=0) > 0, half.reference_inside[places].min(axis=0) > 0
    if half.losses is None or half.reference_losses is None:
        grown, error = _difference([inside.astype(float)], [before.astype(float)])
        confirmed = grown >= MINIMUM_CONCENTRATION and grown > error * _QUANTILE
        return grown if confirmed else None
    total = half.losses.sum() - half.losses.size * half.reference_losses.mean()
    if total <= 0 or min(inside.sum(), before.sum(), (~inside).sum(), (~before).sum()) < MINIMUM_ROWS:
        return None
    # By how much more the loss has risen in the slice than in the rest.
    more, error = _difference(
        [half.losses[inside], half.reference_losses[~before]],
        [half.losses[~inside], half.reference_losses[before]],
    )
    share = float((half.losses[inside] - half.reference_losses[before].mean()).sum() / total)
    confirmed = min(1.0, share) - inside.mean() >= MINIMUM_CONCENTRATION and more > error * _QUANTILE
    return share if confirmed else None


def _difference(plus: Sequence[Floats], minus: Sequence[Floats]) -> tuple[float, float]:
    """Sum of the means of `plus` less those of `minus`, and its standard error from blocks of time."""
    parts = [(measure_loss("mae", one), sign) for sign, many in ((1, plus), (-1, minus)) for one in many]
    return (
        math.fsum(sign * part.value for part, sign in parts if part is not None),
        math.hypot(*(part.error for part, _ in parts if part is not None)),
    )
