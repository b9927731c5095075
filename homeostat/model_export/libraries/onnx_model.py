"""Any ONNX model: one matrix of columns, or one input per column; its scores are one of its outputs."""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterator, Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
import onnx
import pandas as pd
from onnx import TensorProto

from homeostat.model_export.checks.text_locale import locale_warnings
from homeostat.model_export.columns import Column, is_time, to_micros
from homeostat.model_export.libraries.class_outputs import (
    choose_output,
    class_output,
    classifier_in_file,
    labels_in_file,
    softmax,
)
from homeostat.model_export.libraries.input_checks import (
    refuse_fixed_rows,
    refuse_missing,
    refuse_nan,
    refuse_texts,
    refuse_times,
    require_inputs,
)
from homeostat.model_export.named_graph import Graph, second_column, without_zipmap
from homeostat.model_export.prediction_kind import (
    Floats,
    PredictionKind,
    kind_of_scores,
    of_classes,
    of_embedding,
    of_values,
)
from homeostat.model_export.probabilities import clip_notes, exceed
from homeostat.model_export.source_model import Converted
from homeostat.model_export.tensors import is_tensor_column, tensor_values
from homeostat.model_export.trees.tree_model import names_or_candidates
from shared.errors import ExportRefused
from shared.models.runners.onnx_engine import open_session

_TYPES: dict[int, Any] = {
    TensorProto.FLOAT: np.float32,
    TensorProto.DOUBLE: np.float64,
    TensorProto.INT64: np.int64,
    TensorProto.INT32: np.int32,
    TensorProto.BOOL: np.bool_,
    TensorProto.STRING: np.object_,
}


@dataclass(frozen=True)
class OnnxSource:
    """An ONNX model as it was given.

    `place`: the column of its output that is the score; None if the output is the score, or has a probability of each of several
    classes. `logits`: whether a softmax over the columns is still to come. `clipped`: whether probabilities may exceed 0 and 1 by
    rounding, which the model contract does not allow.
    """

    library: str
    kind: PredictionKind
    classes: Sequence[Any]
    model: onnx.ModelProto
    output: str
    place: int | None
    run: Callable[[Sequence[Any]], Any]
    names: Sequence[str] = ()
    logits: bool = False
    clipped: bool = False
    notes: Sequence[str] = ()
    warnings: Sequence[str] = ()

    def column_names(self, rows: pd.DataFrame, candidates: Sequence[str]) -> Sequence[str]:
        """Its inputs' names, where it has one input per column; else the candidates, if they are as many."""
        inputs = self.model.graph.input
        if len(inputs) > 1:
            return list(self.names) or [one.name for one in inputs]
        if any(is_tensor_column(rows[name]) for name in candidates if name in rows):
            return names_or_candidates((), 1, candidates)
        width = _width(inputs[0])
        return names_or_candidates((), len(candidates) if width is None else width, candidates)

    def text_columns(self, names: Sequence[str]) -> Collection[str]:
        """None: a string input of an ONNX model is taken as a category."""
        return ()

    def listed_columns(self, names: Sequence[str]) -> Collection[str]:
        """None: its own nodes are served."""
        return ()

    def score(self, rows: pd.DataFrame) -> Floats:
        """The scores of the model as it was given, after a softmax where it is still to come."""
        scores = np.asarray(self.run(feeds(self.model, rows)), dtype=np.float64)
        if self.logits:
            scores = softmax(scores)
        if self.kind.name == "classes":
            return scores.reshape(len(rows), len(self.kind.labels))
        if width := len(self.kind.names) or self.kind.size:
            return scores.reshape(len(rows), width)
        if self.place is not None:
            scores = scores.reshape(len(rows), -1)[:, self.place]
        if scores.size != len(rows):
            raise ExportRefused(
                f"the model returns shape {list(scores.shape)} for {len(rows)} rows",
                hint="name an output with one score per row, or one per class, with output=",
            )
        return scores.reshape(len(rows))

    def conversions(self, columns: Sequence[Column], rows: pd.DataFrame) -> Iterator[Converted]:
        """The model behind one input per feature."""
        graph = Graph(columns)
        inputs = self.model.graph.input
        if len(inputs) == 1:
            connected = {inputs[0].name: graph.matrix(columns, _element(inputs[0]))}
        else:
            pairs = zip(inputs, columns, strict=True)
            connected = {one.name: _single(graph, column, one) for one, column in pairs}
        scores = graph.include(self.model, connected, self.output)
        if self.logits:
            scores = graph.node("Softmax", [scores], axis=1)
        if self.clipped:
            scores = graph.between_0_and_1(scores)
        if self.place is not None:
            scores = second_column(graph, scores, self.place)
        values = len(self.kind.names) or self.kind.size
        yield graph.finish(scores, classes=len(self.kind.labels), values=values)


def onnx_model(
    given: onnx.ModelProto, rows: pd.DataFrame, outcomes: pd.Series[Any] | None, *, options: dict[str, Any]
) -> OnnxSource:
    """The model in a file. `options`: `output`, `kind` and `positive` of the export."""
    model = without_zipmap(given)
    weights = {one.name for one in model.graph.initializer}
    kept = [one for one in model.graph.input if one.name not in weights]
    del model.graph.input[:]
    model.graph.input.extend(kept)
    refuse_fixed_rows(kept)
    probability = options.get("kind") not in ("value", "embedding") and not options.get("names")
    output, output_notes = choose_output(model, options.get("output") or "", probability=probability)
    _element(output)
    session = open_session(model.SerializeToString(), threads=0)

    def run(tensors: Sequence[Any]) -> Any:
        return session.run([output.name], dict(zip((one.name for one in kept), tensors, strict=True)))[0]

    source = OnnxSource(
        "ONNX",
        of_classes((0, 1)),
        (),
        model,
        output.name,
        None,
        run,
        notes=output_notes,
        warnings=locale_warnings(given),
    )
    known = labels_in_file(given)
    classifier = classifier_in_file(given, output.name)
    return with_kind(source, rows, outcomes, options=options, known=known, classifier=classifier)


def with_kind(
    source: OnnxSource,
    rows: pd.DataFrame,
    outcomes: pd.Series[Any] | None,
    *,
    options: dict[str, Any],
    known: Sequence[Any] = (),
    classifier: str = "",
) -> OnnxSource:
    """The model with the kind of prediction that its scores of the rows show.

    `known`: labels of classes in the file; `classifier`: what the file says that the output is of, see `classifier_in_file`.
    """
    inputs = source.model.graph.input
    if len(inputs) == 1 and _element(inputs[0]) != TensorProto.STRING:
        refuse_texts(rows, "the model")
    taken = list(source.column_names(rows, list(rows.columns)))
    require_inputs(taken, rows)
    given = rows[taken]
    scores = np.asarray(source.run(feeds(source.model, given)), dtype=np.float64)
    refuse_nan(scores, given)
    if names := options.get("names"):
        if scores.shape != (len(rows), len(names)):
            raise ExportRefused(
                f"the outcomes are {', '.join(names)}, and the model returns shape {list(scores.shape)} for {len(rows)} rows",
                hint="return one number per outcome, [N, values], in the order of the outcomes",
            )
        return replace(source, kind=of_values(names), classes=())
    if options.get("kind") == "embedding":
        return replace(source, kind=of_embedding(scores.shape, len(rows), outcomes), classes=())
    one_per_class = scores.ndim == 2 and len(scores) == len(rows) and scores.shape[1] > 1
    if one_per_class and options.get("kind") != "value":
        output = class_output(
            scores, outcomes, named=options.get("labels"), known=known, classifier=classifier
        )
        kind = of_classes(output.labels, positive=options.get("positive"))
        place = output.labels.index(kind.positive) if kind.name == "probability" else None
        clipped = not output.logits and (bool(classifier) or exceed(scores))
        return replace(
            source,
            kind=kind,
            classes=output.labels,
            place=place,
            logits=output.logits,
            clipped=clipped,
            notes=(*source.notes, *output.notes, *(clip_notes(scores) if clipped else ())),
        )
    if options.get("labels") is not None:
        raise ExportRefused(
            f"labels= is given, and the model returns shape {list(scores.shape)} for {len(rows)} rows",
            hint="return one number per class, [N, classes]; of two classes one probability will do, without labels=",
        )
    kind = kind_of_scores(
        source.score(given), outcomes, kind=options.get("kind") or "", sigmoid=_sigmoid_hint(source)
    )
    if kind.name != "probability":
        return replace(source, kind=kind, classes=())
    clipped = bool(classifier) or exceed(scores)
    return replace(
        source, kind=kind, classes=(0, 1), clipped=clipped, notes=(*source.notes, *clip_notes(scores))
    )


def _sigmoid_hint(source: OnnxSource) -> str:
    """How a sigmoid is added to the model, in a line that can be copied."""
    if source.library == "torch" and len(source.model.graph.input) == 1:
        return "export torch.nn.Sequential(model, torch.nn.Sigmoid())"
    if source.library == "torch":
        return "return torch.sigmoid(logit) from forward()"
    place = [one.name for one in source.model.graph.output].index(source.output)
    return (
        f"add one to the file: model.graph.node.append(onnx.helper.make_node('Sigmoid', ['{source.output}'], "
        f"['probability'])); model.graph.output[{place}].name = 'probability'"
    )


def feeds(model: onnx.ModelProto, rows: pd.DataFrame) -> list[Any]:
    """Rows as the model's inputs: one matrix, or one tensor per column."""
    inputs = model.graph.input
    if len(inputs) == 1 and not (len(rows.columns) == 1 and is_tensor_column(rows.iloc[:, 0])):
        refuse_times(rows)
        kind = np.dtype(_TYPES[_element(inputs[0])])
        refuse_missing(rows, kind)
        return [rows.to_numpy(dtype=kind)]
    return [_feed(rows[column], one) for one, column in zip(inputs, rows.columns, strict=True)]


def _feed(values: pd.Series[Any], wanted: onnx.ValueInfoProto) -> Any:
    if is_tensor_column(values):
        return tensor_values(values).astype(_TYPES[_element(wanted)])
    return _values(values, wanted).reshape([-1] + [1] * (_rank(wanted) - 1))


def _values(values: pd.Series[Any], wanted: onnx.ValueInfoProto) -> Any:
    if not is_time(values):
        kind = np.dtype(_TYPES[_element(wanted)])
        refuse_missing(values.to_frame(), kind)
        if kind != np.object_:
            refuse_texts(values.to_frame(), f"the model's input {wanted.name}")
        return values.to_numpy(dtype=kind)
    if _element(wanted) != TensorProto.INT64:
        raise ExportRefused(
            f"the column {str(values.name)!r} holds times, and the model's input {wanted.name} is not int64",
            hint="take an int64 tensor: microseconds since 1970-01-01T00:00:00Z",
        )
    return to_micros(values)


def _single(graph: Graph, column: Column, wanted: onnx.ValueInfoProto) -> str:
    tensor = graph.matrix([column], _element(wanted))
    if _rank(wanted) == 1 and not column.feature.shape:
        return graph.node("Reshape", [tensor, graph.constant(np.array([-1], dtype=np.int64), "flat")])
    return tensor


def _element(value: onnx.ValueInfoProto) -> int:
    element = int(value.type.tensor_type.elem_type)
    if element not in _TYPES:
        raise ExportRefused(
            f"{value.name} of the model is a tensor of {TensorProto.DataType.Name(element)}",
            hint="export it with float, double, int64, int32, bool or string tensors",
        )
    return element


def _rank(value: onnx.ValueInfoProto) -> int:
    return len(value.type.tensor_type.shape.dim)


def _width(value: onnx.ValueInfoProto) -> int | None:
    sizes = value.type.tensor_type.shape.dim
    return int(sizes[1].dim_value) or None if len(sizes) == 2 else None
