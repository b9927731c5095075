"""Rows as columns in time order: of the window, and of the reference it is compared with."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime
from hashlib import sha256
from typing import Literal

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.compute as pc

from services.drift.evaluation.answered import Answered, answered
from services.drift.evaluation.summaries.tensors import TensorSummary, summaries_of, summarise
from services.drift.evaluation.summaries.texts import TextSummary, summarise_text, text_summaries
from shared.contracts.feature import Feature
from shared.contracts.lake_schema import LABEL, PREDICTION_OPTIONAL_COLUMNS, SCORE, TIMESTAMP
from shared.contracts.loop_spec import LoopSpec
from shared.contracts.prediction import Prediction
from shared.contracts.slices.condition import Booleans
from shared.contracts.slices.slice_spec import Slice
from shared.models.answers import lake_columns, outcome_type, read_outcomes, read_scores
from shared.models.losses import MetricName, row_losses

Floats = npt.NDArray[np.float64]
Objects = npt.NDArray[np.object_]


Summary = Literal["", "age"] | TextSummary | TensorSummary
# Of a number or a tensor, what `minimum` and `maximum` apply to.
LEVELS: tuple[Summary, ...] = ("", "mean", "brightness")


@dataclass(frozen=True)
class Column:
    """A column that is measured: `feature` is what it is about, `summary` what of a tensor, text or time (empty: the value)."""

    name: str
    feature: Feature
    kind: Literal["numeric", "category"]
    summary: Summary = ""


@dataclass(frozen=True)
class Rows:
    """Columns by name, all in ascending `event_time` (µs since 1970). Missing: NaN, or None in a category.

    `predictions`: what the model answered, by the names of `prediction_columns`; `outcome`: a number, the place of a label, or
    the mean of several values, NaN where it is not known; `loss`: NaN where a row has no outcome or no answer.
    `outcome_lag`: seconds from the event to the observation of its outcome, NaN where it is not known; None of a reference.
    `early_outcomes`, `contradicted_outcomes`: outcomes with a fault, of rows of the lake. `contradicting`: by sender, the
    contradicted ones for which it sent an outcome.
    `answered`: what metrics are computed from; None where loop.yaml names none. `slices`: which rows belong to each, by name.
    """

    event_time: npt.NDArray[np.int64]
    columns: Mapping[str, Floats | Objects]
    predictions: Mapping[str, Floats | Objects]
    outcome: Floats
    loss: Floats
    outcome_lag: Floats | None = None
    early_outcomes: int = 0
    contradicted_outcomes: int = 0
    answered: Answered | None = None
    slices: Mapping[str, Booleans] = field(default_factory=dict)
    contradicting: Mapping[str, int] = field(default_factory=dict)

    def __len__(self) -> int:
        return int(self.event_time.size)

    def take(self, indices: npt.NDArray[np.int64]) -> Rows:
        """The rows at these indices."""
        return replace(
            self,
            event_time=self.event_time[indices],
            columns={name: values[indices] for name, values in self.columns.items()},
            predictions={name: values[indices] for name, values in self.predictions.items()},
            outcome=self.outcome[indices],
            loss=self.loss[indices],
            outcome_lag=None if self.outcome_lag is None else self.outcome_lag[indices],
            answered=None if self.answered is None else self.answered.take(indices),
            slices={name: inside[indices] for name, inside in self.slices.items()},
        )


def columns_of(loop: LoopSpec) -> tuple[Column, ...]:
    """The measured columns of a model: one per feature; of a tensor what its content is summarised by, of a text its length
    and words.

    Of a timestamp the value, and its age (event time - value), in seconds. Time moves forward, which is no drift: it drifts only
    if both do. The age of an order time stays as it is, and so does the value of an opening date.
    """
    columns: list[Column] = []
    for feature in loop.features:
        if feature.type == "tensor":
            columns += [
                Column(f"{feature.name}.{one}", feature, "numeric", one) for one in summaries_of(feature)
            ]
        elif feature.type == "timestamp":
            columns += [
                Column(feature.name, feature, "numeric"),
                Column(f"{feature.name}.age", feature, "numeric", "age"),
            ]
        elif feature.type == "text":
            columns += [
                Column(f"{feature.name}.{text}", feature, "numeric", text) for text in text_summaries(feature)
            ]
        else:
            kind: Literal["numeric", "category"] = (
                "numeric" if feature.type in ("number", "integer") else "category"
            )
            columns.append(Column(feature.name, feature, kind))
    return tuple(columns)


@dataclass(frozen=True)
class AnswerColumn:
    """What of an answer is measured: `name` is no feature's; `summary`: the name of a number among several (empty otherwise)."""

    name: str
    kind: Literal["numeric", "category"]
    summary: str = ""


def prediction_columns(loop: LoopSpec) -> tuple[AnswerColumn, ...]:
    """The score, the label of classes, each of several values; nothing of tensors and embeddings."""
    prediction = loop.prediction
    if not prediction.has_loss:
        return ()
    if prediction.kind == "classes":
        return (AnswerColumn(LABEL, "category"),)
    return tuple(AnswerColumn(f"{SCORE}.{name}", "numeric", name) for name in prediction.names) or (
        AnswerColumn(SCORE, "numeric"),
    )


def answer_columns(loop: LoopSpec) -> tuple[str, ...]:
    """The columns of the lake and of a reference that are read of an answer."""
    return lake_columns(loop.prediction) if loop.prediction.has_loss else ()


def rows_from_table(
    table: pa.Table,
    loop: LoopSpec,
    *,
    prefix: str = "",
    outcome: str = "outcome",
    with_features: bool = True,
    slices: Sequence[Slice] = (),
) -> Rows:
    """Read a table with `event_time`, the answer, the column named `outcome` and one column per feature, named with `prefix`.

    A column that the table lacks counts as missing in every row. Non-finite numbers count as missing. `with_features`: whether
    the features are read.
    """
    times = (
        pc.cast(table["event_time"], pa.timestamp("us", tz="UTC"))
        .to_numpy()
        .astype("datetime64[us]")
        .astype(np.int64)
    )
    order = np.argsort(times, kind="stable")
    columns: dict[str, Floats | Objects] = {}
    for column in columns_of(loop) if with_features else ():
        source = prefix + column.feature.name
        values = table[source] if source in table.column_names else pa.nulls(len(table))
        columns[column.name] = read_column(values, column, times)[order]
    performance = loop.performance
    if performance is None:
        unknown = np.full(len(table), np.nan)
        return Rows(times[order], columns, {}, unknown, unknown)
    predictions, outcomes, losses, answers = _answers(
        table, loop.prediction, performance.metric.name, outcome
    )
    found = {name: values[order] for name, values in predictions.items()}
    lag = None
    if "observed_at" in table.column_names:
        lag = (
            _numbers(
                pc.subtract(pc.cast(pc.cast(table["observed_at"], TIMESTAMP), pa.int64()), pa.array(times))
            )[order]
            / 1e6
        )
    return Rows(
        times[order],
        columns,
        found,
        outcomes[order],
        losses[order],
        lag,
        answered=_with_custom(answers, table, loop, prefix, outcome).take(order)
        if loop.metrics or loop.custom_metrics
        else None,
        slices={one.name: one.rows(table, prefix)[order] for one in slices},
    )


def _with_custom(answers: Answered, table: pa.Table, loop: LoopSpec, prefix: str, outcome: str) -> Answered:
    """With the values that `custom_metrics` give the rows."""
    custom = {
        metric.name: metric.values(table, loop.features, loop.prediction, prefix=prefix, outcome=outcome)
        for metric in loop.custom_metrics
    }
    return replace(answers, of_rows={**answers.of_rows, **custom})


def sample_seed(model: str, version: str, window_end: datetime) -> int:
    """Seed of the sample of a window: every detector and report that measures the same rows draws the same ones.

    >>> sample_seed("flights", "v1", datetime(2013, 2, 1, tzinfo=UTC))
    3028446775
    """
    text = "\n".join((model, version, window_end.astimezone(UTC).isoformat()))
    return int.from_bytes(sha256(text.encode()).digest()[:4])


def sample(rows: Rows, size: int, seed: int) -> Rows:
    """At most `size` rows, one drawn at random from each of `size` equal slices, so that all of the time stays represented."""
    if len(rows) <= size:
        return rows
    edges = np.linspace(0, len(rows), size + 1)
    low, high = np.ceil(edges[:-1]).astype(np.int64), np.ceil(edges[1:]).astype(np.int64)
    return rows.take(np.random.default_rng(seed).integers(low, high))


def _answers(
    table: pa.Table, prediction: Prediction, metric: MetricName, outcome: str
) -> tuple[dict[str, Floats | Objects], Floats, Floats, Answered]:
    """Predictions by column, outcomes, losses and what metrics are computed from, in the table's order.

    Probabilities are read here only: of a thousand classes they would need more memory than all that is measured.
    """
    if not prediction.width:
        single, outcomes = _numbers_or_missing(table, SCORE), _numbers_or_missing(table, outcome)
        return {SCORE: single}, outcomes, row_losses(metric, single, outcomes), answered(single, outcomes)
    for name in (*lake_columns(prediction), outcome):
        if name not in table.column_names:
            known = name in PREDICTION_OPTIONAL_COLUMNS.names
            kind = PREDICTION_OPTIONAL_COLUMNS.field(name).type if known else outcome_type(prediction)
            table = table.append_column(name, pa.nulls(len(table), kind))
    scores, outcomes = read_scores(prediction, table), read_outcomes(prediction, table[outcome])
    losses = row_losses(metric, scores, outcomes)
    if prediction.kind == "classes":
        return {LABEL: _texts(table[LABEL])}, outcomes, losses, answered(scores, outcomes)
    numbers = scores.astype(np.float64)
    predictions: dict[str, Floats | Objects] = {
        f"{SCORE}.{name}": numbers[:, place] for place, name in enumerate(prediction.names)
    }
    return predictions, outcomes.mean(axis=1), losses, answered(numbers, outcomes)


def read_column(
    values: pa.ChunkedArray | pa.Array, column: Column, event_times: npt.NDArray[np.int64]
) -> Floats | Objects:
    """The values of a measured column: numbers with NaN, or texts with None; `event_times` in µs, for ages."""
    if column.feature.type == "timestamp":
        micros = pc.cast(pc.cast(values, TIMESTAMP), pa.int64())
        wanted = pc.subtract(pa.array(event_times), micros) if column.summary == "age" else micros
        return _numbers(wanted) / 1e6
    if column.summary == "length" or column.summary == "distinct" or column.summary == "unknown":
        return summarise_text(values, column.feature, column.summary)
    if column.summary and column.summary != "age":
        return summarise(values, column.feature, column.summary)
    if column.kind == "numeric":
        return _numbers(values)
    return _texts(values)


def _texts(values: pa.ChunkedArray | pa.Array) -> Objects:
    text = pc.cast(values, pa.string())
    result: Objects = text.to_numpy(zero_copy_only=False) if isinstance(text, pa.Array) else text.to_numpy()
    return result.astype(object)


def _numbers(values: pa.ChunkedArray | pa.Array) -> Floats:
    numbers = pc.cast(values, pa.float64(), safe=False)
    result = np.array(
        numbers.to_numpy(zero_copy_only=False) if isinstance(numbers, pa.Array) else numbers.to_numpy()
    )
    result[~np.isfinite(result)] = np.nan
    return result


def _numbers_or_missing(table: pa.Table, name: str) -> Floats:
    numeric = name in table.column_names and (
        pa.types.is_floating(table.schema.field(name).type)
        or pa.types.is_integer(table.schema.field(name).type)
    )
    return _numbers(table[name]) if numeric else np.full(len(table), np.nan)
