from __future__ import annotations

import re
from pathlib import Path
from typing import Any

import numpy as np
import onnx
import onnxruntime
import pandas as pd
import pyarrow.parquet as pq
import pytest
from onnx import TensorProto, helper, numpy_helper
from skl2onnx import to_onnx
from sklearn.datasets import make_classification
from sklearn.ensemble import RandomForestClassifier
from sklearn.linear_model import LinearRegression, LogisticRegression

import homeostat
from cli.deployment.version_builder import VersionBuilder
from shared.contracts.loop_yaml import read_loop_spec
from shared.errors import ExportRefused
from shared.models.onnx_runner import OnnxModel
from shared.models.signed_versions.installation_keys import ensure_keys
from shared.stores.model_store import open_model_store


@pytest.fixture(scope="module")
def rows() -> pd.DataFrame:
    random = np.random.default_rng(3)
    rows = pd.DataFrame({"amount": random.gamma(2, 50, 400), "age": random.integers(18, 90, 400)})
    rows["outcome"] = (rows["amount"] > 100).astype(int)
    rows["event_time"] = pd.date_range("2026-01-01", periods=400, freq="h", tz="UTC")
    return rows


def matrix(rows: pd.DataFrame) -> Any:
    return rows[["amount", "age"]].to_numpy(np.float32)


@pytest.mark.parametrize("options", [{}, {"zipmap": False}])
@pytest.mark.parametrize("positive", [0, 1])
def test_classifier_on_one_matrix(
    rows: pd.DataFrame, tmp_path: Path, options: dict[str, Any], positive: int
) -> None:
    fitted = LogisticRegression(max_iter=500).fit(matrix(rows), rows["outcome"])
    given = to_onnx(fitted, matrix(rows)[:1], options=options, target_opset={"": 17, "ai.onnx.ml": 3})
    onnx.save(given, tmp_path / "existing.onnx")
    report = homeostat.export(tmp_path / "existing.onnx", rows, tmp_path / "fraud", positive=positive)
    assert (report.kind.name, report.warnings) == ("probability", ())
    loop = read_loop_spec(tmp_path / "fraud")
    table = homeostat.model_export.columns.to_table(report.columns, rows)
    scores = OnnxModel(tmp_path / "fraud" / "model.onnx", loop).score(table)
    np.testing.assert_allclose(scores, fitted.predict_proba(matrix(rows))[:, positive], atol=1e-6)


def test_regression_with_an_old_opset(rows: pd.DataFrame, tmp_path: Path) -> None:
    fitted = LinearRegression().fit(matrix(rows), rows["amount"] * 2)
    given = to_onnx(fitted, matrix(rows)[:1], target_opset={"": 9, "ai.onnx.ml": 1})
    report = homeostat.export(given, rows.assign(outcome=rows["amount"] * 2), tmp_path)
    assert (report.kind.name, report.comparisons[0].differing) == ("value", 0)


def test_file_that_imports_the_trees_domain_alone(rows: pd.DataFrame, tmp_path: Path) -> None:
    """As XGBoost's converter writes it."""
    split = helper.make_node(
        "TreeEnsembleClassifier",
        ["X"],
        ["label", "probabilities"],
        domain="ai.onnx.ml",
        nodes_treeids=[0, 0, 0],
        nodes_nodeids=[0, 1, 2],
        nodes_featureids=[0, 0, 0],
        nodes_modes=["BRANCH_LT", "LEAF", "LEAF"],
        nodes_values=[60.0, 0.0, 0.0],
        nodes_truenodeids=[1, 0, 0],
        nodes_falsenodeids=[2, 0, 0],
        class_treeids=[0, 0],
        class_nodeids=[1, 2],
        class_ids=[0, 0],
        class_weights=[-0.4, 0.4],
        classlabels_int64s=[0, 1],
        post_transform="LOGISTIC",
    )
    graph = helper.make_graph(
        [split],
        "trees",
        [helper.make_tensor_value_info("X", TensorProto.FLOAT, [None, 2])],
        [
            helper.make_tensor_value_info("label", TensorProto.INT64, [None]),
            helper.make_tensor_value_info("probabilities", TensorProto.FLOAT, [None, 2]),
        ],
    )
    given = helper.make_model(graph, opset_imports=[helper.make_opsetid("ai.onnx.ml", 1)], ir_version=8)
    report = homeostat.export(given, rows, tmp_path)
    assert {one.differing for one in report.comparisons} == {0}


def test_one_input_per_column(rows: pd.DataFrame, tmp_path: Path) -> None:
    nodes = [
        helper.make_node("Cast", ["age"], ["years"], to=TensorProto.FLOAT),
        helper.make_node("Add", ["amount", "years"], ["sum"]),
        helper.make_node("Mul", ["sum", "scale"], ["scaled"]),
        helper.make_node("Sigmoid", ["scaled"], ["out"]),
    ]
    graph = helper.make_graph(
        nodes,
        "inputs",
        [
            helper.make_tensor_value_info("age", TensorProto.INT32, [None]),
            helper.make_tensor_value_info("amount", TensorProto.FLOAT, [None]),
        ],
        [helper.make_tensor_value_info("out", TensorProto.FLOAT, [None])],
        [numpy_helper.from_array(np.array(0.001, np.float32), "scale")],
    )
    given = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=9)
    report = homeostat.export(given, rows, tmp_path)
    assert [column.name for column in report.columns] == ["age", "amount"]
    assert report.kind.name == "probability"
    assert report.comparisons[0].differing == 0


@pytest.mark.parametrize(("element", "is_exported"), [(TensorProto.INT64, True), (TensorProto.FLOAT, False)])
def test_times_need_an_int64_input(
    rows: pd.DataFrame, tmp_path: Path, element: int, is_exported: bool
) -> None:
    nodes = [
        helper.make_node("Cast", ["ordered_at"], ["micros"], to=TensorProto.INT64),
        helper.make_node("Mod", ["micros", "hour"], ["in_hour"]),
        helper.make_node("Cast", ["in_hour"], ["floats"], to=TensorProto.FLOAT),
        helper.make_node("Mul", ["floats", "scale"], ["share"]),
        helper.make_node("Mul", ["amount", "share"], ["out"]),
    ]
    inputs = [
        helper.make_tensor_value_info("ordered_at", element, [None]),
        helper.make_tensor_value_info("amount", TensorProto.FLOAT, [None]),
    ]
    constants = [
        numpy_helper.from_array(np.array(3_600_000_000), "hour"),
        numpy_helper.from_array(np.array(1 / 3_600_000_000, np.float32), "scale"),
    ]
    outputs = [helper.make_tensor_value_info("out", TensorProto.FLOAT, [None])]
    graph = helper.make_graph(nodes, "times", inputs, outputs, constants)
    given = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=9)
    ordered = pd.date_range("2026-01-01", periods=len(rows), freq="17min", tz="UTC")
    timed = rows.assign(ordered_at=ordered, outcome=rows["amount"])
    if not is_exported:
        with pytest.raises(
            ExportRefused, match="'ordered_at' holds times, and the model's input ordered_at is not int64"
        ):
            homeostat.export(given, timed, tmp_path)
        return
    report = homeostat.export(given, timed, tmp_path)
    assert [column.feature.type for column in report.columns] == ["timestamp", "number"]
    assert report.comparisons[0].differing == 0


def test_scores_that_are_logits_are_refused_with_the_line_to_add(rows: pd.DataFrame, tmp_path: Path) -> None:
    model = to_onnx(LinearRegression().fit(matrix(rows), rows["outcome"]), matrix(rows)[:1], target_opset=17)
    with pytest.raises(ExportRefused) as refused:
        homeostat.export(model, rows, tmp_path / "a")
    assert re.fullmatch(
        r"the outcomes are 0 and 1, and the model returns scores from -?[\d.]+ to [\d.]+",
        refused.value.message,
    )
    line = (
        "model.graph.node.append(onnx.helper.make_node('Sigmoid', ['variable'], ['probability'])); "
        "model.graph.output[0].name = 'probability'"
    )
    assert refused.value.hint == (
        f"if they are logits, add one to the file: {line}; if they are values, pass kind='value'"
    )
    assert homeostat.export(model, rows, tmp_path / "b", kind="value").kind.name == "value"
    exec(line)
    assert homeostat.export(model, rows, tmp_path / "c").kind.name == "probability"


def test_missing_locale_error_has_a_hint(rows: pd.DataFrame, tmp_path: Path) -> None:
    nodes = [
        helper.make_node("StringNormalizer", ["shop"], ["lower"], case_change_action="LOWER", locale="xx_XX"),
        helper.make_node(
            "LabelEncoder",
            ["lower"],
            ["score"],
            domain="ai.onnx.ml",
            keys_strings=["web"],
            values_floats=[1.0],
        ),
    ]
    texts = helper.make_tensor_value_info("shop", TensorProto.STRING, [None])
    scores = helper.make_tensor_value_info("score", TensorProto.FLOAT, [None])
    imports = [helper.make_opsetid("", 17), helper.make_opsetid("ai.onnx.ml", 3)]
    given = helper.make_model(
        helper.make_graph(nodes, "shops", [texts], [scores]), opset_imports=imports, ir_version=9
    )
    shops = rows.assign(shop=["WEB", "mall"] * 200)
    with pytest.raises(ExportRefused) as refused:
        homeostat.export(given, shops, tmp_path, features=["shop"])
    assert refused.value.message == "model.onnx needs the locale xx_XX, which this machine does not have"
    assert refused.value.hint == (
        "its StringNormalizer has no `locale`, or that one: set it before the export, "
        "node.attribute.append(onnx.helper.make_attribute('locale', 'C')), which changes the case of ASCII letters; "
        "'C.UTF-8' changes that of all letters"
    )
    nodes[0].attribute.remove(next(one for one in nodes[0].attribute if one.name == "locale"))
    nodes[0].attribute.append(helper.make_attribute("locale", "C"))
    again = helper.make_model(
        helper.make_graph(nodes, "shops", [texts], [scores]), opset_imports=imports, ir_version=9
    )
    assert onnxruntime.InferenceSession(again.SerializeToString()).run(
        None, {"shop": np.array(["WEB", "web"], object)}
    )[0].tolist() == [1, 1]


def test_file_refused_by_onnxruntime_has_the_reason(rows: pd.DataFrame, tmp_path: Path) -> None:
    given = to_onnx(LinearRegression().fit(matrix(rows), rows["amount"]), matrix(rows)[:1], target_opset=17)
    given.ir_version = 99
    with pytest.raises(ExportRefused, match="model.onnx has IR version 99; .*set `model.ir_version = "):
        homeostat.export(given, rows, tmp_path)


def test_unknown_output_is_refused(rows: pd.DataFrame, tmp_path: Path) -> None:
    given = to_onnx(LinearRegression().fit(matrix(rows), rows["amount"]), matrix(rows)[:1], target_opset=17)
    with pytest.raises(ExportRefused, match="no output 'score'.*its outputs are variable"):
        homeostat.export(given, rows, tmp_path, output="score")


def sum_of_both(element: int) -> onnx.ModelProto:
    """The sum of one matrix's two columns."""
    nodes = [
        helper.make_node("Cast", ["x"], ["floats"], to=TensorProto.FLOAT),
        helper.make_node("ReduceSum", ["floats", "axis"], ["sum"], keepdims=0),
    ]
    axis = numpy_helper.from_array(np.array([1]), "axis")
    taken = helper.make_tensor_value_info("x", element, ["rows", 2])
    returned = helper.make_tensor_value_info("sum", TensorProto.FLOAT, ["rows"])
    graph = helper.make_graph(nodes, "sum", [taken], [returned], [axis])
    return helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=9)


def test_matrix_takes_no_times_and_no_missing_whole_numbers(rows: pd.DataFrame, tmp_path: Path) -> None:
    given = rows[["amount", "age", "outcome"]].assign(outcome=rows["amount"])
    assert homeostat.export(sum_of_both(TensorProto.FLOAT), given, tmp_path).comparisons[0].differing == 0
    timed = given.assign(age=rows["event_time"])
    with pytest.raises(ExportRefused, match="takes one matrix, and the column 'age' holds times"):
        homeostat.export(sum_of_both(TensorProto.FLOAT), timed, tmp_path)
    gaps = given.assign(age=rows["age"].where(rows["age"] > 30))
    with pytest.raises(
        ExportRefused, match="the column 'age' has missing values, and the model takes it as int64"
    ):
        homeostat.export(sum_of_both(TensorProto.INT64), gaps, tmp_path)


def two_floats(first: str, second: str) -> onnx.ModelProto:
    """Whether the amount is above 100, then a number that says nothing."""
    nodes = [
        helper.make_node("MatMul", ["x", "weights"], ["sum"]),
        helper.make_node("Add", ["sum", "bias"], ["logit"]),
        helper.make_node("Sigmoid", ["logit"], [first]),
        helper.make_node("MatMul", ["x", "small"], ["u"]),
        helper.make_node("Sigmoid", ["u"], [second]),
    ]
    constants = [
        numpy_helper.from_array(np.array(value, np.float32), name)
        for name, value in (("weights", [[1], [0]]), ("bias", [-100]), ("small", [[1e-3], [1e-3]]))
    ]
    tensors = [
        helper.make_tensor_value_info(name, TensorProto.FLOAT, ["rows", width])
        for name, width in (("x", 2), (first, 1), (second, 1))
    ]
    graph = helper.make_graph(nodes, "two", tensors[:1], tensors[1:], constants)
    return helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=9)


@pytest.mark.parametrize(
    ("first", "output"), [("Probability", ""), ("score", "score")], ids=["named so", "output="]
)
def test_output_of_several_is_the_probability(
    rows: pd.DataFrame, tmp_path: Path, first: str, output: str
) -> None:
    report = homeostat.export(two_floats(first, "uncertainty"), rows, tmp_path, output=output)
    assert report.notes == (f"the output {first!r} is served, and not 'uncertainty'",)
    scores = OnnxModel(tmp_path / "model.onnx", read_loop_spec(tmp_path)).score(
        homeostat.model_export.columns.to_table(report.columns, rows)
    )
    assert ((scores > 0.5) == rows["outcome"]).all()


@pytest.mark.parametrize("names", [("score", "uncertainty"), ("probability", "probabilities")])
def test_several_outputs_without_a_probability_are_refused(
    rows: pd.DataFrame, tmp_path: Path, names: tuple[str, str]
) -> None:
    with pytest.raises(ExportRefused) as refused:
        homeostat.export(two_floats(*names), rows, tmp_path)
    assert refused.value.message.endswith(f"that may be its scores: {names[0]!r}, {names[1]!r}")
    assert refused.value.hint == f"name the one to serve, in Python: export(..., output={names[0]!r})"


@pytest.fixture(scope="module")
def animals(rows: pd.DataFrame) -> pd.DataFrame:
    cuts = pd.cut(rows["amount"], [-1, 60, 120, 1e6], labels=["cat", "dog", "bird"])
    return rows.assign(outcome=cuts.astype(str))


def converted(animals: pd.DataFrame, **options: Any) -> tuple[LogisticRegression, onnx.ModelProto]:
    fitted = LogisticRegression(max_iter=2000).fit(matrix(animals), animals["outcome"])
    return fitted, to_onnx(
        fitted, matrix(animals)[:1], options=options, target_opset={"": 17, "ai.onnx.ml": 3}
    )


def logits(fitted: LogisticRegression) -> onnx.ModelProto:
    """The classifier's linear part, which knows no labels."""
    nodes = [helper.make_node("Gemm", ["X", "weights", "bias"], ["logits"])]
    constants = [
        numpy_helper.from_array(fitted.coef_.T.astype(np.float32), "weights"),
        numpy_helper.from_array(fitted.intercept_.astype(np.float32), "bias"),
    ]
    x = helper.make_tensor_value_info("X", TensorProto.FLOAT, ["rows", 2])
    y = helper.make_tensor_value_info("logits", TensorProto.FLOAT, ["rows", len(fitted.classes_)])
    graph = helper.make_graph(nodes, "logits", [x], [y], constants)
    return helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=9)


@pytest.mark.parametrize("options", [{}, {"zipmap": False}])
def test_classes_are_those_of_the_file(
    animals: pd.DataFrame, tmp_path: Path, options: dict[str, Any]
) -> None:
    fitted, given = converted(animals, **options)
    report = homeostat.export(given, animals, tmp_path)
    assert (report.kind.name, report.kind.labels, report.warnings) == ("classes", ("bird", "cat", "dog"), ())
    assert not any("labels in the order" in note for note in report.notes)
    scores = OnnxModel(tmp_path / "model.onnx", read_loop_spec(tmp_path)).score(
        homeostat.model_export.columns.to_table(report.columns, animals)
    )
    np.testing.assert_allclose(scores, fitted.predict_proba(matrix(animals)), atol=1e-5)


def test_two_classes_with_names(animals: pd.DataFrame, tmp_path: Path) -> None:
    two = animals[animals["outcome"] != "bird"]
    _, given = converted(two)
    report = homeostat.export(given, two, tmp_path / "named", positive="cat")
    assert (report.kind.name, report.kind.positive) == ("probability", "cat")
    assert pq.read_table(tmp_path / "named" / "reference.parquet")["outcome"].to_pylist() == [
        float(one == "cat") for one in two["outcome"]
    ]


def test_logits_get_a_softmax_and_sorted_labels(animals: pd.DataFrame, tmp_path: Path) -> None:
    fitted, _ = converted(animals)
    report = homeostat.export(logits(fitted), animals, tmp_path)
    right = int((fitted.predict(matrix(animals)) == animals["outcome"]).sum())
    assert report.notes == (
        "labels in the order of the output: bird, cat, dog (the outcomes, sorted)",
        report.notes[1],
        f"the most probable label equals the outcome in {right} of 400 rows",
    )
    lowest = fitted.decision_function(matrix(animals)).min()
    assert report.notes[1].startswith(f"the outputs range from {lowest:.4g} to ")
    assert "so a softmax was added: row 0 is " in report.notes[1]
    assert report.warnings == ()
    table = pq.read_table(tmp_path / "reference.parquet")
    scores = OnnxModel(tmp_path / "model.onnx", read_loop_spec(tmp_path)).score(table)
    np.testing.assert_allclose(scores, fitted.predict_proba(matrix(animals)), atol=1e-5)


def test_labels_in_a_wrong_order_are_warned_of(animals: pd.DataFrame, tmp_path: Path) -> None:
    fitted, _ = converted(animals)
    with pytest.warns(homeostat.ExportWarning, match="check the order of the labels"):
        report = homeostat.export(logits(fitted), animals, tmp_path, labels=["dog", "bird", "cat"])
    assert report.kind.labels == ("dog", "bird", "cat")
    with pytest.raises(
        ExportRefused, match="loop.yaml has the labels dog, bird, cat, the model has bird, cat, dog"
    ):
        homeostat.export(logits(fitted), animals, tmp_path)


def test_one_column_of_lists_feeds_one_matrix(animals: pd.DataFrame, tmp_path: Path) -> None:
    _, given = converted(animals)
    listed = animals[["event_time", "outcome"]].assign(pair=list(matrix(animals)))
    report = homeostat.export(given, listed, tmp_path)
    assert [(one.name, one.feature.shape) for one in report.columns] == [("pair", (2,))]
    assert {one.differing for one in report.comparisons} == {0}


def test_labels_of_a_single_score_are_refused(rows: pd.DataFrame, tmp_path: Path) -> None:
    given = to_onnx(LinearRegression().fit(matrix(rows), rows["amount"]), matrix(rows)[:1], target_opset=17)
    with pytest.raises(ExportRefused, match=r"labels= is given, and the model returns shape \[400, 1\]"):
        homeostat.export(given, rows, tmp_path, labels=["a", "b"])


def test_several_outcomes_are_the_values_of_the_output(animals: pd.DataFrame, tmp_path: Path) -> None:
    fitted, _ = converted(animals)
    expected = fitted.decision_function(matrix(animals))
    names = ["low", "middle", "high"]
    given = animals.drop(columns="outcome").assign(**dict(zip(names, expected.T, strict=True)))
    report = homeostat.export(logits(fitted), given, tmp_path, outcome=names)
    assert (report.kind.name, report.kind.names) == ("values", tuple(names))
    assert {one.differing for one in report.comparisons} == {0}
    table = pq.read_table(tmp_path / "reference.parquet")
    scores = OnnxModel(tmp_path / "model.onnx", read_loop_spec(tmp_path)).outputs(table)
    np.testing.assert_allclose(scores, expected, atol=1e-4)
    with pytest.raises(
        ExportRefused, match=r"outcomes are low, middle, and the model returns shape \[400, 3\]"
    ):
        homeostat.export(logits(fitted), given, tmp_path, outcome=names[:2], features=["amount", "age"])


# With the most trees for each number of classes that converts in a fraction of a second: each tree adds a rounding.
@pytest.mark.parametrize(("trees", "classes"), [(10, 2), (10, 6), (50, 2), (50, 3), (100, 3), (300, 2)])
def test_probabilities_of_forests_are_served_as_they_are(trees: int, classes: int, tmp_path: Path) -> None:
    """Sums of votes in float32 end a step above 1, which is no logit."""
    features, outcomes = make_classification(
        120, 8, n_informative=5, n_classes=classes, n_clusters_per_class=1, class_sep=3, random_state=1
    )
    features = features.astype(np.float32)
    fitted = RandomForestClassifier(trees, random_state=0).fit(features, outcomes)
    # ZipMap is skl2onnx's default.
    options = {} if trees in (50, 300) else {"zipmap": False}
    given = to_onnx(fitted, features[:1], options=options, target_opset={"": 17, "ai.onnx.ml": 3})
    rows = pd.DataFrame(features, columns=[f"x{place}" for place in range(8)]).assign(outcome=outcomes)
    report = homeostat.export(given, rows, tmp_path)
    assert not any("softmax" in note for note in report.notes)
    scores = OnnxModel(tmp_path / "model.onnx", read_loop_spec(tmp_path)).score(
        homeostat.model_export.columns.to_table(report.columns, rows)
    )
    expected = fitted.predict_proba(features)
    np.testing.assert_allclose(scores, expected if classes > 2 else expected[:, 1], atol=1e-5)
    assert (scores.min() >= 0, scores.max() <= 1) == (True, True)
    if (trees, classes) in ((50, 2), (50, 3)):
        assert any("1.00000012" in note and "are clipped" in note for note in report.notes)


def exceeding(width: int, output: str) -> onnx.ModelProto:
    """Probabilities from -1e-5 to 1 + 1e-5."""
    node, edge = helper.make_node, np.array(1e-5, dtype=np.float32)
    nodes = [
        node("Sigmoid", ["x"], ["p"]) if width == 1 else node("Softmax", ["x"], ["p"], axis=1),
        node("Mul", ["p", "factor"], ["wide"]),
        node("Sub", ["wide", "edge"], [output]),
    ]
    taken, returned = (
        helper.make_tensor_value_info(name, TensorProto.FLOAT, ["rows", width]) for name in ("x", output)
    )
    constants = [
        numpy_helper.from_array(np.asarray(1 + 2 * edge, dtype=np.float32), "factor"),
        numpy_helper.from_array(edge, "edge"),
    ]
    graph = helper.make_graph(nodes, "wide", [taken], [returned], constants)
    return helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=9)


@pytest.mark.parametrize("width", [1, 3])
@pytest.mark.parametrize(
    ("output", "scale"), [("y", 20), ("probability", 1)], ids=["rows", "beyond the rows"]
)
def test_probabilities_that_exceed_by_rounding_are_clipped(
    width: int, output: str, scale: float, tmp_path: Path
) -> None:
    """Of a file that does not say that it is a classifier's, where the rows show it; of one that says it always."""
    numbers = np.random.default_rng(1).normal(scale=scale, size=(60, width))
    outcome = numbers.argmax(axis=1) if width > 1 else (numbers[:, 0] > 0).astype(int)
    rows = pd.DataFrame(numbers, columns=[f"x{place}" for place in range(width)]).assign(outcome=outcome)
    report = homeostat.export(exceeding(width, output), rows, tmp_path)
    noted = any("values outside 0 to 1 by rounding are clipped" in note for note in report.notes)
    assert noted == (output == "y")
    table = homeostat.model_export.columns.to_table(report.columns, rows * 20)
    model = OnnxModel(tmp_path / "model.onnx", read_loop_spec(tmp_path))
    scores = np.asarray(model.run(model.feeds(table)))
    assert (scores.min(), scores.max()) == (0, 1)


def test_raw_scores_of_a_classifier_get_no_softmax(animals: pd.DataFrame, tmp_path: Path) -> None:
    _, given = converted(animals, raw_scores=True, zipmap=False)
    with pytest.raises(
        ExportRefused, match="the LinearClassifier of the model does not return probabilities"
    ):
        homeostat.export(given, animals, tmp_path)


def vectors(rows: pd.DataFrame) -> onnx.ModelProto:
    """Three numbers per row, linear in both columns."""
    targets = np.stack([rows["amount"], rows["age"], rows["amount"] - rows["age"]], axis=1)
    fitted = LinearRegression().fit(matrix(rows), targets)
    model: onnx.ModelProto = to_onnx(fitted, matrix(rows)[:1], target_opset={"": 17, "ai.onnx.ml": 3})
    return model


def test_embedding_is_exported_without_outcomes_and_deploys(rows: pd.DataFrame, tmp_path: Path) -> None:
    given = rows.drop(columns="outcome")
    report = homeostat.export(vectors(rows), given, tmp_path / "vectors", kind="embedding")
    assert (report.kind.name, report.kind.size, report.warnings) == ("embedding", 3, ())
    loop = read_loop_spec(tmp_path / "vectors")
    assert (loop.prediction.size, loop.metric, loop.gate, loop.automation) == (3, None, None, "observe")
    store = open_model_store((tmp_path / "models").absolute().as_uri(), None)
    builder = VersionBuilder(store, ensure_keys(tmp_path / "home"), tmp_path / "log")
    manifest = builder.artifact(tmp_path / "vectors", loop).manifest
    store.get_version("vectors", manifest.version, tmp_path / "version")
    reference = pq.read_table(tmp_path / "version" / "reference.parquet")
    expected = np.stack([rows["amount"], rows["age"], rows["amount"] - rows["age"]], axis=1)
    np.testing.assert_allclose(np.stack(reference["scores"].to_numpy()), expected, rtol=1e-4, atol=1e-3)


def test_embedding_of_another_size_than_loop_yaml_is_refused(rows: pd.DataFrame, tmp_path: Path) -> None:
    given = rows.drop(columns="outcome")
    homeostat.export(vectors(rows), given, tmp_path, kind="embedding")
    text = (tmp_path / "loop.yaml").read_text()
    (tmp_path / "loop.yaml").write_text(text.replace("size: 3", "size: 4"))
    with pytest.raises(ExportRefused, match="has an embedding of size 4, the model returns 3 numbers"):
        homeostat.export(vectors(rows), given, tmp_path, kind="embedding")


@pytest.mark.parametrize(
    ("columns", "outcome", "said"),
    [(3, True, "the rows have the outcome column 'outcome'"), (1, False, "the model returns shape")],
)
def test_what_is_no_embedding_is_refused(
    rows: pd.DataFrame, tmp_path: Path, columns: int, outcome: bool, said: str
) -> None:
    given = rows if outcome else rows.drop(columns="outcome")
    model = vectors(rows)
    if columns == 1:
        fitted = LogisticRegression(max_iter=500).fit(matrix(rows), rows["outcome"])
        model = to_onnx(fitted, matrix(rows)[:1], target_opset={"": 17, "ai.onnx.ml": 3})
        model.graph.node.append(
            helper.make_node("ReduceMax", ["probabilities"], ["best"], axes=[1], keepdims=0)
        )
        model.graph.output.append(helper.make_tensor_value_info("best", TensorProto.FLOAT, [None]))
        with pytest.raises(
            ExportRefused, match="several outputs that may be its scores: 'probabilities', 'best'"
        ):
            homeostat.export(model, given, tmp_path, kind="embedding")
    with pytest.raises(ExportRefused, match=said):
        homeostat.export(model, given, tmp_path, kind="embedding", output="" if outcome else "best")


def test_numbers_per_row_without_outcomes_may_be_an_embedding(rows: pd.DataFrame, tmp_path: Path) -> None:
    with pytest.raises(ExportRefused, match="the model returns 3 numbers per row") as refused:
        homeostat.export(vectors(rows), rows.drop(columns="outcome"), tmp_path)
    assert refused.value.hint.endswith("if the numbers are an embedding, pass kind='embedding'")
