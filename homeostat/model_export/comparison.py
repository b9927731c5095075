"""Compares the scores of the original and the exported model, row by row. Pure."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
import pandas as pd

from homeostat.model_export.prediction_kind import Floats, PredictionKind

MAX_SHOWN = 5
_WIDEST = 12
# Of 21 numbers and more, at least the smallest and the largest are not of the middle.
_FEW = 21
_MIN_ALIKE = 3
_LOG_ODDS = 100
# onnxruntime's Sigmoid of float32 is exact to 1.6e-7 absolute, measured from -30 to 30.
_PROBABILITY_ROUNDING = 2.0**-22
# The last digits of a sum of float32 numbers, relative to its size.
_VALUE_ROUNDING = 1e-6


@dataclass(frozen=True)
class Comparison:
    """One set of rows: how many scores differ by more than the tolerance, and a table of the worst.

    `labels`: rows whose label changed (a score on the other side of 0.5). `problem`: why the set was not compared. `refused`: the
    columns that were not, in a set of which others were, each with the original's error. `advice`: what to do, where a difference
    is a known limit of rows unlike the given ones: the report says it, without a refusal. `shared`: what all rows that differ
    have in common, and others do not.
    """

    name: str
    rows: int
    differing: int = 0
    labels: int = 0
    largest: float = 0.0
    table: str = ""
    problem: str = ""
    advice: str = ""
    refused: tuple[tuple[str, str], ...] = ()
    shared: str = ""

    @property
    def is_complete(self) -> bool:
        """Whether every row of the set was compared."""
        return not self.problem and not self.refused

    def compared(self, column: str) -> bool:
        """Whether the rows with this column changed were compared."""
        return not self.problem and column not in dict(self.refused)

    def accepted(self, share: float) -> bool:
        """Whether at most this share of the rows differs; a single row is never too many."""
        return bool(self.advice) or self.differing <= max(1, share * self.rows)

    def __str__(self) -> str:
        if self.problem:
            return f"{self.name}: {self.problem}"
        refused = "".join(
            f"; not compared where {column} is changed: the original model refuses it: {reason}"
            for column, reason in self.refused
        )
        if not self.differing:
            equal = f"all scores equal (largest difference {self.largest:.2g})"
            return f"{self.name}: {self.rows} rows, {equal}{refused}"
        if self.advice:
            # Of every model with such a limit: one line, since most people have no such rows.
            return f"{self.name}: {self.differing} of {self.rows} rows differ{refused}; {self.advice}"
        changed = f", {self.labels} labels changed" if self.labels else ""
        shared = f"\n{self.shared}" if self.shared else ""
        return (
            f"{self.name}: {self.differing} of {self.rows} rows differ ({self.differing / self.rows:.1%}), "
            f"largest difference {self.largest:.3g}{changed}{refused}\n{self.table}{shared}"
        )


@dataclass(frozen=True)
class Scale:
    """How large a difference of the original's scores is: the width of their middle and the place of it, of each output one.

    `width`, `centre`: [1], of several classes or values [K]. A few outliers move neither.
    """

    width: Floats
    centre: Floats

    def allowed(self, kind: PredictionKind, scores: Floats, tolerance: float) -> Floats:
        """The largest difference from the original's `scores` [N, K] that counts as equal, [N, K].

        Of a value `tolerance` times the larger of the width and its distance from the centre, and the rounding of float32.
        Of a probability p `tolerance`, and where p is rare or nearly certain less: the larger of `tolerance` times the width
        and 100 times `tolerance` in log-odds, whose derivative is 1 / (p (1 - p)); by default 1 % of a rare p.
        """
        if kind.name in ("value", "values", "embedding"):
            sizes = np.fmax(self.width, np.abs(scores - self.centre))
            found = tolerance * sizes + min(_VALUE_ROUNDING, tolerance) * np.abs(scores)
        else:
            log_odds = _LOG_ODDS * tolerance * np.clip(scores * (1 - scores), 0.0, None)
            found = np.fmax(np.fmax(log_odds, tolerance * self.width), _PROBABILITY_ROUNDING)
            found = np.fmin(found, tolerance)
        return np.where(np.isfinite(found), found, 0.0)


def scale_of(scores: Floats) -> Scale:
    """The scale of the original's scores of the given rows, [N] or [N, K]; of those that are finite."""
    columns = [column[np.isfinite(column)] for column in scores.reshape(len(scores), -1).T]
    return Scale(
        np.array([middle_width(column) for column in columns]),
        np.array([float(np.median(column)) if column.size else 0.0 for column in columns]),
    )


def middle_width(values: Floats) -> float:
    """The range of the middle 90 % of finite numbers, and at least a hundredth of that of the middle 98 %.

    Of numbers of which nearly all are equal, a hundredth of the whole range. At least one number of twenty or more is left out
    at each end, so that one outlier does not count.
    """
    if not values.size:
        return 0.0
    ordered = np.sort(values)
    nine, most, whole = (_inner_range(ordered, share) for share in (0.05, 0.01, 0.0))
    return max(nine, most / 100) or whole / 100


def _inner_range(ordered: Floats, share: float) -> float:
    cut = int(np.ceil(share * (len(ordered) - 1))) if len(ordered) >= _FEW else 0
    return float(ordered[len(ordered) - 1 - cut] - ordered[cut])


def compare(
    name: str,
    kind: PredictionKind,
    original: Floats,
    exported: Floats,
    rows: pd.DataFrame,
    *,
    tolerance: float,
    scale: Scale,
    changed: Sequence[str] = (),
) -> Comparison:
    """Compare scores of the same rows, [N] or [N, K].

    A score differs if it is further away than `scale.allowed`; of several classes or values one is enough, and the row shows
    the one that is furthest beyond. `changed` names the column that a probe changed in each row.
    """
    labels = {}
    if kind.name == "classes":
        labels = {"label": original.argmax(axis=1), "exported label": exported.argmax(axis=1)}
    count = len(original)
    first, second = original.reshape(count, -1), exported.reshape(count, -1)
    with np.errstate(invalid="ignore", over="ignore"):
        distances = np.abs(first - second)
        allowed = scale.allowed(kind, first, tolerance)
        # Scores are float32, in which a larger number is infinite.
        both = ~(np.abs(first) <= np.finfo(np.float32).max) & ~np.isfinite(second)
        distances = np.where(both, 0.0, np.where(np.isfinite(distances), distances, np.inf))
        # Scores may be on scales that differ: the worst is the furthest beyond what is allowed.
        excess = np.where(distances > 0, distances / np.fmax(allowed, np.finfo(float).tiny), 0.0)
    place = excess.argmax(axis=1)
    original, exported, distance, order = (
        one[np.arange(count), place] for one in (first, second, distances, excess)
    )
    wrong = order > 1
    flipped = np.zeros(count, bool)
    if kind.name == "probability":
        flipped = (original >= 0.5) != (exported >= 0.5)
    elif labels:
        flipped = labels["label"] != labels["exported label"]
    worst = np.argsort(-order, kind="stable")[: min(MAX_SHOWN, int(wrong.sum()))]
    shown = pd.DataFrame(
        {"row": worst, "original": original[worst], "exported": exported[worst]}
        | ({"name": [kind.names[one] for one in place[worst]]} if kind.names else {})
        | {name: [kind.labels[place] for place in places[worst]] for name, places in labels.items()}
        | ({"changed": [changed[place] for place in worst]} if changed else {})
    )
    features = rows.iloc[worst].reset_index(drop=True)
    if changed:
        kept = [column for column in features.columns if column in set(shown["changed"])]
        features = features[kept]
    table = pd.concat([shown, features.iloc[:, :_WIDEST]], axis=1)
    return Comparison(
        name,
        count,
        differing=int(wrong.sum()),
        labels=int((flipped & wrong).sum()),
        largest=float(distance.max(initial=0.0)),
        table=table.to_string(index=False) if len(worst) else "",
        shared="" if changed else shared_by(rows, wrong),
    )


def shared_by(rows: pd.DataFrame, wrong: npt.NDArray[np.bool_]) -> str:
    """What the `wrong` rows [N] have in common and no other row has: a missing value, or one value of a column; else empty.

    Of fewer than three rows that would be chance.
    """
    if int(wrong.sum()) < _MIN_ALIKE or wrong.all():
        return ""
    for name in rows.columns:
        missing = rows[name].isna().to_numpy(dtype=bool)
        if (missing == wrong).all():
            return f"in all of these rows and in no other row, {name!r} is missing"
        if isinstance(rows[name].dtype, pd.CategoricalDtype) or rows[name].dtype.kind in "ObiuT":
            texts = rows[name].astype(str).to_numpy()
            first = texts[wrong][0]
            if ((texts == first) == wrong).all():
                return f"in all of these rows and in no other row, {name!r} is {first[:40]!r}"
    return ""
