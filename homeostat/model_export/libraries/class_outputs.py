"""Which output of an ONNX file is served, and the classes of one with a number per class, often without names. Pure."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import onnx
import pandas as pd
from onnx import TensorProto

from homeostat.model_export.prediction_kind import Floats, plain
from homeostat.model_export.probabilities import are_probabilities, describe, rows_sum_to_one
from shared.errors import ExportRefused

CLASSIFIERS = frozenset({"TreeEnsembleClassifier", "LinearClassifier", "SVMClassifier", "ZipMap"})
_NAMES = frozenset({"probabilities", "probability", "output_probability"})
# A product with weights makes other numbers of a classifier's probabilities, as in a stack of models.
_LAYERS = frozenset({"Gemm", "MatMul", "Conv", "LinearRegressor", "TreeEnsembleRegressor", "SVMRegressor"})
_SHOWN = 3


@dataclass(frozen=True)
class ClassOutput:
    """The labels of an output [N, classes] in its order, and whether it holds logits. `notes`: lines of the report."""

    labels: tuple[Any, ...]
    logits: bool
    notes: tuple[str, ...]


def class_output(
    scores: Floats,
    outcomes: pd.Series[Any] | None,
    *,
    named: Sequence[Any] | None,
    known: Sequence[Any] = (),
    classifier: str = "",
) -> ClassOutput:
    """What an output [N, classes] of the rows means.

    `named`: labels that the caller gives; `known`: those in the file. `classifier`: what the file says that the output is of,
    see `classifier_in_file`; such an output gets no softmax. Raises ExportRefused if labels are not known, and for numbers that
    are neither probabilities of one label nor logits.
    """
    width = scores.shape[1]
    logits = _are_logits(scores, classifier)
    notes = [_softmax_note(scores)] if logits else []
    if named is not None:
        labels = tuple(map(plain, named))
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


def choose_output(
    model: onnx.ModelProto, name: str, *, probability: bool
) -> tuple[onnx.ValueInfoProto, tuple[str, ...]]:
    """The output that is served: `name`, else the only one of floats, else the only one that is called a probability.

    `probability`: whether it may be one. With it a line of the report, if there were others to choose from. Raises ExportRefused
    if nothing says which.
    """
    outputs: dict[str, onnx.ValueInfoProto] = {one.name: one for one in model.graph.output}
    floats = [
        one
        for one, value in outputs.items()
        if value.type.tensor_type.elem_type in (TensorProto.FLOAT, TensorProto.DOUBLE)
    ]
    if name and name not in outputs:
        raise ExportRefused(f"the model has no output {name!r}", hint=f"its outputs are {', '.join(outputs)}")
    if not name and not floats:
        raise ExportRefused(
            "the model has no output of scores",
            hint="export it with probabilities or values, float or double, not with labels only",
        )
    named = [name] if name else floats
    if len(named) > 1:
        named = [one for one in floats if probability and one.lower() in _NAMES]
    if len(named) != 1:
        raise ExportRefused(
            f"the model has several outputs that may be its scores: {', '.join(map(repr, floats))}",
            hint=f"name the one to serve, in Python: export(..., output={floats[0]!r})",
        )
    [chosen] = named
    others = ", ".join(repr(one) for one in floats if one != chosen)
    return outputs[chosen], (f"the output {chosen!r} is served, and not {others}",) if others else ()


def labels_in_file(model: onnx.ModelProto) -> tuple[Any, ...]:
    """The class labels that an operator of the file has, such as ZipMap or TreeEnsembleClassifier; empty if none has some."""
    for node in reversed(model.graph.node):
        for attribute in node.attribute:
            if attribute.name.startswith("classlabels_") and (attribute.strings or attribute.ints):
                return tuple(one.decode() for one in attribute.strings) or tuple(attribute.ints)
    return ()


def classifier_in_file(model: onnx.ModelProto, output: str) -> str:
    """The operator of a converted classifier that `output` comes from, or the output's own name if it says probabilities.

    Empty if neither is so: then the numbers may be logits.
    """
    makers = {name: node for node in model.graph.node for name in node.output}
    waiting, seen = [output], {output}
    while waiting:
        node = makers.get(waiting.pop())
        if node is None or node.op_type in _LAYERS:
            continue
        if node.op_type in CLASSIFIERS:
            return str(node.op_type)
        waiting += [name for name in node.input if name not in seen]
        seen.update(node.input)
    return f"output {output!r}" if output.lower() in _NAMES else ""


def _are_logits(scores: Floats, classifier: str) -> bool:
    """Whether a softmax is to come. Raises ExportRefused for what is neither logits nor probabilities of one label."""
    between, one = are_probabilities(scores), rows_sum_to_one(scores)
    if between and one:
        return False
    if between:
        raise ExportRefused(
            f"the model returns numbers between 0 and 1 that do not sum to 1: several labels per row ({describe(scores)})",
            hint="end it with a softmax over the classes (axis 1), or export one model per label",
        )
    if one or classifier:
        raise ExportRefused(
            f"{f'the {classifier} of the model' if classifier else 'the model'} does not return probabilities: "
            f"{describe(scores)}",
            hint="convert it with probabilities: without raw_scores; calibrate a classifier that has no predict_proba, such as "
            "LinearSVC, with CalibratedClassifierCV; end a network with a softmax over the classes (axis 1)",
        )
    return True


def _softmax_note(scores: Floats) -> str:
    first = scores[:1]
    shown = [", ".join(f"{number:.3g}" for number in row[0, :_SHOWN]) for row in (first, softmax(first))]
    more = ", …" if scores.shape[1] > _SHOWN else ""
    return f"{describe(scores)}, so a softmax was added: row 0 is {shown[0]}{more} and is served as {shown[1]}{more}"


def _from_outcomes(width: int, outcomes: pd.Series[Any] | None) -> tuple[tuple[Any, ...], str]:
    values = set() if outcomes is None else set(map(plain, outcomes.dropna().unique()))
    whole = {int(one) for one in values if isinstance(one, int | float) and float(one).is_integer()}
    if values and len(whole) == len(values) and whole <= set(range(width)):
        return tuple(range(width)), f"0 to {width - 1}, like the outcomes"
    texts = sorted(one for one in values if isinstance(one, str))
    found: list[Any] = texts if len(texts) == len(values) else sorted(whole)
    if len(found) == len(values) == width:
        return tuple(found), f"{', '.join(map(str, found))} (the outcomes, sorted)"
    raise ExportRefused(
        f"the model returns {width} numbers per row, and the rows have {len(values)} different outcomes",
        hint="name the classes in the order of the output: export(..., labels=['cat', 'dog', 'bird']); if the numbers are an "
        "embedding, pass kind='embedding'",
    )
