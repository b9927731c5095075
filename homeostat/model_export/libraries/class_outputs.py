"""Classes of a torch module or an ONNX file, whose output has one number per class and often no names of them. Pure."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import onnx
import pandas as pd

from homeostat.model_export.prediction_kind import Floats
from shared.errors import ExportRefused
from shared.models.contract import SUM_TOLERANCE


@dataclass(frozen=True)
class ClassOutput:
    """The labels of an output [N, classes] in its order, and whether it holds logits. `notes`: lines of the report."""

    labels: tuple[Any, ...]
    logits: bool
    notes: tuple[str, ...]


def class_output(
    scores: Floats, outcomes: pd.Series[Any] | None, *, named: Sequence[Any] | None, known: Sequence[Any] = ()
) -> ClassOutput:
    """What an output [N, classes] of the rows means.

    `named`: labels that the caller gives; `known`: those in the file. Raises ExportRefused if labels cannot be told, and for
    numbers that are neither probabilities of one label nor logits.
    """
    width = scores.shape[1]
    logits = _are_logits(scores)
    notes = ["the rows of the output do not sum to 1, so a softmax was added"] if logits else []
    if named is not None:
        labels = tuple(map(_plain, named))
        if len(labels) != width or len(set(labels)) != width:
            raise ExportRefused(
                f"labels= names {len(set(labels))} different classes, and the model returns {width} numbers per row",
                hint="give one label per number, in the order of the model's output",
            )
        return ClassOutput(labels, logits, tuple(notes))
    if len(known) == width:
        return ClassOutput(tuple(known), logits, tuple(notes))
    labels, order = _from_outcomes(width, outcomes)
    return ClassOutput(labels, logits, (f"labels in the order of the output: {order}", *notes))


def softmax(scores: Floats) -> Floats:
    """Probabilities of logits, row by row."""
    powers = np.exp(scores - scores.max(axis=1, keepdims=True))
    return np.asarray(powers / powers.sum(axis=1, keepdims=True))


def labels_in_file(model: onnx.ModelProto) -> tuple[Any, ...]:
    """The class labels that an operator of the file has, such as ZipMap or TreeEnsembleClassifier; empty if none has some."""
    for node in reversed(model.graph.node):
        for attribute in node.attribute:
            if attribute.name.startswith("classlabels_") and (attribute.strings or attribute.ints):
                return tuple(one.decode() for one in attribute.strings) or tuple(attribute.ints)
    return ()


def _are_logits(scores: Floats) -> bool:
    """Whether rows do not sum to 1. Raises ExportRefused for rows of several independent probabilities."""
    between = bool(((scores >= 0) & (scores <= 1)).all())
    if between and bool((np.abs(scores.sum(axis=1) - 1) <= SUM_TOLERANCE).all()):
        return False
    if between:
        raise ExportRefused(
            "the model returns numbers between 0 and 1 that do not sum to 1: several labels per row",
            hint="end it with a softmax over the classes (axis 1), or export one model per label",
        )
    return True


def _from_outcomes(width: int, outcomes: pd.Series[Any] | None) -> tuple[tuple[Any, ...], str]:
    values = set() if outcomes is None else set(map(_plain, outcomes.dropna().unique()))
    whole = {int(one) for one in values if isinstance(one, int | float) and float(one).is_integer()}
    if values and len(whole) == len(values) and whole <= set(range(width)):
        return tuple(range(width)), f"0 to {width - 1}, as the outcomes are"
    texts = sorted(one for one in values if isinstance(one, str))
    found: list[Any] = texts if len(texts) == len(values) else sorted(whole)
    if len(found) == len(values) == width:
        return tuple(found), f"{', '.join(map(str, found))} (the outcomes, sorted)"
    raise ExportRefused(
        f"the model returns {width} numbers per row, and the rows have {len(values)} different outcomes",
        hint="name the classes in the order of the output: export(..., labels=['cat', 'dog', 'bird'])",
    )


def _plain(value: Any) -> Any:
    return value.item() if isinstance(value, np.generic) else value
