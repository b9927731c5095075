from __future__ import annotations

from sklearn.linear_model import LogisticRegression
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import KBinsDiscretizer, SplineTransformer, StandardScaler

from homeostat.model_export.pipelines.skl2onnx_nodes import conversion_hint


def test_hint_names_the_steps_without_a_converter() -> None:
    hint = conversion_hint(make_pipeline(StandardScaler(), SplineTransformer(), LogisticRegression()))
    assert hint.startswith("skl2onnx has no converter of SplineTransformer: use estimators")


def test_hint_names_unsupported_options() -> None:
    hint = conversion_hint(make_pipeline(StandardScaler(), KBinsDiscretizer(), LogisticRegression()))
    assert hint.startswith("skl2onnx has converters of these steps, but not of their options or columns")
