"""`custom_metrics` in loop.yaml: what a row is worth by its answer, outcome and features, such as the cost of a false alarm.

A metric is the mean of its rows' values. The value of a row is that of the first case whose condition is true. Conditions are
those of slices, over `outcome` and the answer (`score`, or `label` of classes) as well as the features.
"""

from __future__ import annotations

from collections.abc import Collection, Sequence
from typing import Any

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.compute as pc
from pydantic import Field, SerializerFunctionWrapHandler, model_serializer

from shared.contracts.feature import FEATURE_NAME, Feature, Section
from shared.contracts.lake_schema import LABEL, SCORE
from shared.contracts.prediction import METRICS, Prediction
from shared.contracts.slices.condition import features_of, is_true
from shared.contracts.slices.parser import parse_condition

MAX_METRICS = 10
MAX_CASES = 50
OUTCOME = "outcome"
_KINDS = ("probability", "value", "classes")
_NUMBERS = ("number", "integer")


class Case(Section):
    """Rows for which `where` is true, and what each is worth."""

    where: str = Field(
        description="Condition over `outcome`, the answer (`score`; `label` of classes) and features, such as "
        "`score > 0.3 and outcome == 0`."
    )
    value: float = Field(description="Value of such a row.")
    times: str = Field(
        "",
        description="A feature of type number or integer, `score` or `outcome`, that `value` is multiplied with. A row without "
        "it does not count.",
    )

    @model_serializer(mode="wrap")
    def _write(self, write: SerializerFunctionWrapHandler) -> dict[str, object]:
        document: dict[str, object] = write(self)
        return {key: value for key, value in document.items() if value != ""}


class CustomMetric(Section):
    """The mean value of rows, such as a business cost per prediction."""

    name: str = Field(pattern=FEATURE_NAME, description="Name of the metric.")
    cases: tuple[Case, ...] = Field(
        min_length=1,
        max_length=MAX_CASES,
        description="The first case whose condition is true gives a row its value.",
    )
    otherwise: float = Field(0.0, description="Value of a row for which no condition is true.")

    def features(self, features: Sequence[Feature], prediction: Prediction) -> frozenset[str]:
        """The features that it reads."""
        known = _operands(features, prediction)
        read = {name for case in self.cases for name in features_of(parse_condition(case.where, known))}
        return frozenset(read | {case.times for case in self.cases}) & {feature.name for feature in features}

    def values(
        self,
        table: pa.Table,
        features: Sequence[Feature],
        prediction: Prediction,
        *,
        prefix: str = "",
        outcome: str = OUTCOME,
    ) -> npt.NDArray[np.float64]:
        """The value of each row of a table with answers, the column named `outcome` and the features, named with `prefix`.

        NaN where a row has no outcome or no answer, or lacks what its value is multiplied with.

        >>> costs = CustomMetric(name="cost", cases=[
        ...     {"where": "score <= 0.3 and outcome == 1", "value": 2, "times": "amount"},
        ...     {"where": "score > 0.3 and outcome == 0", "value": 5}])
        >>> rows = pa.table({"score": [0.1, 0.1, 0.9, 0.9, 0.9], "outcome": [1.0, 0.0, 0.0, 1.0, None],
        ...                  "amount": [50.0, 50.0, 50.0, 50.0, 50.0]})
        >>> costs.values(rows, [Feature(name="amount", type="number")], Prediction(kind="probability"))
        array([100.,   0.,   5.,   0.,  nan])
        """
        operands = _operands(features, prediction)
        columns = _columns(table, self.features(features, prediction), prediction, prefix, outcome)
        values = np.full(len(table), self.otherwise)
        for case in reversed(self.cases):
            inside = is_true(parse_condition(case.where, operands), columns)
            factor = _numbers(columns[case.times])[inside] if case.times else 1.0
            values[inside] = case.value * factor
        known = pc.and_(pc.is_valid(columns[OUTCOME]), pc.is_valid(columns[_answer(prediction)]))
        values[~np.asarray(known.to_numpy(zero_copy_only=False), dtype=np.bool_)] = np.nan
        values[~np.isfinite(values)] = np.nan
        return values


def check_custom_metrics(
    metrics: Sequence[CustomMetric], features: Sequence[Feature], prediction: Prediction
) -> None:
    """Raises ValueError that names the first metric which these features and answers do not allow.

    Personal features are refused: rows are logged without their values, and a metric of few rows would tell them.
    """
    if metrics and prediction.kind not in _KINDS:
        raise ValueError(
            f"custom_metrics does not fit a prediction of kind {prediction.kind}: it is for {', '.join(_KINDS)}"
        )
    if len(metrics) > MAX_METRICS:
        raise ValueError(f"custom_metrics names {len(metrics)} metrics; at most {MAX_METRICS} are measured")
    operands = _operands(features, prediction)
    numbers = [operand.name for operand in operands if operand.type in _NUMBERS]
    names = set(METRICS.get(prediction.kind, ()))
    for place, metric in enumerate(metrics):
        if metric.name in names:
            raise ValueError(
                f"custom_metrics.{place}.name is {metric.name}, which is the name of another metric"
            )
        names.add(metric.name)
        for number, case in enumerate(metric.cases):
            at = f"custom_metrics.{place}.cases.{number}"
            try:
                parse_condition(case.where, operands)
            except ValueError as error:
                raise ValueError(f"{at}.where is not a condition: {error}") from error
            if case.times and case.times not in numbers:
                raise ValueError(f"{at}.times is {case.times}; expected one of {', '.join(numbers)}")
        read = metric.features(features, prediction)
        if personal := [feature.name for feature in features if feature.personal and feature.name in read]:
            raise ValueError(f"custom_metrics.{place} reads {personal[0]}, which is personal")


def _answer(prediction: Prediction) -> str:
    return LABEL if prediction.kind == "classes" else SCORE


def _operands(features: Sequence[Feature], prediction: Prediction) -> list[Feature]:
    """What a condition may name. Without the checks of features, whose names may not be those of answers."""
    if prediction.kind == "classes":
        known: dict[str, Any] = {
            "type": "category",
            "values": tuple(prediction.label_texts),
            "unknown": "refuse",
        }
    else:
        known = {"type": "number"}
    answers = [Feature.model_construct(name=name, **known) for name in (_answer(prediction), OUTCOME)]
    return [*answers, *features]


def _columns(
    table: pa.Table, features: Collection[str], prediction: Prediction, prefix: str, outcome: str
) -> pa.Table:
    """The features by their names, and answer and outcome in the type that conditions compare."""
    kind = pa.string() if prediction.kind == "classes" else pa.float64()
    columns = {}
    for name, source in ((_answer(prediction), _answer(prediction)), (OUTCOME, outcome)):
        found = table[source] if source in table.column_names else pa.nulls(len(table), kind)
        columns[name] = _finite(pc.cast(found, kind))
    for name in features:
        if prefix + name in table.column_names:
            columns[name] = table[prefix + name]
    return pa.table(columns)


def _finite(column: pa.ChunkedArray | pa.Array) -> pa.ChunkedArray | pa.Array:
    if not pa.types.is_floating(column.type):
        return column
    return pc.if_else(pc.fill_null(pc.is_finite(column), False), column, pa.scalar(None, column.type))


def _numbers(column: pa.ChunkedArray) -> npt.NDArray[np.float64]:
    return np.asarray(pc.cast(column, pa.float64(), safe=False).to_numpy(), dtype=np.float64)
