"""Drifted rows: numbers shifted within their declared range, categories with other frequencies. Pure."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import numpy.typing as npt
import pyarrow as pa

from shared.contracts.feature import Feature
from shared.contracts.lake_schema import TIMESTAMP
from shared.models.feature_arrays import micros_of

Floats = npt.NDArray[np.float64]

DEFAULT_SHIFT = 2.0
# Share of the rows that get the rarest category.
RAREST_SHARE = 0.7


def choose_feature(features: Sequence[Feature], weights: dict[str, float]) -> Feature:
    """The numeric feature with the highest weight; without numeric features, the feature with the highest weight."""
    numbers = [feature for feature in features if feature.type in ("number", "integer")]
    return max(numbers or features, key=lambda feature: weights.get(feature.name, 0.0))


def sample_rows(
    reference: pa.Table, count: int, random: np.random.Generator, weights: Floats | None = None
) -> pa.Table:
    """`count` rows sampled with replacement; `weights` are relative probabilities of the rows (None: equal)."""
    probabilities = None if weights is None else weights / weights.sum()
    return reference.take(pa.array(random.choice(reference.num_rows, count, p=probabilities)))


def drifted_rows(
    reference: pa.Table,
    feature: Feature,
    count: int,
    random: np.random.Generator,
    shift: float | None = None,
) -> pa.Table:
    """`count` rows sampled from the reference with `feature` drifted, every value within the range declared in loop.yaml.

    `shift` is in standard deviations of the reference; None: two, in the direction with more room. For a category or a
    boolean the rarest value becomes the most frequent.
    """
    if feature.type in ("category", "boolean", "text"):
        return _resampled(reference, feature, count, random)
    rows = sample_rows(reference, count, random)
    place = rows.column_names.index(feature.name)
    if feature.type == "tensor":
        moved = _moved_tensors(reference, rows, feature, shift)
    elif feature.type == "timestamp":
        moved = _moved_times(reference, rows, feature, shift)
    else:
        known = _floats(reference.column(feature.name))
        moved = pa.array(_moved(_floats(rows.column(feature.name)), known, feature, shift), from_pandas=True)
        moved = moved.cast(pa.int64()) if feature.type == "integer" else moved
    return rows.set_column(place, feature.name, moved)


def _moved(values: Floats, known: Floats, feature: Feature, shift: float | None) -> Floats:
    finite = known[np.isfinite(known)]
    unit = float(finite.std()) or max(abs(float(finite.mean())), 1.0)
    low = -np.inf if feature.minimum is None else feature.minimum
    high = np.inf if feature.maximum is None else feature.maximum
    steps = (shift,) if shift is not None else (DEFAULT_SHIFT, -DEFAULT_SHIFT)
    candidates = [np.clip(values + step * unit, low, high) for step in steps]
    # Values are clipped to the range, so that they are no faults; the direction with the larger change is used.
    best = max(candidates, key=lambda moved: abs(float(np.nanmean(moved - values))))
    return np.round(best) if feature.type == "integer" else best


def _moved_tensors(reference: pa.Table, rows: pa.Table, feature: Feature, shift: float | None) -> pa.Array:
    known = np.array(
        [np.asarray(value, float).ravel() for value in reference.column(feature.name).to_pylist()[:500]]
    )
    unit = float(known.std()) or 1.0
    low = -np.inf if feature.minimum is None else feature.minimum
    high = np.inf if feature.maximum is None else feature.maximum
    step = DEFAULT_SHIFT if shift is None else shift
    return pa.array(
        [
            np.clip(np.asarray(value, float).ravel() + step * unit, low, high).tolist()
            for value in rows.column(feature.name).to_pylist()
        ]
    )


def _moved_times(reference: pa.Table, rows: pa.Table, feature: Feature, shift: float | None) -> pa.Array:
    """Earlier by `shift` standard deviations of the age (event time - value)."""
    ages = micros_of(reference.column("event_time")) - micros_of(reference.column(feature.name))
    unit = float(ages.astype(np.float64).std()) or 1e6
    step = -int((DEFAULT_SHIFT if shift is None else shift) * unit)
    return pa.array(micros_of(rows.column(feature.name)) + step).cast(TIMESTAMP)


def _resampled(reference: pa.Table, feature: Feature, count: int, random: np.random.Generator) -> pa.Table:
    values = reference.column(feature.name).to_pylist()
    counts = {value: values.count(value) for value in set(values) if value is not None}
    if len(counts) > 1:
        rarest = min(counts, key=lambda value: (counts[value], str(value)))
        others = len(values) - counts[rarest]
        weights = np.array(
            [
                RAREST_SHARE / counts[rarest] if value == rarest else (1 - RAREST_SHARE) / others
                for value in values
            ]
        )
        return sample_rows(reference, count, random, weights)
    rows = sample_rows(reference, count, random)
    declared: tuple[object, ...] = (False, True) if feature.type == "boolean" else feature.values
    other = next((value for value in declared if value not in counts), None)
    if other is None:  # a category of one value cannot drift
        return rows
    chosen = random.random(count) < RAREST_SHARE
    kept = rows.column(feature.name).to_pylist()
    mixed = pa.array([other if new else old for new, old in zip(chosen, kept, strict=True)])
    return rows.set_column(rows.column_names.index(feature.name), feature.name, mixed)


def _floats(column: pa.ChunkedArray) -> Floats:
    return np.asarray(column.cast(pa.float64()).to_numpy(), dtype=np.float64)
