"""scikit-learn estimators and pipelines, converted by skl2onnx."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any

import numpy as np
import onnx
import pandas as pd
from onnx import TensorProto

from homeostat.model_export.columns import Column
from homeostat.model_export.named_graph import OPSETS, Graph, second_column
from homeostat.model_export.prediction_kind import VALUE, Floats, PredictionKind, of_classes
from shared.errors import ExportRefused

_PROBABILITIES = "probabilities"


class SklearnModel:
    """A fitted estimator: its columns come from `feature_names_in_`, its classes from `classes_`."""

    library = "scikit-learn"

    def __init__(self, estimator: Any, *, positive: Any = None) -> None:
        self._estimator = estimator
        self.classes: Sequence[Any] = tuple(getattr(estimator, "classes_", ()))
        if self.classes and not hasattr(estimator, "predict_proba"):
            raise ExportRefused(
                f"{type(estimator).__name__} has no predict_proba",
                hint="wrap it in sklearn.calibration.CalibratedClassifierCV, or fit a classifier with probabilities",
            )
        if not hasattr(estimator, "predict"):
            raise ExportRefused(
                f"{type(estimator).__name__} has no predict", hint="export a fitted classifier or regressor"
            )
        self.kind: PredictionKind = of_classes(self.classes, positive=positive) if self.classes else VALUE

    def column_names(self, rows: pd.DataFrame, candidates: Sequence[str]) -> Sequence[str]:
        """The names it was fitted with; fitted without names, the candidates, if they are as many."""
        known = getattr(self._estimator, "feature_names_in_", None)
        if known is not None:
            return [str(name) for name in known]
        count = getattr(self._estimator, "n_features_in_", len(candidates))
        if count != len(candidates):
            raise ExportRefused(
                f"the model was fitted with {count} columns without names; the rows have {len(candidates)}",
                hint="name the columns in the order of the fit: export(..., features=[...])",
            )
        return candidates

    def score(self, rows: pd.DataFrame) -> Floats:
        """The probability of the positive class, or the predicted value."""
        given: Any = rows if hasattr(self._estimator, "feature_names_in_") else rows.to_numpy()
        if self.kind.name == "probability":
            place = list(self.classes).index(self.kind.positive)
            return np.asarray(self._estimator.predict_proba(given)[:, place], dtype=np.float64)
        predicted = np.asarray(self._estimator.predict(given), dtype=np.float64)
        if predicted.size != len(rows):
            raise ExportRefused(
                "the model predicts several values per row",
                hint="fit one model per target; one value per row is served",
            )
        return predicted.reshape(len(rows))

    def conversions(self, columns: Sequence[Column]) -> Iterator[onnx.ModelProto]:
        """In float32 as scikit-learn computes for float32 rows, then in float64."""
        problems = []
        found = False
        for whole, real in (
            (TensorProto.INT64, TensorProto.FLOAT),
            (TensorProto.FLOAT, TensorProto.FLOAT),
            (TensorProto.DOUBLE, TensorProto.DOUBLE),
        ):
            if whole == TensorProto.INT64 and not self._takes_columns():
                continue
            try:
                model = self._convert(columns, whole, real)
            except ExportRefused:
                raise
            except Exception as error:  # skl2onnx raises its own classes, RuntimeError, ValueError and others
                problems.append(
                    str(error).strip().splitlines()[0][:300] if str(error) else type(error).__name__
                )
                continue
            found = True
            yield model
        if not found:
            raise ExportRefused(
                f"skl2onnx cannot convert this model: {problems[0]}",
                hint="use estimators and transformers from https://onnx.ai/sklearn-onnx/supported.html",
            )

    def _takes_columns(self) -> bool:
        """Whether the first step selects columns by name; anything else takes one matrix."""
        from sklearn.compose import ColumnTransformer
        from sklearn.pipeline import Pipeline

        first = self._estimator
        while isinstance(first, Pipeline):
            first = first.steps[0][1]
        return isinstance(first, ColumnTransformer)

    def _convert(self, columns: Sequence[Column], whole: int, real: int) -> onnx.ModelProto:
        from skl2onnx import to_onnx

        graph = Graph(columns)
        feeds: list[str] = []
        types: list[tuple[str, Any]] = []
        if self._takes_columns():
            for column in columns:
                element = _element(column, whole, real)
                feeds.append(graph.matrix([column], element))
                types.append((column.source, _type(element, 1)))
        else:
            texts = {column.feature.type == "category" for column in columns}
            if len(texts) > 1:
                raise ExportRefused(
                    "the model takes texts and numbers in one matrix",
                    hint="prepare the columns in a sklearn.compose.ColumnTransformer, the pipeline's first step",
                )
            element = TensorProto.STRING if True in texts else real
            feeds.append(graph.matrix(columns, element))
            types.append(("X", _type(element, len(columns))))
        options = {"zipmap": False} if self.classes else None
        inner = to_onnx(self._estimator, initial_types=types, options=options, target_opset=OPSETS)
        names = [output.name for output in inner.graph.output]
        # skl2onnx renames inputs whose names are no identifiers, and keeps their order.
        connected = dict(zip((one.name for one in inner.graph.input), feeds, strict=True))
        output = graph.include(inner, connected, _PROBABILITIES if _PROBABILITIES in names else names[-1])
        if self.kind.name == "probability":
            output = second_column(graph, output, list(self.classes).index(self.kind.positive))
        return graph.finish(output)


def _element(column: Column, whole: int, real: int) -> int:
    kinds = {"number": real, "integer": whole, "category": TensorProto.STRING}
    return kinds.get(column.feature.type, whole)


def _type(element: int, width: int) -> Any:
    from skl2onnx.common import data_types

    kinds: dict[int, Any] = {
        TensorProto.FLOAT: data_types.FloatTensorType,
        TensorProto.DOUBLE: data_types.DoubleTensorType,
        TensorProto.INT64: data_types.Int64TensorType,
        TensorProto.STRING: data_types.StringTensorType,
    }
    return kinds[element]([None, width])
