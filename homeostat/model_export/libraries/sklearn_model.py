"""scikit-learn estimators and pipelines, converted by skl2onnx."""

from __future__ import annotations

from collections.abc import Collection, Iterator, Sequence
from typing import Any

import numpy as np
import onnx
import pandas as pd
from onnx import TensorProto

from homeostat.model_export.columns import Column
from homeostat.model_export.libraries.columnwise import NotColumnwise, through_steps
from homeostat.model_export.libraries.ensembles import read_ensemble
from homeostat.model_export.named_graph import OPSETS, Graph, second_column
from homeostat.model_export.prediction_kind import Floats, PredictionKind, of_classes, of_values
from homeostat.model_export.text.vectorizers import (
    TEXT_OPSETS,
    check_vectorizers,
    converters,
    has_vectorizer,
    text_columns,
)
from homeostat.model_export.trees.ensemble import Ensemble
from homeostat.model_export.trees.tree_graph import add_matrix_ensemble
from homeostat.model_export.trees.tree_model import ensemble_conversions, names_or_candidates
from shared.errors import ExportRefused

_PROBABILITIES = "probabilities"


class SklearnModel:
    """A fitted estimator: its columns come from `feature_names_in_`, its classes from `classes_`."""

    library = "scikit-learn"
    notes: Sequence[str] = ()

    def __init__(self, estimator: Any, *, positive: Any = None, names: Sequence[str] = ()) -> None:
        self._estimator = estimator
        check_vectorizers(estimator)
        self._reads_one_text = text_columns(estimator) is None
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
        self.kind: PredictionKind = (
            of_classes(self.classes, positive=positive) if self.classes else of_values(names)
        )

    def column_names(self, rows: pd.DataFrame, candidates: Sequence[str]) -> Sequence[str]:
        """The names it was fitted with; fitted without names, the candidates, if they are as many. Of a vectorizer, the text."""
        if self._reads_one_text:
            return [_only_text(rows, candidates)]
        known = getattr(self._estimator, "feature_names_in_", None)
        if known is not None:
            used = _used_places(_first_step(self._estimator), len(known))
            return [str(name) for place, name in enumerate(known) if place in used]
        count = getattr(self._estimator, "n_features_in_", len(candidates))
        return names_or_candidates((), count, candidates)

    def text_columns(self, names: Sequence[str]) -> Collection[str]:
        """The columns that vectorizers read."""
        known = text_columns(self._estimator)
        return frozenset(names) if known is None else known

    def score(self, rows: pd.DataFrame) -> Floats:
        """The probability of the positive class, or the predicted value or values."""
        given = self._given(rows)
        if self.classes:
            probabilities = np.asarray(self._estimator.predict_proba(given), dtype=np.float64)
            place = self._place()
            return probabilities if place is None else probabilities[:, place]
        predicted = np.asarray(self._estimator.predict(given), dtype=np.float64)
        names = self.kind.names
        if names and predicted.shape == (len(rows), len(names)):
            return predicted
        if names or predicted.size != len(rows):
            raise ExportRefused(
                f"the model predicts several values per row: {list(predicted.shape)} for {len(rows)} rows",
                hint="name the column of each value, in the model's order: outcome=['low', 'mid', 'high']",
            )
        return predicted.reshape(len(rows))

    def conversions(self, columns: Sequence[Column], rows: pd.DataFrame) -> Iterator[onnx.ModelProto]:
        """Of trees: their own thresholds and leaves, after steps in float64, then float32. Of others: float32 first."""
        steps, last = _steps(self._estimator)
        # Of several values skl2onnx converts the trees.
        ensemble = (
            None
            if self.kind.names
            else read_ensemble(last, class_place=self._place(), classes=len(self.kind.labels))
        )
        if ensemble is not None and not steps:
            yield from ensemble_conversions(ensemble, columns, rows)
            return
        problems = []
        found = False
        if ensemble is not None:
            try:
                raw = through_steps(steps, ensemble, columns, rows)
            except NotColumnwise as error:
                problems.append(str(error))
            else:
                yield from ensemble_conversions(raw, columns, rows)
                return
        gaps = ensemble is not None and ensemble.gaps_are_missing and self._is_sparse(steps, rows)
        precisions = [
            (TensorProto.INT64, TensorProto.FLOAT),
            (TensorProto.FLOAT, TensorProto.FLOAT),
            (TensorProto.DOUBLE, TensorProto.DOUBLE),
        ]
        for whole, real in precisions if ensemble is None else reversed(precisions):
            if whole == TensorProto.INT64 and not self._takes_columns():
                continue
            try:
                if ensemble is None:
                    model = self._convert(columns, whole, real)
                else:
                    model = self._convert_steps(steps, ensemble, columns, whole, real, gaps=gaps)
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

        return isinstance(_first_step(self._estimator), ColumnTransformer)

    def _given(self, rows: pd.DataFrame) -> Any:
        """The rows as the estimator was fitted on them."""
        if self._reads_one_text:
            return rows.iloc[:, 0]
        return rows if hasattr(self._estimator, "feature_names_in_") else rows.to_numpy()

    def _place(self) -> int | None:
        return list(self.classes).index(self.kind.positive) if self.kind.name == "probability" else None

    def _convert(self, columns: Sequence[Column], whole: int, real: int) -> onnx.ModelProto:
        graph = Graph(columns)
        options = {"zipmap": False} if self.classes else None
        output = self._include(graph, self._estimator, columns, whole, real, options)
        place = self._place()
        return graph.finish(
            output if place is None else second_column(graph, output, place),
            classes=len(self.kind.labels),
            values=len(self.kind.names),
        )

    def _convert_steps(
        self,
        steps: Any,
        ensemble: Ensemble,
        columns: Sequence[Column],
        whole: int,
        real: int,
        *,
        gaps: bool,
    ) -> onnx.ModelProto:
        """The steps before the last by skl2onnx; the last one's trees on the matrix that they return.

        `gaps`: the matrix is sparse, and what it does not store is missing to the trees; it stores no zeros.
        """
        graph = Graph(columns)
        matrix = self._include(graph, steps, columns, whole, real, None)
        numbers = graph.node("Cast", [matrix], to=TensorProto.DOUBLE)
        if gaps:
            empty = graph.node("Equal", [numbers, graph.constant(np.array(0.0))])
            numbers = graph.node("Where", [empty, graph.constant(np.array(np.nan)), numbers])
        return graph.finish(add_matrix_ensemble(graph, ensemble, numbers), classes=ensemble.width)

    def _is_sparse(self, steps: Any, rows: pd.DataFrame) -> bool:
        """Whether the steps return a sparse matrix."""
        return hasattr(steps.transform(self._given(rows.iloc[:2])), "tocoo")

    def _include(
        self, graph: Graph, estimator: Any, columns: Sequence[Column], whole: int, real: int, options: Any
    ) -> str:
        from skl2onnx import convert_sklearn

        feeds: list[str] = []
        types: list[tuple[str, Any]] = []
        if self._takes_columns():
            for column in columns:
                element = _element(column, whole, real)
                feeds.append(graph.matrix([column], element))
                types.append((column.source, _type(element, 1)))
        else:
            texts = {column.feature.type in ("category", "text") for column in columns}
            if len(texts) > 1:
                raise ExportRefused(
                    "the model takes texts and numbers in one matrix",
                    hint="prepare the columns in a sklearn.compose.ColumnTransformer, the pipeline's first step",
                )
            element = TensorProto.STRING if True in texts else real
            feeds.append(graph.matrix(columns, element))
            types.append(("X", _type(element, len(columns))))
        opsets, extra = OPSETS, {}
        if has_vectorizer(estimator):
            opsets, extra = OPSETS | TEXT_OPSETS, converters(real)
        inner = convert_sklearn(estimator, initial_types=types, options=options, target_opset=opsets, **extra)
        names = [output.name for output in inner.graph.output]
        # skl2onnx renames inputs whose names are no identifiers, and keeps their order.
        connected = dict(zip((one.name for one in inner.graph.input), feeds, strict=True))
        output = _PROBABILITIES if _PROBABILITIES in names else names[-1]
        # It declares the lowest versions that have the operators, and writes them as asked for.
        return graph.include(inner, connected, output, opsets=opsets)


def _only_text(rows: pd.DataFrame, candidates: Sequence[str]) -> str:
    """The column that a pipeline beginning with a vectorizer reads: the only candidate, or the only one with texts."""
    known = [name for name in candidates if name in rows]
    texts = [name for name in known if any(isinstance(value, str) for value in rows[name])]
    found = known if len(known) == 1 else texts
    if len(found) != 1:
        raise ExportRefused(
            f"the model reads one column of texts, and the rows have {', '.join(found) or 'none'}",
            hint="name the column: export(..., features=['review'])",
        )
    return str(found[0])


def _first_step(estimator: Any) -> Any:
    from sklearn.pipeline import Pipeline

    while isinstance(estimator, Pipeline):
        estimator = estimator.steps[0][1]
    return estimator


def _used_places(first: Any, count: int) -> set[int]:
    """Places of the columns that a ColumnTransformer does not drop: it is often fitted on frames that hold the outcome too."""
    places = getattr(first, "_transformer_to_input_indices", None)
    if places is None:
        return set(range(count))
    kept = [name for name, step, _ in first.transformers_ if not (isinstance(step, str) and step == "drop")]
    return {int(place) for name in kept for place in places[name]}


def _steps(estimator: Any) -> tuple[Any, Any]:
    """The pipeline before its last step (None if there is nothing before), and the last step."""
    from sklearn.pipeline import Pipeline

    if not isinstance(estimator, Pipeline):
        return None, estimator
    if len(estimator.steps) == 1:
        return None, estimator.steps[0][1]
    return estimator[:-1], estimator.steps[-1][1]


def _element(column: Column, whole: int, real: int) -> int:
    if column.feature.type == "integer" and column.feature.nullable:
        return real
    kinds = {"number": real, "integer": whole, "category": TensorProto.STRING, "text": TensorProto.STRING}
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
