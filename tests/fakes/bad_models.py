"""Model files with one fault each, which neither file nor signature shows: what a server must survive.

All take the inputs of `toy_model` and declare its output. Only standard operators are used.
"""

from __future__ import annotations

import itertools
from typing import Any

import onnx
from onnx import NodeProto, TensorProto, helper

_INPUTS = {
    "amount": TensorProto.FLOAT,
    "count": TensorProto.INT64,
    "member": TensorProto.BOOL,
    "colour": TensorProto.STRING,
}
_SMALLEST = -(1 << 63)
_SIDE = 1000


def crashing_at_load() -> bytes:
    """The smallest integer divided by -1: the processor raises SIGFPE, here while onnxruntime folds constants."""
    return _model([_node("Div", "smallest minus", "nothing")])


def crashing_at_scoring() -> bytes:
    """The same division, of a number that is made from the rows."""
    return _model([_node("Min", "rows smallest", "small"), _node("Div", "small minus", "nothing")])


def hanging_at_load(*, products: int = 20_000) -> bytes:
    """Thousands of products of large matrices of zeros, which onnxruntime multiplies while it folds constants."""
    names = [f"m{number}" for number in range(products + 1)]
    nodes = [_node("ConstantOfShape", "square", "m0")]
    nodes += [_node("MatMul", f"{name} m0", following) for name, following in itertools.pairwise(names)]
    nodes += [
        _node("ReduceSum", names[-1], "sum", keepdims=0),
        _node("Reshape", "sum single", "flat"),
        _node("Cast", "flat", "nothing", to=TensorProto.INT64),
    ]
    return _model(nodes)


def hanging_at_scoring(*, turns: int = 1 << 62) -> bytes:
    """A loop of `turns` turns."""
    return _model([_loop("size")], size=turns)


def hanging_for_some(*, turns: int = 10_000) -> bytes:
    """A loop of `turns` turns, and of more than ever end if the `count` of a row is 1,000 or more."""
    return _model(
        [
            _node("ReduceMax", "count", "most", keepdims=0),
            _node("Div", "most thousand", "some"),
            _node("Mul", "some endless", "many"),
            _node("Add", "many size", "turns"),
            _loop("turns"),
        ],
        size=turns,
    )


def _loop(turns: str) -> NodeProto:
    body = helper.make_graph(
        [_node("Identity", "go", "goes"), _node("Identity", "held", "kept")],
        "turn",
        [
            helper.make_tensor_value_info("turn", TensorProto.INT64, []),
            helper.make_tensor_value_info("go", TensorProto.BOOL, []),
            helper.make_tensor_value_info("held", TensorProto.INT64, [1]),
        ],
        [
            helper.make_tensor_value_info("goes", TensorProto.BOOL, []),
            helper.make_tensor_value_info("kept", TensorProto.INT64, [1]),
        ],
    )
    return helper.make_node("Loop", [turns, "", "none"], ["nothing"], body=body)


def slow(*, turns: int = 2_000_000) -> bytes:
    """Seconds per call."""
    return hanging_at_scoring(turns=turns)


def greedy(*, numbers: int = 1 << 40) -> bytes:
    """Asks for `numbers` floats when it is run."""
    return _model(
        [
            _node("Reshape", "size single", "vector"),
            _node("Add", "vector rows", "many"),
            _node("ConstantOfShape", "many", "zeros"),
            _node("ReduceSum", "zeros", "sum", keepdims=0),
            _node("Reshape", "sum single", "flat"),
            _node("Cast", "flat", "nothing", to=TensorProto.INT64),
        ],
        size=numbers,
    )


def answering_nan() -> bytes:
    """Answers NaN."""
    return _model([_node("Identity", "none", "nothing")], answer=float("nan"))


def of_wrong_shape() -> bytes:
    """Declares one score per row, and answers one more."""
    return _model([_node("Identity", "single", "nothing")], added="one")


def _node(operator: str, inputs: str, output: str, **attributes: Any) -> NodeProto:
    return helper.make_node(operator, inputs.split(), [output], **attributes)


def _model(nodes: list[NodeProto], *, answer: float = 1.0, size: int = 0, added: str = "none") -> bytes:
    """Answers `answer` for every row; on the way it computes `nothing`, and needs it for the number of scores."""
    constants = {
        "none": ([1], [0]),
        "one": ([1], [1]),
        "single": ([1], [-1]),
        "minus": ([1], [-1]),
        "smallest": ([1], [_SMALLEST]),
        "square": ([2], [_SIDE, _SIDE]),
        "size": ([], [size]),
        "thousand": ([], [1000]),
        "endless": ([], [1 << 50]),
    }
    value = helper.make_tensor("v", TensorProto.FLOAT, [1], [answer])
    graph = helper.make_graph(
        [
            _node("Shape", "amount", "rows"),
            *nodes,
            # What is not part of the answer is left out by onnxruntime.
            _node("Mul", "nothing none", "zero"),
            _node("Add", f"zero {added}", "more"),
            _node("Add", "rows more", "length"),
            _node("ConstantOfShape", "length", "score", value=value),
        ],
        "bad",
        [
            helper.make_tensor_value_info(name, kind, ["N"] if name != "count" else ["N", 1])
            for name, kind in _INPUTS.items()
        ],
        [helper.make_tensor_value_info("score", TensorProto.FLOAT, ["N"])],
        [
            helper.make_tensor(name, TensorProto.INT64, shape, values)
            for name, (shape, values) in constants.items()
        ],
    )
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=9)
    raw: bytes = onnx.ModelProto.SerializeToString(model)
    return raw
