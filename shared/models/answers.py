"""Answers and outcomes: from the columns that hold them to the arrays that losses are computed from, and back. Pure.

Of classes, the lake and the reference hold labels as text; requests, replies and training data hold them as in `loop.yaml`. Of
values, the lake holds an answer in the order of the version's names, and an outcome by name, since outcomes belong to no version.
"""

from __future__ import annotations

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.compute as pc

from shared.contracts.lake_schema import LABEL, SCORE, SCORES, VALUE, VALUES
from shared.contracts.outcome import numbers_of
from shared.contracts.prediction import Prediction
from shared.models.losses import UNKNOWN_CLASS, Floats, Scores


def label_of(prediction: Prediction, text: str) -> int | str:
    """A label as in `loop.yaml`, from its text; the text itself where the model has no such label.

    >>> label_of(Prediction(kind="classes", labels=(3, 5)), "5")
    5
    """
    return next((label for label in prediction.labels if str(label) == text), text)


def are_comparable(one: Prediction, other: Prediction) -> bool:
    """Whether losses of two versions on the same outcomes are of the same thing.

    Labels may differ: a version gives one that it lacks probability 0. Names may not, except in their order: the mean over other
    names is another loss.
    """
    kinds = ("classes", "values")
    if one.kind in kinds or other.kind in kinds:
        return one.kind == other.kind and set(one.names) == set(other.names)
    return one.has_loss and other.has_loss


def lake_columns(prediction: Prediction) -> tuple[str, ...]:
    """The columns of the lake and of a reference that hold an answer."""
    if prediction.kind == "classes":
        return (LABEL, SCORES)
    return (SCORES,) if prediction.width else (SCORE,)


def outcome_source(prediction: Prediction) -> str:
    """The column of the lake that holds an outcome."""
    return {"classes": LABEL, "values": VALUES}.get(prediction.kind, VALUE)


def outcome_type(prediction: Prediction) -> pa.DataType:
    """Type of the column `outcome` in training data: a number, the label, or a struct with a number for each name."""
    if prediction.kind == "values":
        return pa.struct([(name, pa.float64()) for name in prediction.names])
    if prediction.kind != "classes":
        return pa.float64()
    return pa.int64() if isinstance(prediction.labels[0], int) else pa.string()


def typed_outcomes(prediction: Prediction, column: pa.ChunkedArray) -> pa.ChunkedArray | pa.Array:
    """Outcomes of the lake or of a Parquet file in the type of training data. Raises ArrowInvalid, ArrowNotImplementedError.

    Of values they may be maps or structs, with the numbers in any order.
    """
    kind = outcome_type(prediction)
    if prediction.kind != "values":
        return pc.cast(column, kind)
    column = column.combine_chunks() if isinstance(column, pa.ChunkedArray) else column
    if not pa.types.is_map(column.type) and not pa.types.is_struct(column.type):
        raise pa.ArrowInvalid(f"{column.type} has no numbers by name")
    numbers = [pc.cast(numbers_of(name, column), pa.float64()) for name in prediction.names]
    return pa.StructArray.from_arrays(numbers, fields=list(kind), mask=pc.is_null(column))


def read_outcomes(prediction: Prediction, column: pa.ChunkedArray | pa.Array) -> Floats:
    """Outcomes as `row_losses` takes them: numbers, indices of labels, or a number per name, [N, K]. NaN is a missing outcome.

    >>> read_outcomes(Prediction(kind="classes", labels=("cat", "dog")), pa.array(["dog", None, "bird"]))
    array([ 1., nan, -1.])
    >>> read_outcomes(Prediction(kind="values", names=("low", "high")), pa.array([{"low": 1.0, "high": 2.0}, None]))
    array([[ 1.,  2.],
           [nan, nan]])
    """
    if prediction.kind == "values":
        return np.stack([_floats(numbers_of(name, column)) for name in prediction.names], axis=1)
    if prediction.kind != "classes":
        return np.asarray(column.to_numpy(), dtype=np.float64)
    texts = pc.cast(column, pa.string())
    classes = pc.index_in(texts, value_set=pa.array(prediction.label_texts))
    known = pc.if_else(
        pc.is_valid(texts), pc.fill_null(pc.cast(classes, pa.float64()), UNKNOWN_CLASS), np.nan
    )
    return np.asarray(known.to_numpy(), dtype=np.float64)


def read_scores(prediction: Prediction, rows: pa.Table) -> Scores:
    """Answers as `row_losses` takes them: [N], or float32 [N, K] of classes and values. NaN is a missing answer."""
    width = prediction.width
    if not width:
        return np.asarray(rows[SCORE].to_numpy(), dtype=np.float64)
    lists = rows[SCORES].combine_chunks()
    complete = pc.fill_null(pc.equal(pc.list_value_length(lists), width), False)
    flat = np.asarray(pc.list_flatten(lists.filter(complete)).to_numpy(), dtype=np.float32).reshape(-1, width)
    if len(flat) == len(lists):
        return flat
    scores = np.full((len(lists), width), np.nan, np.float32)
    scores[complete.to_numpy(zero_copy_only=False)] = flat
    return scores


def answer_columns(prediction: Prediction, scores: Scores) -> dict[str, pa.Array]:
    """What the lake holds of an answer, for reference rows: see `lake_columns`; of classes also `score`."""
    if prediction.kind == "classes":
        best = scores.argmax(axis=1)
        return {
            LABEL: pa.array(prediction.label_texts).take(pa.array(best)),
            SCORE: pa.array(np.take_along_axis(scores, best[:, None], axis=1)[:, 0].astype(np.float64)),
            SCORES: list_column(scores),
        }
    if prediction.width:
        return {SCORES: list_column(scores)}
    return {SCORE: pa.array(scores, pa.float64())}


def list_column(matrix: npt.NDArray[np.float32] | Floats) -> pa.ListArray:
    """Rows of a matrix as lists of float32."""
    rows, width = matrix.shape
    offsets = np.arange(0, rows * width + 1, width, dtype=np.int32)
    flat = np.ascontiguousarray(matrix, np.float32).reshape(-1)
    return pa.ListArray.from_arrays(pa.array(offsets), pa.array(flat))


def _floats(numbers: pa.ChunkedArray | pa.Array) -> Floats:
    known = pc.fill_null(pc.cast(numbers, pa.float64()), np.nan)
    return np.asarray(known.to_numpy(), dtype=np.float64)
