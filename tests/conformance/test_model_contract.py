"""One model contract: deployment (and the gate) and the server refuse the same models, with the same message."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import UTC, datetime
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import onnx
import pyarrow as pa
import pytest
from onnx import TensorProto, helper

from services.inference.models.candidate import batch_of
from services.inference.models.servable import Servable
from services.inference.runtimes.devices import Device
from services.inference.runtimes.onnx import OnnxModel as ServerModel
from shared.contracts.loop_spec import LoopSpec
from shared.errors import InvalidRequest, UnservableModel
from shared.models.onnx_runner import OnnxModel as DeployedModel
from tests.fakes.retraining_installation import loop_with
from tests.fakes.text_model import text_loop, text_onnx

CPU = Device("cpu", ("CPUExecutionProvider",), "requested")
FEATURES = [
    {"name": "x", "type": "number"},
    {"name": "i", "type": "integer"},
    {"name": "t", "type": "tensor", "shape": [2]},
]
INPUTS = {
    "x": (TensorProto.FLOAT, ["N"]),
    "i": (TensorProto.INT64, ["N", 1]),
    "t": (TensorProto.FLOAT, ["N", 2]),
}
ROWS = pa.table({"x": [0.25, 0.5, 0.75], "i": [1, 2, 3], "t": [[1.0, 2.0]] * 3})


def spec(kind: str = "probability", output: str = "") -> LoopSpec:
    metric = {"name": "mae" if kind == "tensor" else "log_loss"}
    prediction = {"kind": kind, "output": output}
    return LoopSpec.model_validate(loop_with(features=FEATURES, prediction=prediction, metric=metric))


def of_classes(*labels: int) -> LoopSpec:
    prediction = {"kind": "classes", "labels": list(labels)}
    return LoopSpec.model_validate(loop_with(features=FEATURES, prediction=prediction))


def model(
    *nodes: Any,
    inputs: dict[str, Any] | None = None,
    shape: Sequence[str | int] | None = ("N",),
    kind: int = TensorProto.FLOAT,
    output: str = "score",
) -> bytes:
    """A model whose output `score` is made by `nodes`, by default a copy of x."""
    constants = [
        helper.make_tensor("column", TensorProto.INT64, [2], [-1, 1]),
        helper.make_tensor("flat", TensorProto.INT64, [1], [-1]),
        helper.make_tensor("zero", TensorProto.FLOAT, [], [0.0]),
        helper.make_tensor("one", TensorProto.FLOAT, [], [1.0]),
        helper.make_tensor("first", TensorProto.BOOL, [2], [True, False]),
    ]
    graph = helper.make_graph(
        list(nodes) or [node("Identity", "x", "score")],
        "m",
        [helper.make_tensor_value_info(name, *given) for name, given in (inputs or INPUTS).items()],
        [helper.make_tensor_value_info(output, kind, shape)],
        constants,
    )
    made = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=9)
    return bytes(made.SerializeToString())


def node(operator: str, inputs: str, output: str, **attributes: Any) -> onnx.NodeProto:
    return helper.make_node(operator, inputs.split(), [output], **attributes)


def deployed(raw: bytes, using: LoopSpec, folder: Path) -> DeployedModel:
    (folder / "model.onnx").write_bytes(raw)
    return DeployedModel(folder / "model.onnx", using)


def served(raw: bytes, using: LoopSpec) -> Servable:
    release: Any = SimpleNamespace(model="m", version="0" * 64, generation=1, slot="live")
    return Servable(
        release, manifest(using), ServerModel(raw, device=CPU, threads=1), loaded_at=datetime.now(UTC)
    )


def manifest(using: LoopSpec) -> Any:
    return SimpleNamespace(
        features=using.features, prediction=using.prediction, matrix=using.matrix, loop=using
    )


MATRIX_FEATURES = [
    {"name": "x", "type": "number", "nullable": True},
    {"name": "c", "type": "category", "values": ["a", "b"]},
    {"name": "i", "type": "integer"},
    {"name": "k", "type": "integer", "nullable": True},
    {"name": "b", "type": "boolean"},
]
MATRIX_ROWS = pa.table(
    {
        "x": [0.25, None, 0.75],
        "c": ["a", "b", "a"],
        "i": [1, 2, 2**24],
        "k": pa.array([None, 7, 9], pa.int64()),
        "b": [True, False, True],
    }
)


def of_matrix(**matrix: Any) -> LoopSpec:
    tensor = {"prediction": {"kind": "tensor"}, "metric": {"name": "mae"}}
    return LoopSpec.model_validate(
        loop_with(features=MATRIX_FEATURES, matrix={"input": "X", **matrix}, **tensor)
    )


def without_matrix() -> LoopSpec:
    return of_matrix().model_copy(update={"matrix": None})


def matrix_model(width: int | str = 4, kind: int = TensorProto.FLOAT, alone: bool = False) -> bytes:
    """A model that returns its matrix `X`, with -1 for a missing value; unless it is `alone`, `c` has an input of its own."""
    inputs = {"X": (kind, ["N", width])} | ({} if alone else {"c": (TensorProto.STRING, ["N", 1])})
    nodes = [node("Identity", "X", "score")]
    if kind == TensorProto.FLOAT:
        nodes = [
            node("IsNaN", "X", "gone"),
            node("Sub", "zero one", "minus"),
            node("Where", "gone minus X", "score"),
        ]
    return model(*nodes, inputs=inputs, shape=["N", width], kind=kind)


BAD: dict[str, tuple[bytes, LoopSpec, str]] = {
    "missing input": (
        model(inputs={name: given for name, given in INPUTS.items() if name != "i"}),
        spec(),
        "the model's inputs differ from the features; inputs missing: i",
    ),
    "extra input": (
        model(inputs={**INPUTS, "y": (TensorProto.FLOAT, ["N"])}),
        spec(),
        "the model's inputs differ from the features; inputs that are not features: y",
    ),
    "input type": (
        model(inputs={**INPUTS, "i": (TensorProto.FLOAT, ["N"])}),
        spec(),
        "input i is tensor(float)",
    ),
    "fixed input rows": (
        model(inputs={**INPUTS, "i": (TensorProto.INT64, [3])}),
        spec(),
        "input i has shape [3]",
    ),
    "input columns": (
        model(inputs={**INPUTS, "i": (TensorProto.INT64, ["N", 2])}),
        spec(),
        "input i has shape [N, 2]",
    ),
    "tensor shape": (
        model(inputs={**INPUTS, "t": (TensorProto.FLOAT, ["N", 3])}),
        spec(),
        "input t has shape [N, 3]",
    ),
    "tensor without rows": (
        model(inputs={**INPUTS, "t": (TensorProto.FLOAT, [2])}),
        spec(),
        "input t has shape [2]",
    ),
    "output name": (model(), spec(output="chance"), "the model has no output 'chance'"),
    "output type": (
        model(node("Flatten", "i", "score"), kind=TensorProto.INT64, shape=["N", 1]),
        spec(),
        "output score is tensor(int64)",
    ),
    "output declared for one row": (
        model(node("Reshape", "x column", "score"), shape=[1, 1]),
        spec(),
        "output score has shape [1, 1]",
    ),
    "output without rank": (
        model(node("Reshape", "x column", "wide"), node("Squeeze", "wide", "score"), shape=None),
        spec(),
        "output score has shape []",
    ),
    "two scores per row": (
        model(node("Identity", "t", "score"), shape=["N", 2]),
        spec(),
        "output score has shape [N, 2]",
    ),
    "tensor output for one row": (
        model(node("Identity", "t", "score"), shape=[1, 2]),
        spec("tensor"),
        "output score has shape [1, 2]",
    ),
    "one output for three labels": (
        model(node("Softmax", "t", "p"), shape=["N", 2], output="p"),
        of_classes(1, 2, 3),
        "output p has shape [N, 2]",
    ),
    "one score for two labels": (model(), of_classes(1, 2), "output score has shape [N]"),
    "probabilities named as another output": (
        model(node("Softmax", "t", "score"), shape=["N", 2]),
        of_classes(1, 2),
        "the output of the probabilities is named score, which the server uses for another output",
    ),
    "matrix that loop.yaml does not declare": (
        matrix_model(),
        without_matrix(),
        "the model's inputs differ from the features; inputs missing: b, i, k, x; inputs that are not features: X",
    ),
    "matrix under another name": (
        matrix_model(),
        of_matrix(input="matrix"),
        "the model's inputs differ from the features; inputs missing: matrix; inputs that are not features: X",
    ),
    "matrix of another width": (matrix_model(3), of_matrix(), "input X is tensor(float) of shape [N, 3]"),
    "matrix of another type": (
        matrix_model(kind=TensorProto.DOUBLE),
        of_matrix(),
        "input X is tensor(double) of shape [N, 4]",
    ),
    "matrix without the category": (
        matrix_model(alone=True),
        of_matrix(),
        "the model's inputs differ from the features; inputs missing: c",
    ),
}


@pytest.mark.parametrize(("raw", "using", "message"), BAD.values(), ids=BAD)
def test_bad_signature(raw: bytes, using: LoopSpec, message: str, tmp_path: Path) -> None:
    with pytest.raises(UnservableModel) as by_deploy:
        deployed(raw, using, tmp_path)
    with pytest.raises(UnservableModel) as by_server:
        served(raw, using)
    assert by_deploy.value.message == by_server.value.message == message
    assert by_deploy.value.hint == by_server.value.hint != ""


def test_matrix_that_the_model_does_not_have_is_hinted_at() -> None:
    kinds = {"x": TensorProto.FLOAT, "i": TensorProto.INT64, "k": TensorProto.FLOAT, "b": TensorProto.BOOL}
    inputs = {name: (kind, ["N"]) for name, kind in kinds.items()} | {"c": (TensorProto.STRING, ["N"])}
    with pytest.raises(UnservableModel) as refused:
        served(model(inputs=inputs), of_matrix())
    assert refused.value.hint == "the model has one input per feature: remove `matrix` from loop.yaml"


@pytest.mark.parametrize(
    ("width", "hint"),
    [
        (
            4,
            "the model takes one matrix: add `matrix: {input: X}` to loop.yaml; its columns are then x, i, k, b",
        ),
        (
            "F",
            "the model takes one matrix: add `matrix: {input: X}` to loop.yaml; its columns are then x, i, k, b",
        ),
        (5, "export the model with one input per feature"),
    ],
)
def test_matrix_that_holds_the_numbers_is_hinted_at(width: int | str, hint: str) -> None:
    with pytest.raises(UnservableModel) as refused:
        served(matrix_model(width), without_matrix())
    assert refused.value.hint == hint


@pytest.mark.parametrize(
    ("raw", "using", "message"),
    [
        (
            model(node("Reshape", "t flat", "score")),
            spec(),
            "the model returned shape [6] for 3 rows",
        ),
        (
            model(node("Reshape", "t column", "score"), shape=["M", 1]),
            spec("tensor"),
            "the model returned shape [6, 1] for 3 rows",
        ),
        (
            model(node("Div", "x zero", "score")),
            spec(),
            "the model returned a value that is not finite for row 0",
        ),
        (
            model(node("Log", "t", "logs"), node("Log", "logs", "score"), shape=["N", 2]),
            spec("tensor"),
            "the model returned a value that is not finite for row 0",
        ),
        (
            model(node("Compress", "t first", "p", axis=1), shape=["N", "K"], output="p"),
            of_classes(1, 2),
            "the model returned shape [3, 1] for 3 rows",
        ),
    ],
    ids=[
        "two scores per row",
        "two tensors per row",
        "infinite score",
        "infinite tensor",
        "no class per label",
    ],
)
def test_bad_output(raw: bytes, using: LoopSpec, message: str, tmp_path: Path) -> None:
    with pytest.raises(UnservableModel) as by_deploy:
        deployed(raw, using, tmp_path).score(ROWS)
    with pytest.raises(UnservableModel) as by_server:
        served(raw, using).run(batch_of(manifest(using), ROWS))
    assert by_deploy.value.message == by_server.value.message == message
    assert by_deploy.value.hint == by_server.value.hint != ""


def test_probabilities_are_those_of_the_server(tmp_path: Path) -> None:
    raw = model(node("Softmax", "t", "p", axis=1), shape=["N", "K"], output="p")
    by_server = served(raw, of_classes(1, 2)).run(batch_of(manifest(of_classes(1, 2)), ROWS))
    np.testing.assert_array_equal(deployed(raw, of_classes(1, 2), tmp_path).score(ROWS), by_server)
    assert by_server.shape == (3, 2)


def test_deployment_refuses_what_is_no_distribution(tmp_path: Path) -> None:
    raw = model(node("Identity", "t", "p"), shape=["N", 2], output="p")
    with pytest.raises(UnservableModel, match="the probabilities of row 0 sum to 3, the smallest is 1"):
        deployed(raw, of_classes(1, 2), tmp_path).score(ROWS)


@pytest.mark.parametrize(
    ("raw", "kind"),
    [
        (model(), "probability"),
        (model(node("Reshape", "x column", "score"), shape=["N", 1]), "probability"),
        (model(node("Identity", "t", "score"), shape=["N", 2]), "tensor"),
        (model(node("Identity", "t", "score"), shape=None), "tensor"),
    ],
    ids=["N", "N by 1", "tensor", "tensor without rank"],
)
def test_good_model(raw: bytes, kind: str, tmp_path: Path) -> None:
    using = spec(kind)
    by_deploy = deployed(raw, using, tmp_path)
    by_server = served(raw, using).run(batch_of(manifest(using), ROWS))
    np.testing.assert_array_equal(by_deploy.run(by_deploy.feeds(ROWS)), by_server)


def test_converted_classifier_is_served_by_its_probabilities(tmp_path: Path) -> None:
    """What docs/bring-your-own-model.md says of scikit-learn: the first output is the label, `probabilities` the second."""
    from skl2onnx import to_onnx
    from skl2onnx.common.data_types import FloatTensorType
    from sklearn.linear_model import LogisticRegression

    points = np.array([[0.0, 1.0], [1.0, 0.0], [1.0, 1.0]] * 5, np.float32)
    fitted = LogisticRegression().fit(points, ["cat", "dog", "bird"] * 5)
    raw = to_onnx(
        fitted,
        initial_types=[("t", FloatTensorType([None, 2]))],
        options={"zipmap": False},
        target_opset={"": 17, "ai.onnx.ml": 3},
    ).SerializeToString()

    def loop(output: str) -> LoopSpec:
        prediction = {"kind": "classes", "labels": fitted.classes_.tolist(), "output": output}
        return LoopSpec.model_validate(loop_with(features=FEATURES[2:], prediction=prediction))

    scores = deployed(raw, loop("probabilities"), tmp_path).score(ROWS)
    assert scores == pytest.approx(fitted.predict_proba([[1.0, 2.0]] * 3), abs=1e-5)
    with pytest.raises(UnservableModel, match=r"output label is tensor\(string\)") as refused:
        deployed(raw, loop(""), tmp_path)
    assert refused.value.hint.endswith("set prediction.output to one of: probabilities")


def test_texts_open_categories_and_missing_integers_are_scored_alike(tmp_path: Path) -> None:
    using = text_loop()
    rows = pa.table(
        {
            "review": ["good good bad", None, "bad", "neither"],
            "town": ["Bern", "Bern", "Ürgüp", "Bern"],
            "stars": pa.array([5, 1, 2, None], pa.int64()),
        }
    )
    by_server = served(text_onnx(), using).run(batch_of(manifest(using), rows))
    np.testing.assert_array_equal(deployed(text_onnx(), using, tmp_path).score(rows), by_server)
    assert by_server.tolist() == [1.0, 0.0, 9.0, 100.0]


@pytest.mark.parametrize("width", [4, "F"])
def test_matrix_is_assembled_alike(width: int | str, tmp_path: Path) -> None:
    using = of_matrix()
    by_deploy = deployed(matrix_model(width), using, tmp_path).outputs(MATRIX_ROWS)
    servable = served(matrix_model(width), using)
    by_server = servable.run(batch_of(manifest(using), MATRIX_ROWS))
    rows = MATRIX_ROWS.to_pylist()
    by_request = servable.run(servable.schema.batch(rows))
    expected = np.array([[0.25, 1, -1, 1], [-1, 2, 7, 0], [0.75, 2**24, 9, 1]], np.float32)
    for output in (by_deploy, by_server, by_request):
        np.testing.assert_array_equal(output, expected)


def test_matrix_has_the_named_features_in_their_order(tmp_path: Path) -> None:
    using = of_matrix(features=["b", "x"])
    inputs = {
        "X": (TensorProto.FLOAT, ["N", 2]),
        "c": (TensorProto.STRING, ["N"]),
        "i": (TensorProto.INT64, ["N", 1]),
        "k": (TensorProto.FLOAT, ["N"]),
    }
    raw = model(node("Identity", "X", "score"), inputs=inputs, shape=["N", 2])
    by_deploy = deployed(raw, using, tmp_path)
    servable = served(raw, using)
    rows = MATRIX_ROWS.slice(2)
    expected = [[1.0, 0.75]]
    assert (
        by_deploy.outputs(rows).tolist() == servable.run(batch_of(manifest(using), rows)).tolist() == expected
    )
    assert servable.run(servable.schema.batch(rows.to_pylist())).tolist() == expected


def test_integer_that_the_matrix_would_round_is_refused(tmp_path: Path) -> None:
    using = of_matrix()
    place = MATRIX_ROWS.column_names.index("i")
    rows = MATRIX_ROWS.set_column(place, "i", pa.array([1, 2, 2**24 + 1]))
    with pytest.raises(
        UnservableModel, match="column i of the rows cannot be read as integer: 16777217 is beyond"
    ):
        deployed(matrix_model(), using, tmp_path).outputs(rows)
    with pytest.raises(InvalidRequest, match="feature i of row 2 is 16777217") as refused:
        served(matrix_model(), using).schema.batch(rows.to_pylist())
    assert refused.value.expected == "a whole number from -16777216 to 16777216"
    with pytest.raises(InvalidRequest, match="feature i of row 0 is missing"):
        served(matrix_model(), using).schema.batch([{**rows.to_pylist()[0], "i": None}])
