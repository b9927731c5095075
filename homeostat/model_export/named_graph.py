"""Gives a converted model the shape that is served: one named input per feature, one output with a score or probabilities."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import onnx
from onnx import TensorProto, compose, helper, numpy_helper

from homeostat.model_export.columns import Column
from shared.errors import ExportRefused

SCORE = "score"
PROBABILITIES = "probabilities"
SCORES = "scores"  # of several values
OPSETS = {"": 17, "ai.onnx.ml": 3}
IR_VERSION = 9
_CLIP_INPUTS = 11  # the operator set since which the bounds of Clip are inputs
_ELEMENTS = {
    "number": TensorProto.FLOAT,
    "integer": TensorProto.INT64,
    "boolean": TensorProto.BOOL,
    "category": TensorProto.STRING,
    "text": TensorProto.STRING,
    "timestamp": TensorProto.INT64,
    "tensor": TensorProto.FLOAT,
}


def input_element(column: Column) -> int:
    """The element type in which a feature is served. A nullable integer is a float, since int64 has no value for missing."""
    if column.feature.type == "integer" and column.feature.nullable:
        return TensorProto.FLOAT
    return _ELEMENTS[column.feature.type]


class Graph:
    """Nodes, constants and inputs of a graph under construction; names are made unique."""

    def __init__(self, columns: Sequence[Column]) -> None:
        self._nodes: list[onnx.NodeProto] = []
        self._constants: list[onnx.TensorProto] = []
        self._taken = {column.name for column in columns}
        self.inputs = [
            helper.make_tensor_value_info(
                column.name, input_element(column), ["rows", *(column.feature.shape or (1,))]
            )
            for column in columns
        ]

    def node(
        self, kind: str, given: Sequence[str], *, name: str = "", domain: str = "", **attributes: Any
    ) -> str:
        """Add a node with one output; returns the output's name."""
        result = self._unique(name or kind.lower())
        self._nodes.append(helper.make_node(kind, list(given), [result], domain=domain, **attributes))
        return result

    def constant(self, value: Any, name: str = "constant") -> str:
        """Add a constant; returns its name."""
        chosen = self._unique(name)
        self._constants.append(numpy_helper.from_array(np.asarray(value), chosen))
        return chosen

    def matrix(self, columns: Sequence[Column], element: int) -> str:
        """The columns side by side, [N, columns], each cast to `element`; a single column as it is."""
        parts = []
        for column in columns:
            same = input_element(column) == element
            parts.append(column.name if same else self.node("Cast", [column.name], to=element))
        return parts[0] if len(parts) == 1 else self.node("Concat", parts, axis=1)

    def between_0_and_1(self, probabilities: str) -> str:
        """The tensor with its numbers clipped to [0, 1], written for the operator set of the included model."""
        floats = self.node("Cast", [probabilities], to=TensorProto.FLOAT)
        if self._opsets.get("", OPSETS[""]) < _CLIP_INPUTS:
            return self.node("Clip", [floats], min=0.0, max=1.0)
        bounds = [self.constant(np.float32(bound), name) for bound, name in ((0, "lowest"), (1, "highest"))]
        return self.node("Clip", [floats, *bounds])

    @property
    def opsets(self) -> Mapping[str, int]:
        """The versions of the operator sets so far: nodes of another version may not be added."""
        return self._opsets

    def finish(self, scores: str, *, classes: int = 0, values: int = 0) -> onnx.ModelProto:
        """The model; `scores` is the tensor with one number per row, [N] or [N, 1], or one per class or value, [N, K]."""
        width = classes or values
        name = SCORES if values else PROBABILITIES if classes else SCORE
        shape = [-1, width] if width else [-1]
        shaped = self.node("Reshape", [scores, self.constant(np.array(shape, dtype=np.int64), "shape")])
        self._nodes.append(helper.make_node("Cast", [shaped], [name], to=TensorProto.FLOAT))
        output = helper.make_tensor_value_info(name, TensorProto.FLOAT, ["rows", *([width] if width else [])])
        graph = helper.make_graph(self._nodes, "exported", self.inputs, [output], self._constants)
        opsets = [helper.make_opsetid(domain, version) for domain, version in self._opsets.items()]
        model = helper.make_model(graph, opset_imports=opsets, ir_version=self._ir_version)
        model.functions.extend(self._functions)
        onnx.checker.check_model(model)
        return model

    def include(
        self,
        inner: onnx.ModelProto,
        feeds: Mapping[str, str],
        output: str,
        *,
        opsets: Mapping[str, int] | None = None,
    ) -> str:
        """Add the nodes of `inner`, its inputs connected to `feeds`; returns the name of its output.

        `opsets`: the versions of its nodes, whatever lower ones it declares.
        """
        self._included += 1
        prefix = "model/" if self._included == 1 else f"model_{self._included}/"
        prefixed = compose.add_prefix(inner, prefix)
        declared = {item.domain: item.version for item in inner.opset_import}
        chosen = dict(declared if opsets is None else opsets)
        if self._included > 1:
            # Two parts share one version: the newer one, in which our own nodes mean the same.
            chosen = {domain: max(version, self._opsets.get(domain, 0)) for domain, version in chosen.items()}
        self._ir_version = max(inner.ir_version, self._ir_version if self._included > 1 else 0)
        self._opsets = {**self._opsets, **chosen}
        self._functions = [*self._functions, *prefixed.functions]
        for name, tensor in feeds.items():
            self._nodes.append(helper.make_node("Identity", [tensor], [prefix + name]))
        self._nodes.extend(prefixed.graph.node)
        self._constants.extend(prefixed.graph.initializer)
        return prefix + output

    _opsets: Mapping[str, int] = OPSETS
    _ir_version: int = IR_VERSION
    _functions: Sequence[onnx.FunctionProto] = ()
    _included: int = 0

    def _unique(self, name: str) -> str:
        chosen, number = name, 1
        while chosen in self._taken or chosen in (SCORE, SCORES, PROBABILITIES):
            number += 1
            chosen = f"{name}_{number}"
        self._taken.add(chosen)
        return chosen


def converted_scores(model: onnx.ModelProto) -> str:
    """The tensor of scores of a model that a `Graph` finished, before it is rounded to float32."""
    return str(model.graph.node[-1].input[0])


def second_column(graph: Graph, probabilities: str, place: int) -> str:
    """One column of a matrix [N, classes], as [N]."""
    return graph.node(
        "Gather", [probabilities, graph.constant(np.array(place, dtype=np.int64), "place")], axis=1
    )


def without_zipmap(model: onnx.ModelProto) -> onnx.ModelProto:
    """The model with its probabilities as a matrix, where the exporter wrapped them in a sequence of maps."""
    copy = onnx.ModelProto()
    copy.CopyFrom(model)
    maps = {node.output[0]: node for node in copy.graph.node if node.op_type == "ZipMap"}
    for output in copy.graph.output:
        if output.name in maps:
            node = maps[output.name]
            labels = next(one for one in node.attribute if one.name.startswith("classlabels_"))
            width = len(labels.ints) or len(labels.strings)
            matrix = helper.make_tensor_value_info(node.input[0], TensorProto.FLOAT, ["rows", width])
            output.CopyFrom(matrix)
            copy.graph.node.remove(node)
    if any(output.type.WhichOneof("value") != "tensor_type" for output in copy.graph.output):
        raise ExportRefused(
            "an output of the ONNX model is not a tensor",
            hint="export it without ZipMap, with a tensor per output",
        )
    return copy
