"""Findings about pairs of columns: columns that say the same, and features that give the outcome away. Pure.

Rank correlation: Spearman 1904. A feature that alone separates two outcomes is measured by the area under the ROC curve, which is
the Mann-Whitney statistic divided by the number of pairs (Hanley and McNeil 1982); a category by the share of outcomes that the
most frequent outcome of each category gets right.
"""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.compute as pc

from shared.data_checks.column_profile import Floats, column_kind, numbers_of
from shared.data_checks.finding import Finding

# Rows that are compared, spread evenly over the data set.
MAX_ROWS = 20_000
MIN_ROWS = 50
MAX_COLUMNS = 300
CORRELATION = 0.98
LEAKAGE = 0.99
# A category must be frequent on average, else every rare one "predicts" its own outcome.
ROWS_PER_CATEGORY = 10
NAMED_PAIRS = 20


def relation_findings(table: pa.Table, outcome: str) -> Iterator[Finding]:
    """Correlated columns, and leakage if the table has a column `outcome`."""
    if table.num_rows < MIN_ROWS:
        return
    step = max(1, -(-table.num_rows // MAX_ROWS))
    sampled = table.take(pa.array(np.arange(0, table.num_rows, step)))
    numbers = {
        name: numbers_of(sampled[name])
        for name in sampled.column_names
        if column_kind(sampled.schema.field(name).type) in ("number", "boolean")
    }
    for name, values in numbers.items():
        numbers[name] = np.where(np.isfinite(values), values, np.nan)
    features = {name: values for name, values in numbers.items() if name != outcome}
    yield from _correlated(dict(list(features.items())[:MAX_COLUMNS]))
    if outcome in sampled.column_names:
        yield from _leaking(sampled, features, outcome)


def _correlated(columns: dict[str, Floats]) -> Iterator[Finding]:
    names = [name for name, values in columns.items() if np.unique(values[~np.isnan(values)]).size > 2]
    if len(names) < 2:
        return
    ranked = np.stack([_standard_ranks(columns[name]) for name in names])
    correlation = ranked @ ranked.T / ranked.shape[1]
    pairs = [
        (abs(float(correlation[one, other])), one, other)
        for one in range(len(names))
        for other in range(one + 1, len(names))
        if abs(correlation[one, other]) >= CORRELATION
    ]
    for strength, one, other in sorted(pairs, reverse=True)[:NAMED_PAIRS]:
        yield Finding(
            "correlated_columns",
            "note",
            names[other],
            f"{names[other]} nearly duplicates {names[one]}: their rank correlation is {correlation[one, other]:.3f}",
            "one of the two is enough for most models",
            value=strength,
            limit=CORRELATION,
        )


def _leaking(table: pa.Table, numbers: dict[str, Floats], outcome: str) -> Iterator[Finding]:
    codes, labels = _classes(table[outcome])
    is_classes = 2 <= labels <= 20
    known = codes >= 0
    for name in table.column_names:
        if name in (outcome, "event_time", "prediction_id"):
            continue
        if name in numbers and not is_classes:
            strength = _rank_correlation(numbers[name], numbers_of(table[outcome]))
            what = f"the rank correlation of {name} and {outcome} is {strength:.3f}"
        elif name in numbers and labels == 2:
            area = _area(numbers[name][known], codes[known] == 1)
            strength, what = max(area, 1 - area), f"{name} alone separates the two values of {outcome}"
            what += f" (area under the ROC curve {max(area, 1 - area):.3f})"
        elif is_classes and column_kind(table.schema.field(name).type) == "text":
            strength = _purity(table[name].filter(pa.array(known)), codes[known], labels)
            what = f"{name} alone determines {outcome} in {strength:.1%} of the rows"
        else:
            continue
        if strength >= LEAKAGE:
            yield Finding(
                "leakage",
                "warning",
                name,
                what,
                "leave out what is known only after the outcome: it is missing or wrong when a prediction is requested",
                value=strength,
                limit=LEAKAGE,
            )


def _classes(column: pa.ChunkedArray) -> tuple[npt.NDArray[np.int64], int]:
    """Each outcome as a number from 0, -1 where it is missing, and how many there are."""
    if column_kind(column.type) == "other":
        return np.full(len(column), -1), 0
    filled = pc.if_else(pc.is_null(column, nan_is_null=True), pa.scalar(None, column.type), column)
    encoded = pc.dictionary_encode(filled.combine_chunks())
    if isinstance(encoded, pa.ChunkedArray):
        encoded = encoded.combine_chunks()
    order = np.argsort(np.argsort([str(value) for value in encoded.dictionary.to_pylist()]))
    places = pc.fill_null(encoded.indices.cast(pa.int64()), -1).to_numpy()
    codes = np.where(places >= 0, np.append(order, -1)[places], -1)
    return codes.astype(np.int64), len(encoded.dictionary)


def _standard_ranks(values: Floats) -> Floats:
    """Mid-ranks with mean 0 and deviation 1; missing values have rank 0, which is the mean."""
    present = ~np.isnan(values)
    ranks = np.zeros(values.size)
    ranks[present] = _mid_ranks(values[present])
    ranks[present] -= ranks[present].mean()
    deviation = float(np.sqrt((ranks**2).mean()))
    return ranks / deviation if deviation > 0 else ranks


def _mid_ranks(values: Floats) -> Floats:
    _, places, counts = np.unique(values, return_inverse=True, return_counts=True)
    ends = np.cumsum(counts)
    return (ends - (counts - 1) / 2)[places].astype(np.float64)


def _rank_correlation(feature: Floats, outcome: Floats) -> float:
    both = ~(np.isnan(feature) | np.isnan(outcome))
    if int(both.sum()) < MIN_ROWS:
        return 0.0
    one, other = _standard_ranks(feature[both]), _standard_ranks(outcome[both])
    return abs(float((one * other).mean()))


def _area(values: Floats, positive: npt.NDArray[np.bool_]) -> float:
    """Area under the ROC curve; 0.5 where one side has too few rows. A missing value ranks lowest: that it is missing may tell.

    >>> round(_area(np.arange(100.0), np.arange(100) >= 50), 3)
    1.0
    """
    first, second = int(positive.sum()), int((~positive).sum())
    if min(first, second) < ROWS_PER_CATEGORY:
        return 0.5
    ranks = _mid_ranks(np.where(np.isnan(values), -np.inf, values))
    return float((ranks[positive].sum() - first * (first + 1) / 2) / (first * second))


def _purity(texts: pa.ChunkedArray, codes: npt.NDArray[np.int64], labels: int) -> float:
    """Share of rows that the most frequent outcome of their category gets right; 0 for categories that are too rare, and where
    one outcome is that frequent anyway."""
    encoded = pc.dictionary_encode(texts.cast(pa.string()).combine_chunks(), "encode")
    if isinstance(encoded, pa.ChunkedArray):
        encoded = encoded.combine_chunks()
    categories = len(encoded.dictionary)
    if not categories or codes.size < ROWS_PER_CATEGORY * categories:
        return 0.0
    counts = np.bincount(
        encoded.indices.to_numpy(zero_copy_only=False) * labels + codes, minlength=categories * labels
    ).reshape(categories, labels)
    usual = float(counts.sum(axis=0).max() / codes.size)
    return float(counts.max(axis=1).sum() / codes.size) if usual < LEAKAGE else 0.0
