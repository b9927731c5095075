"""The answer of a model with classes: the most probable label of each row, and probabilities within a limit of bytes. Pure."""

from __future__ import annotations

from typing import Any

import numpy as np
import numpy.typing as npt

from services.inference.models.labels import Labels

# A reply with every probability of a thousand classes would have 30 KB a row. The log holds them all.
MAX_SCORES = 20


def most_probable(output: npt.NDArray[Any]) -> tuple[npt.NDArray[np.intp], list[float]]:
    """The class of each row (of equal ones the first), and its probability."""
    best = output.argmax(axis=1)
    scores: list[float] = output[np.arange(len(output)), best].tolist()
    return best, scores


def scores_by_label(output: npt.NDArray[Any], labels: Labels) -> list[dict[str, float]]:
    """Per row the probabilities by label, in the order of the labels; of many labels the most probable, in descending order."""
    texts = labels.texts
    if len(texts) <= MAX_SCORES:
        return [dict(zip(texts, row, strict=True)) for row in output.tolist()]
    # Sorting all would take ten times as long, and other requests wait for it.
    first = np.sort(np.argpartition(output, -MAX_SCORES, axis=1)[:, -MAX_SCORES:], axis=1)
    # Of many equal probabilities any may be chosen, but the answer is among them.
    lacking = ~(first == output.argmax(axis=1)[:, None]).any(axis=1)
    first[lacking] = np.argsort(-output[lacking], axis=1, kind="stable")[:, :MAX_SCORES]
    kept = np.take_along_axis(output, first, axis=1)
    order = np.argsort(-kept, axis=1, kind="stable")
    indices, scores = (np.take_along_axis(array, order, axis=1).tolist() for array in (first, kept))
    return [
        {texts[index]: score for index, score in zip(*row, strict=True)}
        for row in zip(indices, scores, strict=True)
    ]
