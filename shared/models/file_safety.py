"""Safety checks on the bytes of an ONNX file, made before any runtime loads it. Pure."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from typing import TYPE_CHECKING

from shared.deferred_package import defer_package
from shared.errors import UnservableModel

if TYPE_CHECKING:
    from onnx import GraphProto, NodeProto, SparseTensorProto, TensorProto

_DOMAINS = frozenset({"", "ai.onnx", "ai.onnx.ml"})
# Part of every build of onnxruntime, no library of its own: the ADR on text says why this one, and no other, is served.
_BUILT_IN = frozenset({("com.microsoft", "Tokenizer")})


def check_model_file(model: bytes) -> None:
    """Refuse a model that is not self-contained or not standard. Raises UnservableModel.

    1. it is an ONNX model   2. every operator is in a standard domain, or is Tokenizer of onnxruntime
    3. no tensor is in another file
    Domains that the file lists without using them are harmless: onnxruntime lists its own in models it saves.
    """
    # The format alone: the rest of onnx takes a quarter of the CPU time that an isolated process needs to start.
    defer_package("onnx")
    from onnx.onnx_ml_pb2 import ModelProto, TensorProto

    try:
        proto = ModelProto.FromString(model)
    except Exception as error:  # protobuf's own DecodeError, whichever implementation of it is installed
        raise UnservableModel("model.onnx is not an ONNX model", hint="export the model again") from error
    if not proto.graph.node and not proto.graph.output:
        raise UnservableModel("model.onnx holds no graph", hint="export the model again")
    steps = [node for function in proto.functions for node in function.node]
    graphs = [*_graphs(proto.graph), *_subgraphs(steps)]
    nodes = [*steps, *(node for graph in graphs for node in graph.node)]
    used = {(node.domain, node.op_type) for node in nodes if (node.domain, node.op_type) not in _BUILT_IN}
    used |= {(function.domain, function.name) for function in proto.functions}
    if unknown := sorted(one for one in used if one[0] not in _DOMAINS):
        raise UnservableModel(
            f"model.onnx uses operators of the domain {unknown[0][0]!r}: {unknown[0][1]}",
            hint="only the standard domains (ai.onnx and ai.onnx.ml) are served; export without custom operators",
        )
    for tensor in (*_weights(graphs), *_constants(nodes)):
        if tensor.data_location == TensorProto.EXTERNAL or tensor.external_data:
            raise UnservableModel(
                f"model.onnx keeps the weights {tensor.name[:80]!r} in another file",
                hint="export with all weights inside the file (external_data=False)",
            )


def _graphs(graph: GraphProto) -> Iterator[GraphProto]:
    yield graph
    yield from _subgraphs(graph.node)


def _subgraphs(nodes: Iterable[NodeProto]) -> Iterator[GraphProto]:
    """Subgraphs of nodes such as If and Loop, at any depth."""
    for node in nodes:
        for attribute in node.attribute:
            if attribute.HasField("g"):
                yield from _graphs(attribute.g)
            for graph in attribute.graphs:
                yield from _graphs(graph)


def _weights(graphs: Iterable[GraphProto]) -> Iterator[TensorProto]:
    for graph in graphs:
        yield from graph.initializer
        for sparse in graph.sparse_initializer:
            yield from _tensors(sparse)


def _constants(nodes: Iterable[NodeProto]) -> Iterator[TensorProto]:
    for node in nodes:
        for attribute in node.attribute:
            if attribute.HasField("t"):
                yield attribute.t
            yield from attribute.tensors
            if attribute.HasField("sparse_tensor"):
                yield from _tensors(attribute.sparse_tensor)
            for sparse in attribute.sparse_tensors:
                yield from _tensors(sparse)


def _tensors(sparse: SparseTensorProto) -> tuple[TensorProto, TensorProto]:
    return sparse.values, sparse.indices
