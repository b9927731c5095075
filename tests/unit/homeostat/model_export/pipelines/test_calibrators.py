from __future__ import annotations

from typing import Any

import numpy as np
import onnxruntime
import pytest
from sklearn.isotonic import IsotonicRegression
from sklearn.preprocessing import FunctionTransformer, PowerTransformer, StandardScaler

from homeostat.model_export.columns import Column
from homeostat.model_export.named_graph import Graph
from homeostat.model_export.pipelines.calibrators import add_calibrated, add_inverse
from shared.contracts.feature import Feature
from shared.errors import ExportRefused

SCORES = np.linspace(-0.5, 1.5, 41)


def run(graph: Graph, tensor: str, *, classes: int = 0) -> Any:
    session = onnxruntime.InferenceSession(graph.finish(tensor, classes=classes).SerializeToString())
    return session.run(None, {"score_": SCORES[:, None].astype(np.float32)})[0]


def graph() -> tuple[Graph, str]:
    made = Graph([Column("score_", Feature(name="score_", type="number"))])
    return made, made.node("Cast", ["score_"], to=11)


def test_isotonic_calibration_interpolates_and_stays_at_the_ends() -> None:
    known = np.array([0.1, 0.2, 0.2001, 0.6, 0.9])
    fitted = IsotonicRegression(out_of_bounds="clip").fit(known, [0.0, 0.3, 0.3, 0.7, 1.0])
    made, scores = graph()
    found = run(made, add_calibrated(made, [fitted], scores))
    np.testing.assert_allclose(found, fitted.predict(SCORES.astype(np.float32)), atol=1e-6)
    assert (found[0], found[-1]) == (0.0, 1.0)


def test_classes_that_all_get_zero_are_equally_probable() -> None:
    step = IsotonicRegression(out_of_bounds="clip").fit([0.5, 0.6], [0.0, 1.0])
    made, scores = graph()
    side = made.node("Concat", [scores, scores], axis=1)
    found = run(made, add_calibrated(made, [step, step], side), classes=2)
    np.testing.assert_allclose(found, np.full((len(SCORES), 2), 0.5))


@pytest.mark.parametrize(
    ("function", "inverse"),
    [(np.log1p, np.expm1), (np.log, np.exp), (np.sqrt, np.square), (np.expm1, np.log1p)],
)
def test_inverse_of_a_function(function: Any, inverse: Any) -> None:
    made, scores = graph()
    found = run(made, add_inverse(made, FunctionTransformer(function, inverse), scores))
    np.testing.assert_allclose(found, inverse(SCORES.astype(np.float32)), rtol=1e-6)


def test_inverse_of_a_scaler_is_a_line() -> None:
    scaler = StandardScaler().fit([[10.0], [20.0], [60.0]])
    made, scores = graph()
    found = run(made, add_inverse(made, scaler, scores))
    np.testing.assert_allclose(found, scaler.inverse_transform(SCORES[:, None]).ravel(), rtol=1e-6)


def test_unknown_inverse_is_refused_with_what_to_use() -> None:
    made, scores = graph()
    with pytest.raises(ExportRefused, match="PowerTransformer, cannot be exported.*np.expm1"):
        add_inverse(made, PowerTransformer().fit([[1.0], [2.0], [9.0]]), scores)
