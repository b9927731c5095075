from __future__ import annotations

from typing import Any

import numpy as np
import onnx
import pandas as pd
import pytest
from onnx import TensorProto, helper

from homeostat.model_export.libraries.class_outputs import class_output, classifier_in_file, softmax
from shared.errors import ExportRefused

LOGITS = np.array([[2.0, -1.0, 0.5], [0.0, 0.0, 3.0]])
EVEN = np.full((2, 3), 1 / 3)


@pytest.mark.parametrize(
    ("outcomes", "labels", "order"),
    [
        ([2, 0, 2], (0, 1, 2), "0 to 2, like the outcomes"),
        ([2.0, None, 1.0], (0, 1, 2), "0 to 2, like the outcomes"),
        (["dog", "cat", "bird"], ("bird", "cat", "dog"), "bird, cat, dog (the outcomes, sorted)"),
        ([7, 30, 5], (5, 7, 30), "5, 7, 30 (the outcomes, sorted)"),
    ],
)
def test_labels_come_from_the_outcomes(outcomes: list[Any], labels: tuple[Any, ...], order: str) -> None:
    output = class_output(EVEN, pd.Series(outcomes), named=None)
    assert (output.labels, output.logits) == (labels, False)
    assert output.notes == (f"labels in the order of the output: {order}",)


def test_given_labels_go_before_those_of_the_file() -> None:
    output = class_output(LOGITS, None, named=list(np.array(["a", "b", "c"])), known=("x", "y", "z"))
    assert (output.labels, output.logits) == (("a", "b", "c"), True)
    assert class_output(LOGITS, None, named=None, known=("x", "y", "z")).labels == ("x", "y", "z")


@pytest.mark.parametrize("outcomes", [None, ["cat", "dog"], [1, 2, 3, 4], ["cat", 1, 2]])
def test_unknown_labels_are_requested(outcomes: list[Any] | None) -> None:
    column = None if outcomes is None else pd.Series(outcomes, dtype=object)
    with pytest.raises(ExportRefused, match="3 numbers per row") as refused:
        class_output(EVEN, column, named=None)
    assert "labels=[" in refused.value.hint


def test_number_of_labels_must_fit() -> None:
    with pytest.raises(ExportRefused, match="labels= names 2 different classes, and the model returns 3"):
        class_output(EVEN, None, named=["a", "b", "b"])


def test_several_labels_per_row_are_refused() -> None:
    with pytest.raises(ExportRefused, match="several labels per row"):
        class_output(np.array([[0.9, 0.8, 0.1]]), pd.Series([1]), named=None)


ABOVE = float(np.nextafter(np.float32(1), np.float32(2)))


def test_rounding_above_one_is_no_logit() -> None:
    forest = np.array([[ABOVE, 0.0, 0.0], [1 - ABOVE, 0.5, 0.5]])
    assert not class_output(forest, None, named=["a", "b", "c"]).logits


def test_softmax_note_has_the_figures() -> None:
    output = class_output(LOGITS, None, named=["a", "b", "c"])
    assert output.notes == (
        "the outputs range from -1 to 3 and their rows sum to between 1.5 and 3, so a softmax was added: "
        "row 0 is 2, -1, 0.5 and is served as 0.786, 0.0391, 0.175",
    )


@pytest.mark.parametrize(
    ("scores", "classifier", "said"),
    [
        (
            LOGITS,
            "LinearClassifier",
            "the LinearClassifier of the model does not return probabilities.*-1 to 3",
        ),
        (np.array([[1.5, -0.5, 0.0]]), "", "the model does not return probabilities.*-0.5 to 1.5.*sum to 1"),
    ],
)
def test_no_softmax_on_scores_of_classifiers(scores: Any, classifier: str, said: str) -> None:
    with pytest.raises(ExportRefused, match=said) as refused:
        class_output(scores, None, named=["a", "b", "c"], classifier=classifier)
    assert "CalibratedClassifierCV" in refused.value.hint


def graph(nodes: list[onnx.NodeProto], output: str) -> onnx.ModelProto:
    tensors = [helper.make_tensor_value_info(name, TensorProto.FLOAT, ["N", 2]) for name in ("X", output)]
    return helper.make_model(helper.make_graph(nodes, "graph", tensors[:1], tensors[1:]))


def test_classifier_behind_an_output_is_found() -> None:
    def one(kind: str, given: str, made: list[str]) -> onnx.NodeProto:
        return helper.make_node(kind, [given], made)

    trees = one("TreeEnsembleClassifier", "X", ["label", "raw"])
    normalized = one("Normalizer", "raw", ["scores"])
    assert classifier_in_file(graph([trees, normalized], "scores"), "scores") == "TreeEnsembleClassifier"
    stacked = one("Gemm", "raw", ["scores"])
    assert classifier_in_file(graph([trees, stacked], "scores"), "scores") == ""
    named = one("Relu", "X", ["Probabilities"])
    assert classifier_in_file(graph([named], "Probabilities"), "Probabilities") == "output 'Probabilities'"
    assert classifier_in_file(graph([one("Relu", "X", ["logits"])], "logits"), "logits") == ""


def test_softmax_of_large_logits_is_finite() -> None:
    np.testing.assert_allclose(
        softmax(np.array([[1000.0, 1000.0], [0.0, np.log(3)]])), [[0.5, 0.5], [0.25, 0.75]]
    )
