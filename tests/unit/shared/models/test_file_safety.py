from __future__ import annotations

import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path

import onnx
import pytest
from onnx import GraphProto, NodeProto, TensorProto, helper

from shared.errors import UnservableModel
from shared.models.file_safety import check_model_file

SCORE = helper.make_tensor_value_info("score", TensorProto.FLOAT, [1])
CHOICE = helper.make_tensor_value_info("c", TensorProto.BOOL, [])


def tensor(name: str, *, outside: bool = False) -> TensorProto:
    made = helper.make_tensor(name, TensorProto.FLOAT, [1], [1.0])
    if outside:
        made.ClearField("float_data")
        made.data_location = TensorProto.EXTERNAL
        made.external_data.add(key="location", value="weights.bin")
    return made


def graph(
    nodes: Sequence[NodeProto], weights: Sequence[TensorProto] = (), *, branch: bool = False
) -> GraphProto:
    return helper.make_graph(list(nodes), "g", [] if branch else [CHOICE], [SCORE], list(weights))


def either(inner: GraphProto) -> NodeProto:
    """A node that holds a graph."""
    return helper.make_node("If", ["c"], ["score"], then_branch=inner, else_branch=inner)


def identity(domain: str = "", kind: str = "Identity") -> NodeProto:
    return helper.make_node(kind, ["w"], ["score"], domain=domain)


def constant(*, outside: bool = False) -> NodeProto:
    return helper.make_node("Constant", [], ["score"], value=tensor("inner", outside=outside))


def sparse_constant() -> NodeProto:
    indices = helper.make_tensor("indices", TensorProto.INT64, [1], [0])
    value = helper.make_sparse_tensor(tensor("values", outside=True), indices, [4])
    return helper.make_node("Constant", [], ["score"], sparse_value=value)


def written(content: GraphProto, *steps: NodeProto, domains: Sequence[str] = ()) -> bytes:
    """A model with that graph, and with a function of those steps."""
    functions = []
    if steps:
        functions.append(
            helper.make_function("ai.onnx.ml", "f", [], ["score"], list(steps), [helper.make_opsetid("", 17)])
        )
    opsets = [helper.make_opsetid(domain, 1) for domain in ("", *domains)]
    model = helper.make_model(content, opset_imports=opsets, functions=functions)
    raw: bytes = onnx.ModelProto.SerializeToString(model)
    return raw


PLAIN = graph([identity()], [tensor("w")])
FINE = {
    "weights inside": written(PLAIN),
    "a graph in a node": written(graph([either(graph([constant()], branch=True))])),
    "a function": written(PLAIN, constant()),
    "standard domains": written(graph([identity("ai.onnx.ml")], [tensor("w")]), domains=["ai.onnx.ml"]),
    "the tokenizer of onnxruntime": written(
        graph([either(graph([identity("com.microsoft", "Tokenizer")], [tensor("w")], branch=True))])
    ),
    "domains listed and not used": written(
        PLAIN, domains=["com.microsoft.nchwc", "ai.onnx.preview.training"]
    ),
}
ELSEWHERE = graph([identity()], [tensor("w", outside=True)], branch=True)
OUTSIDE = {
    "initializer": written(graph([identity()], [tensor("w", outside=True)])),
    "constant": written(graph([constant(outside=True)])),
    "sparse constant": written(graph([sparse_constant()])),
    "initializer of a graph in a node": written(graph([either(ELSEWHERE)])),
    "constant of a graph in a node": written(graph([either(graph([constant(outside=True)], branch=True))])),
    "constant of a function": written(PLAIN, constant(outside=True)),
    "initializer of a graph in a function": written(PLAIN, either(ELSEWHERE)),
}
STRANGE = {
    "operator": written(graph([identity("com.example")], [tensor("w")])),
    "operator of a graph in a node": written(
        graph([either(graph([identity("com.example")], [tensor("w")], branch=True))])
    ),
    "operator of a function": written(PLAIN, identity("com.example")),
    "operator of a graph in a function": written(
        PLAIN, either(graph([identity("com.example")], [tensor("w")], branch=True))
    ),
}


@pytest.mark.parametrize("raw", FINE.values(), ids=FINE.keys())
def test_standard_self_contained_model_passes(raw: bytes) -> None:
    check_model_file(raw)


@pytest.mark.parametrize("raw", OUTSIDE.values(), ids=OUTSIDE.keys())
def test_external_weights_are_refused_at_any_depth(raw: bytes) -> None:
    with pytest.raises(UnservableModel, match="keeps the weights '(w|inner|values)' in another file"):
        check_model_file(raw)


@pytest.mark.parametrize("raw", STRANGE.values(), ids=STRANGE.keys())
def test_custom_operators_are_refused_at_any_depth(raw: bytes) -> None:
    with pytest.raises(UnservableModel, match=r"uses operators of the domain 'com\.example'"):
        check_model_file(raw)


@pytest.mark.parametrize(
    "raw",
    [
        written(graph([identity("com.microsoft", "MurmurHash3")], [tensor("w")])),
        written(graph([identity("com.example", "Tokenizer")], [tensor("w")])),
    ],
)
def test_only_the_tokenizer_of_onnxruntime_is_allowed(raw: bytes) -> None:
    with pytest.raises(UnservableModel, match="uses operators of the domain"):
        check_model_file(raw)


@pytest.mark.parametrize(
    ("raw", "message"),
    [(b"\xff\xffno model", "model.onnx is not an ONNX model"), (b"", "model.onnx holds no graph")],
)
def test_invalid_model_bytes_are_refused(raw: bytes, message: str) -> None:
    with pytest.raises(UnservableModel) as caught:
        check_model_file(raw)
    assert caught.value.message == message


def test_only_the_format_of_onnx_is_imported(tmp_path: Path) -> None:
    """Every isolated process imports this module, and imports of onnx were a quarter of its start."""
    path = tmp_path / "model.onnx"
    path.write_bytes(helper.make_model(graph([identity()], [tensor("w")])).SerializeToString())
    code = (
        "import sys; from pathlib import Path; from shared.models.file_safety import check_model_file; "
        f"check_model_file(Path({str(path)!r}).read_bytes()); "
        "print(sorted(name for name in sys.modules if name.startswith('onnx')))"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout == "['onnx', 'onnx.onnx_ml_pb2']\n"
