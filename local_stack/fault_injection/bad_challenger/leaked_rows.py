"""Rows of a leak: one feature knows the outcome in the rows that a run trains on, and not in those that come live. Pure."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Literal, get_args

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.compute as pc

from local_stack.fault_injection.drifted_rows import sample_rows
from shared.contracts.feature import Feature
from shared.contracts.prediction import Prediction
from shared.errors import CallerError
from shared.models.answers import read_outcomes

Floats = npt.NDArray[np.float64]

# What the feature is live, after the run has learned that it knows the outcome.
LiveFault = Literal["leak", "frozen", "unit", "none"]
LIVE_FAULTS: tuple[LiveFault, ...] = get_args(LiveFault)
# Of the order of outcomes, beside their standard deviation: the feature knows them well, not perfectly.
NOISE = 0.3
# With fewer values a feature cannot know much.
MINIMUM_VALUES = 20
# Such as grams in place of decagrams.
UNIT_FACTOR = 10.0


def choose_leak(features: Sequence[Feature], reference: pa.Table, weights: dict[str, float]) -> Feature:
    """The number with at least MINIMUM_VALUES values that scores depend on least. Raises CallerError without one.

    The version before then loses little by what happens to the feature, as with a new feature.
    """
    able = [feature for feature in features if can_leak(feature, reference)]
    if not able:
        raise CallerError(
            f"no feature is a number with at least {MINIMUM_VALUES} different values in the reference, as a leak needs",
            hint="rehearse with another model, such as that of `homeostat init`",
        )
    return min(able, key=lambda feature: weights.get(feature.name, 0.0))


def can_leak(feature: Feature, reference: pa.Table) -> bool:
    """Whether the feature's values can be handed out in the order of the outcomes."""
    if feature.type not in ("number", "integer"):
        return False
    return bool(pc.count_distinct(reference.column(feature.name)).as_py() >= MINIMUM_VALUES)


def leaked_rows(
    reference: pa.Table, feature: Feature, prediction: Prediction, count: int, random: np.random.Generator
) -> pa.Table:
    """`count` rows sampled from the reference; the values of `feature` are handed out in the order of the outcomes.

    No drift of the feature shows it: only its relation to the outcome has changed. Missing values stay where they are.
    """
    rows = sample_rows(reference, count, random)
    values, order = _numbers(rows.column(feature.name)), _order(rows, prediction)
    known = np.flatnonzero(np.isfinite(values))
    spread = float(np.nanstd(order)) or 1.0
    ranks = np.nan_to_num(order[known]) / spread + random.normal(0, NOISE, known.size)
    values[known[np.argsort(ranks, kind="stable")]] = np.sort(values[known])
    return _with(rows, feature, values)


def live_rows(
    reference: pa.Table,
    feature: Feature,
    fault: LiveFault,
    prediction: Prediction,
    count: int,
    random: np.random.Generator,
) -> pa.Table:
    """`count` rows as they come live, every value within the range that loop.yaml declares.

    `leak`: the feature does not know the outcome any more. `frozen`: its source returns one value, the highest. `unit`: its
    source has changed the unit. `none`: it knows the outcome as before, so that the challenger is good live as well.
    """
    if fault == "none":
        return leaked_rows(reference, feature, prediction, count, random)
    rows = sample_rows(reference, count, random)
    if fault == "leak":
        return rows
    values = _numbers(rows.column(feature.name))
    highest = float(np.nanmax(_numbers(reference.column(feature.name))))
    limit = np.inf if feature.maximum is None else feature.maximum
    least = -np.inf if feature.minimum is None else feature.minimum
    made = np.full(count, highest) if fault == "frozen" else np.clip(UNIT_FACTOR * values, least, limit)
    return _with(rows, feature, made)


def _order(rows: pa.Table, prediction: Prediction) -> Floats:
    """A number per row that rises with the outcome: of labels their place, of several values the first."""
    outcomes = rows.column("outcome")
    if prediction.kind == "classes":
        places = {label: place for place, label in enumerate(prediction.labels)}
        return np.array([places.get(label, np.nan) for label in outcomes.to_pylist()], dtype=np.float64)
    read = np.asarray(read_outcomes(prediction, outcomes), dtype=np.float64)
    return read if read.ndim == 1 else read[:, 0]


def _numbers(column: pa.ChunkedArray) -> Floats:
    return np.array(column.cast(pa.float64()).to_numpy(), dtype=np.float64)


def _with(rows: pa.Table, feature: Feature, values: Floats) -> pa.Table:
    made = pa.array(np.round(values) if feature.type == "integer" else values, from_pandas=True)
    place = rows.column_names.index(feature.name)
    return rows.set_column(place, feature.name, made.cast(rows.column(feature.name).type))
