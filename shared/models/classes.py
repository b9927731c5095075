"""Classes: from labels to places in the model's output and back, and the columns that hold an answer. Pure.

The lake and the reference hold labels as text; requests, replies and training data hold them as in `loop.yaml`.
"""

from __future__ import annotations

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.compute as pc

from shared.contracts.lake_schema import LABEL, SCORE, SCORES
from shared.contracts.loop_spec import Prediction
from shared.models.losses import UNKNOWN_CLASS, Floats, Scores


def label_of(prediction: Prediction, text: str) -> int | str:
    """A label as in `loop.yaml`, from its text; the text itself where the model has no such label.

    >>> label_of(Prediction(kind="classes", labels=(3, 5)), "5")
    5
    """
    return next((label for label in prediction.labels if str(label) == text), text)


def outcome_type(prediction: Prediction) -> pa.DataType:
    """Type of the column `outcome` in training data: a number, or the label."""
    if prediction.kind != "classes":
        return pa.float64()
    return pa.int64() if isinstance(prediction.labels[0], int) else pa.string()


def read_outcomes(prediction: Prediction, column: pa.ChunkedArray | pa.Array) -> Floats:
    """Outcomes as `row_losses` takes them: numbers, or indices of labels. NaN is a missing outcome.

    >>> read_outcomes(Prediction(kind="classes", labels=("cat", "dog")), pa.array(["dog", None, "bird"]))
    array([ 1., nan, -1.])
    """
    if prediction.kind != "classes":
        return np.asarray(column.to_numpy(), dtype=np.float64)
    texts = pc.cast(column, pa.string())
    places = pc.index_in(texts, value_set=pa.array(prediction.label_texts))
    known = pc.if_else(pc.is_valid(texts), pc.fill_null(pc.cast(places, pa.float64()), UNKNOWN_CLASS), np.nan)
    return np.asarray(known.to_numpy(), dtype=np.float64)


def read_scores(prediction: Prediction, rows: pa.Table) -> Scores:
    """Scores of answered rows as `row_losses` takes them: [N], or [N, K] for classes. NaN is a missing score."""
    if prediction.kind != "classes":
        return np.asarray(rows[SCORE].to_numpy(), dtype=np.float64)
    classes = len(prediction.labels)
    lists = rows[SCORES].combine_chunks()
    complete = pc.fill_null(pc.equal(pc.list_value_length(lists), classes), False)
    flat = np.asarray(pc.list_flatten(lists.filter(complete)).to_numpy(), dtype=np.float32).reshape(
        -1, classes
    )
    if len(flat) == len(lists):
        return flat
    scores = np.full((len(lists), classes), np.nan, np.float32)
    scores[complete.to_numpy(zero_copy_only=False)] = flat
    return scores


def answer_columns(prediction: Prediction, scores: Scores) -> dict[str, pa.Array]:
    """What the lake holds of an answer, for reference rows: `score`; of classes also `label` and `scores`."""
    if prediction.kind != "classes":
        return {SCORE: pa.array(scores, pa.float64())}
    best = scores.argmax(axis=1)
    return {
        LABEL: pa.array(prediction.label_texts).take(pa.array(best)),
        SCORE: pa.array(np.take_along_axis(scores, best[:, None], axis=1)[:, 0].astype(np.float64)),
        SCORES: list_column(scores),
    }


def list_column(matrix: npt.NDArray[np.float32] | Floats) -> pa.ListArray:
    """Rows of a matrix as lists of float32."""
    rows, width = matrix.shape
    offsets = np.arange(0, rows * width + 1, width, dtype=np.int32)
    flat = np.ascontiguousarray(matrix, np.float32).reshape(-1)
    return pa.ListArray.from_arrays(pa.array(offsets), pa.array(flat))
