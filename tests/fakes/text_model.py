"""A model of texts that one can check by head: the share of the words `good` and `bad` in a review that are `good`, with standard
operators only (StringSplit is in ONNX since operator set 20)."""

from __future__ import annotations

from typing import Any

import onnx
from onnx import TensorProto, helper

from shared.contracts.loop_spec import LoopSpec

OPERATOR_SET = 20


def text_loop(**changes: Any) -> LoopSpec:
    document: dict[str, Any] = {
        "model": "reviews",
        "features": [
            {"name": "review", "type": "text", "nullable": True},
            {"name": "town", "type": "category", "values": ["Bern"], "unknown": "serve"},
            {"name": "stars", "type": "integer", "nullable": True},
        ],
        "prediction": {"kind": "value"},
        "outcome": {"delay": "1h"},
        "metric": {"name": "mae"},
        "drift": {"window": {"every": "1d"}},
        "retraining": {"command": ["python", "train.py"]},
        "gate": {"holdout": "1d"},
    }
    return LoopSpec.model_validate(document | changes)


def text_onnx() -> bytes:
    """Counts of `good` minus `bad`, plus 10 for a town other than Bern, plus 100 for missing stars."""
    texts: dict[str, Any] = {
        "pool_strings": ["good", "bad"],
        "ngram_counts": [0],
        "ngram_indexes": [0, 1],
        "mode": "TF",
    }
    nodes = [
        helper.make_node("StringSplit", ["review"], ["words", "lengths"], delimiter=" "),
        helper.make_node(
            "TfIdfVectorizer",
            ["words"],
            ["counts"],
            min_gram_length=1,
            max_gram_length=1,
            max_skip_count=0,
            **texts,
        ),
        helper.make_node("MatMul", ["counts", "signs"], ["column"]),
        helper.make_node("Reshape", ["column", "flat"], ["balance"]),
        helper.make_node("RegexFullMatch", ["town"], ["is_bern"], pattern="Bern"),
        helper.make_node("Where", ["is_bern", "zero", "ten"], ["abroad"]),
        helper.make_node("IsNaN", ["stars"], ["unrated"]),
        helper.make_node("Where", ["unrated", "hundred", "zero"], ["unknown"]),
        helper.make_node("Sum", ["balance", "abroad", "unknown"], ["value"]),
    ]
    constants = [
        helper.make_tensor("signs", TensorProto.FLOAT, [2, 1], [1.0, -1.0]),
        helper.make_tensor("flat", TensorProto.INT64, [1], [-1]),
        *(
            helper.make_tensor(name, TensorProto.FLOAT, [], [number])
            for name, number in (("zero", 0.0), ("ten", 10.0), ("hundred", 100.0))
        ),
    ]
    inputs = [
        helper.make_tensor_value_info("review", TensorProto.STRING, ["N"]),
        helper.make_tensor_value_info("town", TensorProto.STRING, ["N"]),
        helper.make_tensor_value_info("stars", TensorProto.FLOAT, ["N"]),
    ]
    output = helper.make_tensor_value_info("value", TensorProto.FLOAT, ["N"])
    graph = helper.make_graph(nodes, "reviews", inputs, [output], constants)
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", OPERATOR_SET)], ir_version=9)
    raw: bytes = onnx.ModelProto.SerializeToString(model)
    return raw
