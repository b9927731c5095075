"""A data set held against `loop.yaml`: columns, types, and values that inference would refuse or call out of range. Pure."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from shared.contracts.feature import Feature
from shared.contracts.lake_schema import FEATURE_TYPES
from shared.contracts.loop_spec import LoopSpec
from shared.contracts.outcome import expected_outcome, fitting
from shared.contracts.slices.slice_spec import slices_of
from shared.data_checks.column_profile import column_kind, shown, values_present
from shared.data_checks.finding import Finding
from shared.models.answers import typed_outcomes
from shared.models.valid_values import outside

OUTCOME = "outcome"
NAMED = 3


def contract_findings(table: pa.Table, loop: LoopSpec) -> Iterator[Finding]:
    """What in `table` does not fit the features and the outcome of `loop`. An outcome column is not required."""
    for feature in loop.features:
        if feature.name not in table.column_names:
            yield Finding(
                "missing_column",
                "error",
                feature.name,
                f"there is no column {feature.name}, a feature of {loop.model}",
                "add the column, or remove the feature from loop.yaml",
            )
            continue
        yield from _feature(feature, table[feature.name], loop.drift.out_of_range)
    if loop.prediction.has_loss and OUTCOME in table.column_names:
        yield from _outcome(table[OUTCOME], loop)
    yield from _small_slices(table, loop)


def _feature(feature: Feature, column: pa.ChunkedArray, tolerated: float) -> Iterator[Finding]:
    name, present = feature.name, values_present(column)
    missing = len(column) - len(present)
    if missing and not feature.nullable:
        share = missing / len(column)
        yield Finding(
            "missing_values",
            "error",
            name,
            f"{share:.1%} of the values of {name} are missing, and inference refuses a request without it",
            "fill them, or set `nullable: true` in loop.yaml",
            value=share,
            limit=0.0,
        )
    if feature.type == "tensor":
        return
    try:
        if feature.type in ("number", "integer", "boolean") and column_kind(column.type) == "text":
            raise pa.ArrowInvalid("text")  # a cast would read it, but inference refuses it
        typed = present.cast(FEATURE_TYPES[feature.type])
    except (pa.ArrowInvalid, pa.ArrowNotImplementedError) as error:
        wrong = "" if feature.personal or str(error) == "text" else f": {str(error)[:120]}"
        yield Finding(
            "wrong_type",
            "error",
            name,
            f"{name} is {column.type}, but a {feature.type} in loop.yaml{wrong}",
            f"write the column as {FEATURE_TYPES[feature.type]}",
        )
        return
    if feature.type in ("number", "integer", "category") and len(typed):
        yield from _values(feature, typed, tolerated)


def _values(feature: Feature, present: pa.ChunkedArray, tolerated: float) -> Iterator[Finding]:
    name = feature.name
    kind = object if feature.type == "category" else None
    values = np.asarray(present.to_numpy(), dtype=kind)
    found = outside(feature, values)
    if found is None or not found.any():
        return
    share = float(found.mean())
    if feature.type == "category":
        unknown = sorted({shown(value) for value in values[found]})
        named = (
            ""
            if feature.personal
            else f" ({', '.join(unknown[:NAMED])}{', …' if len(unknown) > NAMED else ''})"
        )
        yield Finding(
            "unknown_category",
            "error",
            name,
            f"{share:.1%} of the values of {name} are not in `values`{named}; inference refuses requests with them",
            "add them to `values`, or set `unknown: serve`",
            value=share,
            limit=0.0,
        )
        return
    reach = "" if feature.personal else f"; they reach from {values.min():g} to {values.max():g}"
    yield Finding(
        "out_of_range",
        "error" if share > tolerated else "note",
        name,
        f"{share:.2%} of the values of {name} are outside of `minimum` and `maximum`{reach}",
        f"a share above drift.out_of_range ({tolerated:g}) is a data fault: correct the bounds, or the unit of the column",
        value=share,
        limit=tolerated,
    )


def _outcome(column: pa.ChunkedArray, loop: LoopSpec) -> Iterator[Finding]:
    expected = expected_outcome(loop.prediction)
    try:
        present = values_present(column) if column_kind(column.type) != "other" else column.drop_null()
        typed = typed_outcomes(loop.prediction, present)
    except (pa.ArrowInvalid, pa.ArrowNotImplementedError, KeyError):
        yield Finding(
            "wrong_type",
            "error",
            OUTCOME,
            f"outcome is {column.type}; expected {expected}",
            "write outcomes with that type",
        )
        return
    if not len(typed):
        return
    unfit = typed.filter(pc.invert(fitting(loop.prediction, typed)))
    if len(unfit):
        share = len(unfit) / len(typed)
        yield Finding(
            "out_of_range",
            "error",
            OUTCOME,
            f"{share:.1%} of the outcomes do not fit, such as {shown(unfit[0].as_py())}; expected {expected}",
            f"write every outcome as {expected}, or leave it empty",
            value=share,
            limit=0.0,
        )


def _small_slices(table: pa.Table, loop: LoopSpec) -> Iterator[Finding]:
    least = loop.drift.window.minimum_rows
    try:
        counts = {
            one.name: int(one.rows(table).sum()) for one in slices_of(loop.slices, loop.features, table)
        }
    except (pa.ArrowInvalid, pa.ArrowNotImplementedError):
        return  # a column of another type, which has a finding of its own
    for name, rows in counts.items():
        if rows < least:
            yield Finding(
                "small_slice",
                "note",
                "",
                f"slice {name} has {rows} rows, fewer than drift.window.minimum_rows ({least}), so it would not be judged",
                "check its condition, or take a coarser slice",
                value=float(rows),
                limit=float(least),
            )
