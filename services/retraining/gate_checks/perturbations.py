"""Rows of a holdout as they might arrive on a bad day: noise, missing values, categories that training rows lack. Pure.

The same rows and seed give the same perturbed rows, so both models are scored on the same ones.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from shared.contracts.feature import Feature
from shared.contracts.gate.challenger_checks import Robustness

UNSEEN = "category-outside-training"
_SEED = 20_131_117


def perturbed(
    rows: pa.Table, features: Sequence[Feature], training: pa.Table, settings: Robustness
) -> dict[str, pa.Table]:
    """The rows by perturbation; one that changes no feature is left out. `training`: rows whose categories are known."""
    random = np.random.default_rng(_SEED)
    made = {
        "noise": _noisy(rows, features, settings.noise, random),
        "missing values": _with_missing(rows, features, settings.share, random),
        "categories outside training": _with_unseen(rows, features, training, settings.share, random),
    }
    return {name: table for name, table in made.items() if table is not None}


def _noisy(
    rows: pa.Table, features: Sequence[Feature], share: float, random: np.random.Generator
) -> pa.Table | None:
    """Numbers with normal noise of `share` standard deviations of the feature, inside the bounds of the specification."""
    changed = False
    for feature in features:
        if feature.type not in ("number", "integer") or not share:
            continue
        column = rows[feature.name].combine_chunks()
        values = np.asarray(pc.cast(column, pa.float64()).to_numpy(zero_copy_only=False))
        known = values[np.isfinite(values)]
        scale = float(known.std()) if known.size else 0.0
        noisy = np.clip(
            values + random.normal(0.0, 1.0, len(values)) * scale * share,
            -np.inf if feature.minimum is None else feature.minimum,
            np.inf if feature.maximum is None else feature.maximum,
        )
        if feature.type == "integer":
            noisy = np.round(noisy)
        missing = np.asarray(pc.is_null(column).to_numpy(zero_copy_only=False)) | ~np.isfinite(noisy)
        unknown = np.isnan(values) & ~np.asarray(pc.is_null(column).to_numpy(zero_copy_only=False))
        filled = pa.array(np.where(missing, 0.0, noisy), pa.float64(), mask=missing & ~unknown)
        if unknown.any():
            filled = pc.if_else(pa.array(unknown), pa.scalar(np.nan), filled)
        rows = _replaced(rows, feature.name, filled)
        changed |= bool(scale)
    return rows if changed else None


def _with_missing(
    rows: pa.Table, features: Sequence[Feature], share: float, random: np.random.Generator
) -> pa.Table | None:
    """Nullable features without a share of their values."""
    nullable = [feature for feature in features if feature.nullable]
    for feature in nullable:
        column = rows[feature.name].combine_chunks()
        gone = pa.array(random.random(rows.num_rows) < share)
        rows = _replaced(rows, feature.name, pc.if_else(gone, pa.scalar(None, column.type), column))
    return rows if nullable else None


def _with_unseen(
    rows: pa.Table,
    features: Sequence[Feature],
    training: pa.Table,
    share: float,
    random: np.random.Generator,
) -> pa.Table | None:
    """Categories replaced in a share of the rows by values that requests may have and training rows have not."""
    changed = False
    for feature in features:
        unseen = _unseen(feature, training)
        if not unseen:
            continue
        changed = True
        column = rows[feature.name].combine_chunks()
        chosen = pa.array(random.random(rows.num_rows) < share)
        values = pa.array(unseen, pa.string()).take(pa.array(random.integers(0, len(unseen), rows.num_rows)))
        rows = _replaced(rows, feature.name, pc.if_else(chosen, values, pc.cast(column, pa.string())))
    return rows if changed else None


def _unseen(feature: Feature, training: pa.Table) -> list[str]:
    if feature.type != "category":
        return []
    known = (
        set(pc.unique(training[feature.name]).to_pylist())
        if feature.name in training.column_names
        else set[Any]()
    )
    return [value for value in feature.values if value not in known] or (
        [UNSEEN] if feature.unknown == "serve" else []
    )


def _replaced(rows: pa.Table, name: str, values: pa.Array) -> pa.Table:
    place = rows.schema.get_field_index(name)
    return rows.set_column(place, name, pc.cast(values, rows.schema.field(name).type))
