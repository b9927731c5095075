"""What may stand in a model file, checked on its bytes before any engine sees them. Pure."""

from __future__ import annotations

from collections.abc import Iterable, Iterator

import onnx
from onnx import AttributeProto, GraphProto, NodeProto, SparseTensorProto, TensorProto

from shared.errors import UnservableModel

_DOMAINS = frozenset({"", "ai.onnx", "ai.onnx.ml"})


def check_model_file(model: bytes) -> None:
    """Refuse anything that is not self-contained and standard. Raises UnservableModel.

    1. it is an ONNX model   2. every operator is of a standard domain   3. no tensor lies in another file
    """
    try:
        proto = onnx.load_model_from_string(model)
    except Exception as error:  # protobuf's own DecodeError, whichever implementation of it is installed
        raise UnservableModel("model.onnx is not an ONNX model", remedy="export the model again") from error
    if not proto.graph.node and not proto.graph.output:
        raise UnservableModel("model.onnx holds no graph", remedy="export the model again")
    strange = {item.domain for item in proto.opset_import} | {function.domain for function in proto.functions}
    graphs = [*_graphs(proto.graph)]
    strange |= {node.domain for graph in graphs for node in graph.node}
    strange |= {node.domain for function in proto.functions for node in _nodes(function.node)}
    strange -= _DOMAINS
    if strange:
        raise UnservableModel(
            f"model.onnx uses operators of the domain {sorted(strange)[0]!r}",
            remedy="only the standard domains (ai.onnx and ai.onnx.ml) are served; export without custom operators",
        )
    tensors = [
        *(tensor for graph in graphs for tensor in graph.initializer),
        *(tensor for graph in graphs for sparse in graph.sparse_initializer for tensor in _parts(sparse)),
        *(tensor for graph in graphs for node in graph.node for tensor in _node_tensors(node)),
        *(
            tensor
            for function in proto.functions
            for node in _nodes(function.node)
            for tensor in _node_tensors(node)
        ),
    ]
    for tensor in tensors:
        if tensor.data_location == TensorProto.EXTERNAL or tensor.external_data:
            raise UnservableModel(
                f"model.onnx keeps the tensor {tensor.name[:80]!r} in another file",
                remedy="export with all weights inside the file (external_data=False)",
            )


def _graphs(graph: GraphProto) -> Iterator[GraphProto]:
    yield graph
    for node in graph.node:
        for attribute in node.attribute:
            for inner in _subgraphs(attribute):
                yield from _graphs(inner)


def _nodes(nodes: Iterable[NodeProto]) -> Iterator[NodeProto]:
    for node in nodes:
        yield node
        for attribute in node.attribute:
            for inner in _subgraphs(attribute):
                for graph in _graphs(inner):
                    yield from graph.node


def _subgraphs(attribute: AttributeProto) -> Iterator[GraphProto]:
    if attribute.HasField("g"):
        yield attribute.g
    yield from attribute.graphs


def _node_tensors(node: NodeProto) -> Iterator[TensorProto]:
    for attribute in node.attribute:
        if attribute.HasField("t"):
            yield attribute.t
        yield from attribute.tensors
        if attribute.HasField("sparse_tensor"):
            yield from _parts(attribute.sparse_tensor)
        for sparse in attribute.sparse_tensors:
            yield from _parts(sparse)


def _parts(sparse: SparseTensorProto) -> tuple[TensorProto, TensorProto]:
    return sparse.values, sparse.indices
