from __future__ import annotations

import numpy as np
import onnxruntime
import pandas as pd
import pytest
from onnx import TensorProto, helper

from homeostat.model_export.columns import infer_columns
from homeostat.model_export.named_graph import Graph, without_zipmap
from shared.errors import ExportRefused


def test_columns_become_the_matrix_of_an_inner_model() -> None:
    columns = infer_columns(pd.DataFrame({"X": [1.0, 2.0], "n": [1, 2]}), ["X", "n"])
    given = helper.make_tensor_value_info("X", TensorProto.DOUBLE, [None, 2])
    answer = helper.make_tensor_value_info("score", TensorProto.DOUBLE, [None, 1])
    node = helper.make_node("ReduceSum", ["X"], ["score"], keepdims=1)
    inner = helper.make_model(
        helper.make_graph([node], "inner", [given], [answer]),
        opset_imports=[helper.make_opsetid("", 17)],
        ir_version=9,
    )
    graph = Graph(columns)
    # Inner names may be those of features and of the output.
    output = graph.include(inner, {"X": graph.matrix(columns, TensorProto.DOUBLE)}, "score")
    session = onnxruntime.InferenceSession(graph.finish(output).SerializeToString())
    feeds = {"X": np.array([[1.5]], np.float32), "n": np.array([[2]], np.int64)}
    assert [(one.name, one.type, one.shape) for one in session.get_inputs()] == [
        ("X", "tensor(float)", ["rows", 1]),
        ("n", "tensor(int64)", ["rows", 1]),
    ]
    np.testing.assert_array_equal(session.run(["score"], feeds)[0], np.array([3.5], np.float32))


def test_maps_of_probabilities_become_a_matrix() -> None:
    label = helper.make_tensor_value_info("label", TensorProto.INT64, [None])
    maps = helper.make_value_info(
        "maps",
        helper.make_sequence_type_proto(
            helper.make_map_type_proto(
                TensorProto.INT64, helper.make_tensor_type_proto(TensorProto.FLOAT, [])
            )
        ),
    )
    node = helper.make_node("ZipMap", ["matrix"], ["maps"], domain="ai.onnx.ml", classlabels_int64s=[0, 1])
    model = helper.make_model(helper.make_graph([node], "zipped", [], [label, maps]))
    plain = without_zipmap(model)
    assert [output.name for output in plain.graph.output] == ["label", "matrix"]
    assert not plain.graph.node
    del model.graph.node[:]
    with pytest.raises(ExportRefused, match="without ZipMap"):
        without_zipmap(model)


@pytest.mark.parametrize("opset", [8, 17])
def test_numbers_are_clipped_in_old_and_new_operator_sets(opset: int) -> None:
    tensors = [helper.make_tensor_value_info(name, TensorProto.DOUBLE, ["rows", 1]) for name in ("X", "Y")]
    inner = helper.make_graph([helper.make_node("Identity", ["X"], ["Y"])], "inner", tensors[:1], tensors[1:])
    given = helper.make_model(inner, opset_imports=[helper.make_opsetid("", opset)], ir_version=8)
    columns = infer_columns(pd.DataFrame({"share": [0.5]}), ["share"])
    graph = Graph(columns)
    output = graph.include(given, {"X": graph.matrix(columns, TensorProto.DOUBLE)}, "Y")
    model = graph.finish(graph.between_0_and_1(output))
    session = onnxruntime.InferenceSession(model.SerializeToString(), providers=["CPUExecutionProvider"])
    shares = np.array([[-1e-7], [0.25], [1.0000001]], np.float32)
    assert session.run(None, {"share": shares})[0].tolist() == [0, 0.25, 1]
