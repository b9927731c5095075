"""The model contract as the gate checks it: what breaks it is named."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

import numpy as np
import onnx
import pyarrow as pa
import pytest
from onnx import TensorProto, helper

from shared.contracts.feature import Feature
from shared.contracts.loop_spec import LoopSpec
from shared.errors import UnservableModel
from shared.models.onnx_runner import OnnxModel
from shared.models.runners.model_runner import _rows_per_call
from tests.fakes.retraining_installation import loop_with
from tests.fakes.text_model import text_loop, text_onnx

FEATURES = [
    {"name": "n", "type": "number", "nullable": True},
    {"name": "i", "type": "integer"},
    {"name": "b", "type": "boolean"},
    {"name": "c", "type": "category", "values": ["red", "blue"], "nullable": True},
    {"name": "t", "type": "tensor", "shape": [2, 2]},
]
KINDS = {
    "n": (TensorProto.FLOAT, ["N"]),
    "i": (TensorProto.INT64, ["N", 1]),
    "b": (TensorProto.BOOL, ["N"]),
    "c": (TensorProto.STRING, ["N", 1]),
    "t": (TensorProto.FLOAT, ["N", 2, 2]),
}
ROWS = pa.table(
    {
        "n": pa.array([0.25, None, 0.75]),
        "i": pa.array([1, 2, 3]),
        "b": pa.array([True, False, True]),
        "c": pa.array(["red", None, "blue"]),
        "t": pa.array([[1.0, 2.0, 3.0, 4.0]] * 3),
    }
)


def spec(features: list[dict[str, Any]] | None = None, **changes: Any) -> LoopSpec:
    return LoopSpec.model_validate(loop_with(features=features or FEATURES, **changes))


def model(
    path: Path,
    nodes: list[Any] | None = None,
    *,
    kinds: dict[str, Any] | None = None,
    output: Any = ("score", TensorProto.FLOAT, ["N"]),
    domain: str = "",
) -> Path:
    """A model whose score is n, or 0.5 where n is missing; other inputs are taken and not used."""
    half = helper.make_tensor("half", TensorProto.FLOAT, [], [0.5])
    standard = [
        helper.make_node("IsNaN", ["n"], ["gone"]),
        helper.make_node("Where", ["gone", "half", "n"], ["score"], domain=domain),
    ]
    inputs = [helper.make_tensor_value_info(name, *kind) for name, kind in (kinds or KINDS).items()]
    graph = helper.make_graph(
        nodes or standard, "m", inputs, [helper.make_tensor_value_info(*output)], [half]
    )
    opsets = [helper.make_opsetid("", 17), helper.make_opsetid("ai.onnx.ml", 3)]
    if domain:
        opsets.append(helper.make_opsetid(domain, 1))
    onnx.save(helper.make_model(graph, opset_imports=opsets, ir_version=9), str(path / "model.onnx"))
    return path / "model.onnx"


def test_every_type_of_feature_reaches_the_model(tmp_path: Path) -> None:
    loaded = OnnxModel(model(tmp_path), spec())
    assert loaded.score(ROWS) == pytest.approx([0.25, 0.5, 0.75])
    feeds = loaded.feeds(ROWS)
    assert {name: array.shape for name, array in feeds.items()} == {
        "n": (3,),
        "i": (3, 1),
        "b": (3,),
        "c": (3, 1),
        "t": (3, 2, 2),
    }
    assert feeds["c"].ravel().tolist() == ["red", "", "blue"]


def test_no_rows_have_no_scores(tmp_path: Path) -> None:
    assert OnnxModel(model(tmp_path), spec()).score(ROWS.slice(0, 0)).tolist() == []


def refused(path: Path, using: LoopSpec | None = None) -> str:
    with pytest.raises(UnservableModel) as error:
        OnnxModel(path, using or spec())
    return error.value.message


def test_other_inputs_are_named(tmp_path: Path) -> None:
    kinds = {**KINDS, "extra": (TensorProto.FLOAT, ["N"])}
    del kinds["b"]
    assert (
        refused(model(tmp_path, kinds=kinds))
        == "the model's inputs differ from the features; inputs missing: b; inputs that are not features: extra"
    )


@pytest.mark.parametrize(
    ("name", "kind", "message"),
    [
        ("i", (TensorProto.FLOAT, ["N"]), "input i is tensor(float)"),
        ("n", (TensorProto.FLOAT, [3]), "input n has shape [3]"),
        ("n", (TensorProto.FLOAT, []), "input n has shape []"),
        ("b", (TensorProto.BOOL, ["N", 2]), "input b has shape [N, 2]"),
        ("t", (TensorProto.FLOAT, ["N", 2, 3]), "input t has shape [N, 2, 3]"),
    ],
)
def test_inputs_of_another_type_or_shape_are_named(
    tmp_path: Path, name: str, kind: Any, message: str
) -> None:
    nodes = [helper.make_node("Identity", ["half"], ["score"])]
    assert (
        refused(model(tmp_path, nodes, kinds={**KINDS, name: kind}, output=("score", TensorProto.FLOAT, [])))
        == message
    )


def test_invalid_model_bytes_are_refused(tmp_path: Path) -> None:
    (tmp_path / "model.onnx").write_bytes(b"\xff\xffnot a model")
    assert refused(tmp_path / "model.onnx") == "model.onnx is not an ONNX model"
    (tmp_path / "model.onnx").write_bytes(b"")
    assert refused(tmp_path / "model.onnx") == "model.onnx holds no graph"


def test_operators_of_a_strange_domain_are_refused(tmp_path: Path) -> None:
    assert refused(model(tmp_path, domain="com.example")).startswith(
        "model.onnx uses operators of the domain 'com.example': "
    )


def test_weights_in_another_file_are_refused(tmp_path: Path) -> None:
    path = model(tmp_path)
    loaded = onnx.load(str(path))
    weight = loaded.graph.initializer[0]
    weight.data_location = TensorProto.EXTERNAL
    weight.external_data.add(key="location", value="/etc/passwd")
    path.write_bytes(loaded.SerializeToString())
    assert refused(path) == "model.onnx keeps the weights 'half' in another file"


def test_an_output_that_is_not_there_or_no_number_is_refused(tmp_path: Path) -> None:
    wanted = spec(prediction={"kind": "probability", "output": "chance"})
    assert refused(model(tmp_path), wanted) == "the model has no output 'chance'"
    nodes = [helper.make_node("Identity", ["i"], ["score"])]
    assert (
        refused(model(tmp_path, nodes, output=("score", TensorProto.INT64, ["N", 1])))
        == "output score is tensor(int64)"
    )


def test_a_score_that_is_not_finite_is_refused(tmp_path: Path) -> None:
    nodes = [helper.make_node("Identity", ["n"], ["score"])]
    with pytest.raises(UnservableModel, match="not finite for row 1"):
        OnnxModel(model(tmp_path, nodes), spec()).score(ROWS)


def test_one_answer_for_all_rows_is_refused(tmp_path: Path) -> None:
    nodes = [helper.make_node("ReduceMean", ["n"], ["score"], keepdims=1)]
    with pytest.raises(UnservableModel, match=r"output score has shape \[1\]"):
        OnnxModel(model(tmp_path, nodes), spec()).score(ROWS)


def test_many_rows_are_scored_in_parts(tmp_path: Path) -> None:
    count = 40_000
    numbers = np.linspace(0, 1, count)
    rows = pa.table(
        {
            "n": numbers,
            "i": np.zeros(count, np.int64),
            "b": np.zeros(count, bool),
            "c": ["red"] * count,
            "t": [[0.0] * 4] * count,
        }
    )
    assert OnnxModel(model(tmp_path), spec()).score(rows) == pytest.approx(numbers, abs=1e-6)


def test_large_tensors_are_scored_in_smaller_parts() -> None:
    images = Feature(name="image", type="tensor", shape=(3, 224, 224))
    assert _rows_per_call([images]) == 55
    assert _rows_per_call([images, images]) == 27
    assert _rows_per_call([Feature(name="image", type="tensor", shape=(5000, 5000))]) == 1
    assert _rows_per_call([Feature(name="image", type="tensor", shape=(8, 8))]) == 16_384


def test_texts_are_scored_in_smaller_parts(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "model.onnx").write_bytes(text_onnx())
    reviews = OnnxModel(tmp_path / "model.onnx", text_loop())
    sizes: list[int] = []
    run = reviews.run

    def counted(feeds: Any) -> Any:
        sizes.append(len(feeds["review"]))
        return run(feeds)

    monkeypatch.setattr(reviews, "run", counted)
    rows = pa.table({"review": ["good"] * 1100, "town": ["Bern"] * 1100, "stars": [1] * 1100})
    assert reviews.score(rows).tolist() == [1.0] * 1100
    assert sizes == [512, 512, 76]


@pytest.mark.parametrize(
    ("ir_version", "opset", "expected"),
    [
        (99, 17, r"model.onnx has IR version 99; the installed onnxruntime supports versions up to \d+"),
        (9, 99, r"model.onnx uses opset 99 of ai.onnx; the installed onnxruntime supports opsets up to \d+"),
    ],
)
def test_model_that_is_too_new_names_the_newest_supported(
    tmp_path: Path, ir_version: int, opset: int, expected: str
) -> None:
    path = model(tmp_path)
    changed = onnx.load(str(path))
    changed.ir_version = ir_version
    changed.opset_import[0].version = opset
    path.write_bytes(changed.SerializeToString())
    assert re.fullmatch(expected, refused(path))


def test_domains_that_are_listed_and_not_used_are_served(tmp_path: Path) -> None:
    path = model(tmp_path)
    changed = onnx.load(str(path))
    for domain in ("com.microsoft.nchwc", "ai.onnx.preview.training"):
        changed.opset_import.append(helper.make_opsetid(domain, 1))
    path.write_bytes(changed.SerializeToString())
    assert OnnxModel(path, spec()).score(ROWS) == pytest.approx([0.25, 0.5, 0.75])
