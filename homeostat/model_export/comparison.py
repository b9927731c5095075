"""Compares the scores of the original and the exported model, row by row. Pure."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import pandas as pd

from homeostat.model_export.prediction_kind import Floats, PredictionKind

MOST_SHOWN = 5
_WIDEST = 12


@dataclass(frozen=True)
class Comparison:
    """One set of rows: how many scores differ by more than the tolerance, and a table of the worst.

    `labels`: rows whose label changed (a score on the other side of 0.5). `problem`: why the set was not compared.
    `advice`: what to do, where a difference is a known limit of rows unlike the given ones: a warning, no refusal.
    """

    name: str
    rows: int
    differing: int = 0
    labels: int = 0
    largest: float = 0.0
    table: str = ""
    problem: str = ""
    advice: str = ""

    def accepted(self, share: float) -> bool:
        """Whether at most this share of the rows differs; a single row is never too many."""
        return bool(self.advice) or self.differing <= max(1, share * self.rows)

    def __str__(self) -> str:
        if self.problem:
            return f"{self.name}: {self.problem}"
        if not self.differing:
            return f"{self.name}: {self.rows} rows, all scores equal (largest difference {self.largest:.2g})"
        advice = f"{self.advice}\n" if self.advice else ""
        changed = f", {self.labels} labels changed" if self.labels else ""
        return (
            f"{self.name}: {self.differing} of {self.rows} rows differ ({self.differing / self.rows:.1%}), "
            f"largest difference {self.largest:.3g}{changed}\n{advice}{self.table}"
        )


def compare(
    name: str,
    kind: PredictionKind,
    original: Floats,
    exported: Floats,
    rows: pd.DataFrame,
    *,
    tolerance: float,
    scale: Floats,
    changed: Sequence[str] = (),
) -> Comparison:
    """Compare scores of the same rows.

    A probability, also of one of several classes, differs if it is further away than `tolerance`; a
    value, also one of several, if it is further away than `tolerance` times the larger
    of `scale` (of several one for each) and its own size. `changed` names the column that a probe changed in each row.
    """
    labels = {}
    if kind.name == "classes":
        labels = {"label": original.argmax(axis=1), "exported label": exported.argmax(axis=1)}
        # The row's largest difference, and the two probabilities that it is between.
        with np.errstate(invalid="ignore"):
            place = np.nan_to_num(np.abs(original - exported), nan=np.inf).argmax(axis=1)[:, None]
        original, exported = (np.take_along_axis(one, place, axis=1)[:, 0] for one in (original, exported))
    if kind.names:
        # The row's value that differs most, on its own scale.
        with np.errstate(invalid="ignore", divide="ignore", over="ignore"):
            parts = np.abs(original - exported) / np.fmax(np.abs(original), scale)
        place = np.nan_to_num(parts, nan=np.inf).argmax(axis=1)
        scale = scale[place]
        original, exported = (one[np.arange(len(one)), place] for one in (original, exported))
    with np.errstate(invalid="ignore", over="ignore"):
        distance = np.abs(original - exported)
    # Scores are float32, in which a larger number is infinite.
    both = ~(np.abs(original) <= np.finfo(np.float32).max) & ~np.isfinite(exported)
    distance = np.where(both, 0.0, np.where(np.isfinite(distance), distance, np.inf))
    allowed = tolerance * (
        np.fmax(np.abs(original), scale) if kind.name in ("value", "values") else np.ones(len(original))
    )
    allowed = np.where(np.isfinite(allowed), allowed, 0.0)
    wrong = distance > allowed
    flipped = np.zeros(len(original), bool)
    if kind.name == "probability":
        flipped = (original >= 0.5) != (exported >= 0.5)
    elif labels:
        flipped = labels["label"] != labels["exported label"]
    # Values may be on scales that differ: then the worst is the furthest beyond what is allowed.
    order = distance / np.fmax(allowed, np.finfo(float).tiny) if kind.names else distance
    worst = np.argsort(-order, kind="stable")[: min(MOST_SHOWN, int(wrong.sum()))]
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
        len(original),
        differing=int(wrong.sum()),
        labels=int((flipped & wrong).sum()),
        largest=float(distance.max(initial=0.0)),
        table=table.to_string(index=False) if len(worst) else "",
    )


def spread(kind: PredictionKind, scores: Floats) -> Floats:
    """The range of the original's finite scores: the scale on which a difference counts; of several values one for each."""
    columns = scores.T if kind.names else [scores]
    finite = [column[np.isfinite(column)] for column in columns]
    ranges = np.array([float(np.ptp(column)) if column.size else 0.0 for column in finite])
    return ranges if kind.names else ranges[0]
