"""Columns of the reference that drift cannot measure or loop.yaml calls invalid; outcomes and answers of one value. Pure."""

from __future__ import annotations

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from cli.deployment.review.deployed_rows import DeployedRows, has_outcome
from cli.deployment.review.warning import LoopWarning, named
from shared.contracts.feature import Feature
from shared.contracts.lake_schema import SCORE
from shared.contracts.loop_spec import LoopSpec
from shared.contracts.outcome import numbers_of
from shared.models.valid_values import outside

_SHOWN_CHARACTERS = 40


def column_warnings(loop: LoopSpec, rows: DeployedRows) -> list[LoopWarning]:
    """Warnings about the columns of the reference: of features, `outcome` and the answers."""
    reference = rows.reference
    empty, constant, found = [], [], []
    for feature in loop.features:
        present = _present(feature, reference[feature.name])
        if not len(present):
            empty.append(feature.name)
            continue
        # A tensor is measured by mean and spread of each row, which vary in any real data.
        if feature.type != "tensor" and len(present) > 1 and len(pc.unique(present)) == 1:
            value = str(present[0].as_py())[:_SHOWN_CHARACTERS]
            constant.append(f"{feature.name} ({f'length {value}' if feature.type == 'text' else value})")
        invalid = _invalid(loop, feature, present)
        if invalid is not None:
            found.append(invalid)
    return [*_empty(empty), *_constant(constant), *found, *_outcomes(loop, reference), *_answers(reference)]


def _present(feature: Feature, column: pa.ChunkedArray) -> pa.ChunkedArray:
    """The values that are not missing; of a text the lengths, since these are measured."""
    present = column.filter(pc.invert(pc.is_null(column, nan_is_null=True)))
    return pc.utf8_length(present) if feature.type == "text" else present


def _empty(names: list[str]) -> list[LoopWarning]:
    if not names:
        return []
    return [
        LoopWarning(
            "features",
            f"every value in the reference is missing: {named(names)}; drift of such a feature is not measured",
            "give reference rows with values, or remove the feature",
        )
    ]


def _constant(names: list[str]) -> list[LoopWarning]:
    if not names:
        return []
    return [
        LoopWarning(
            "features",
            f"one value in all reference rows: {named(names)}; drift cannot be compared with the usual variation of such a "
            "feature, and the model was validated on that value only",
            "give reference rows in which it varies, or remove the feature",
        )
    ]


def _invalid(loop: LoopSpec, feature: Feature, present: pa.ChunkedArray) -> LoopWarning | None:
    if feature.type not in ("number", "integer", "category"):
        return None
    values = np.asarray(present.to_numpy(), dtype=object if feature.type == "category" else None)
    found = outside(feature, values)
    limit = loop.drift.out_of_range
    if found is None or found.mean() <= limit:
        return None
    share = f"{found.mean():.1%} of its reference values"
    if feature.type == "category":
        unknown = sorted({str(value)[:_SHOWN_CHARACTERS] for value in values[found]})
        return LoopWarning(
            f"features.{feature.name}",
            f"{share} are not in `values` ({named(unknown, 3)}); inference refuses requests with such a value",
            "add them to `values`, or set `unknown: serve`",
        )
    return LoopWarning(
        f"features.{feature.name}",
        f"{share} are outside of `minimum` and `maximum` (they go from {values.min():g} to {values.max():g}); more than "
        f"drift.out_of_range ({limit:g}) is a data fault, so most verdicts would be `data_fault`",
        "correct `minimum` and `maximum`, or correct the unit of the rows",
    )


def _outcomes(loop: LoopSpec, reference: pa.Table) -> list[LoopWarning]:
    if loop.performance is None:
        return []
    known = reference["outcome"].filter(has_outcome(reference))
    if not len(known):
        return [
            LoopWarning(
                "outcome",
                "no reference row has an outcome, so the reference has no loss that performance can be compared with",
                "give rows with outcomes",
            )
        ]
    numbers = [numbers_of(name, known) for name in loop.prediction.names] or [known]
    if len(known) > 1 and all(len(pc.unique(one)) == 1 for one in numbers):
        return [
            LoopWarning(
                "outcome",
                f"every outcome in the reference is {str(known[0].as_py())[:_SHOWN_CHARACTERS]}, so its loss says nothing about "
                "the others",
                "give rows with all kinds of outcomes",
            )
        ]
    return []


def _answers(reference: pa.Table) -> list[LoopWarning]:
    """Of a model with classes the score is the probability of its label."""
    if SCORE not in reference.column_names or reference.num_rows < 2 or len(pc.unique(reference[SCORE])) > 1:
        return []
    return [
        LoopWarning(
            "prediction",
            f"the model's score is {reference[SCORE][0].as_py():.4g} for every reference row",
            "check prediction.output and the export of the model",
        )
    ]
