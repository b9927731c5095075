"""scikit-learn estimators and pipelines, converted by skl2onnx."""

from __future__ import annotations

from collections.abc import Collection, Iterator, Sequence
from dataclasses import replace
from typing import Any

import numpy as np
import onnx
import pandas as pd
from onnx import TensorProto

from homeostat.model_export.columns import Column
from homeostat.model_export.libraries.ensembles import read_ensemble
from homeostat.model_export.named_graph import Graph, second_column
from homeostat.model_export.pipelines.columnwise import through_steps
from homeostat.model_export.pipelines.composites import (
    Composite,
    MakePart,
    composite_conversions,
    read_composite,
    unwrapped,
)
from homeostat.model_export.pipelines.listed_texts import listed_texts
from homeostat.model_export.pipelines.preparation import NotColumnwise
from homeostat.model_export.pipelines.prepared_columns import add_prepared
from homeostat.model_export.pipelines.rounded_steps import for_rounded_rows
from homeostat.model_export.pipelines.skl2onnx_nodes import (
    add_columns,
    add_estimator,
    conversion_hint,
    first_line,
    raw_options,
)
from homeostat.model_export.pipelines.structure import (
    class_name,
    first_step,
    only_text,
    prepared_splits,
    split_steps,
    used_places,
)
from homeostat.model_export.prediction_kind import Floats, PredictionKind, of_classes, of_values
from homeostat.model_export.source_model import SourceModel
from homeostat.model_export.text.vectorizers import check_vectorizers, text_columns
from homeostat.model_export.trees.ensemble import Ensemble
from homeostat.model_export.trees.tree_graph import add_matrix_ensemble
from homeostat.model_export.trees.tree_model import ensemble_conversions, names_or_candidates, with_spaces
from shared.errors import ExportRefused


class SklearnModel:
    """A fitted estimator: its columns come from `feature_names_in_`, its classes from `classes_`.

    `raw`: a part of another estimator, which uses its decision function. `make_part`: the interface of a part of this one.
    """

    library = "scikit-learn"
    notes: Sequence[str] = ()
    warnings: Sequence[str] = ()

    def __init__(
        self,
        estimator: Any,
        *,
        positive: Any = None,
        names: Sequence[str] = (),
        raw: bool = False,
        make_part: MakePart | None = None,
    ) -> None:
        from sklearn.base import is_clusterer, is_outlier_detector

        self._estimator = estimator
        self._core = unwrapped(estimator)
        self._raw = raw
        self._make_part = make_part
        check_vectorizers(self._core)
        self._reads_one_text = text_columns(self._core) is None
        if not hasattr(estimator, "predict") or is_clusterer(estimator) or is_outlier_detector(estimator):
            raise ExportRefused(
                f"{type(self._core).__name__} is neither a classifier nor a regressor",
                hint="export a fitted classifier or regressor",
            )
        if isinstance(getattr(estimator, "classes_", None), list):
            raise ExportRefused("the model predicts several values per row", hint="fit one model per target")
        self.classes: Sequence[Any] = tuple(getattr(estimator, "classes_", ()))
        if self.classes and not raw and not hasattr(estimator, "predict_proba"):
            raise ExportRefused(
                f"{class_name(self._core)} has no predict_proba",
                hint="wrap it in sklearn.calibration.CalibratedClassifierCV, or fit a classifier with probabilities",
            )
        self.kind: PredictionKind = (
            of_classes(self.classes, positive=positive) if self.classes else of_values(names)
        )

    def column_names(self, rows: pd.DataFrame, candidates: Sequence[str]) -> Sequence[str]:
        """The names it was fitted with; fitted without names, the candidates, if they are as many. Of a vectorizer, the text."""
        if self._reads_one_text:
            return [only_text(rows, candidates)]
        known = getattr(self._estimator, "feature_names_in_", None)
        parts = self._parts()
        if known is None and parts and all(getattr(part, "names", ()) for part in parts):
            # CatBoost has names of its own.
            known = parts[0].column_names(rows, candidates)
        if known is not None:
            # Estimators made of others take over the names of LightGBM, in which spaces are replaced.
            known = with_spaces(list(map(str, known)), candidates) if parts else known
            used = used_places(first_step(self._core), len(known))
            names = [str(name) for place, name in enumerate(known) if place in used]
            read = {one for part in parts for one in part.column_names(rows, names)}
            return [name for name in names if name in read or not parts]
        count = getattr(self._estimator, "n_features_in_", len(candidates))
        return names_or_candidates((), count, candidates)

    def text_columns(self, names: Sequence[str]) -> Collection[str]:
        """The columns that vectorizers read."""
        if self._reads_one_text:
            return frozenset(names)
        known = text_columns(self._core) or frozenset()
        parts = self._parts()
        return known.union(*(part.text_columns(names) for part in parts))

    def listed_columns(self, names: Sequence[str]) -> Collection[str]:
        """The columns that pass a function before an encoder."""
        return listed_texts(self._core, names).union(*(part.listed_columns(names) for part in self._parts()))

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
                hint="name the column of each value, in the model's order: outcome=['low', 'mid', 'high']; on the command line "
                "--outcome low --outcome mid --outcome high",
            )
        return predicted.reshape(len(rows))

    def conversions(self, columns: Sequence[Column], rows: pd.DataFrame) -> Iterator[onnx.ModelProto]:
        """Of trees: their own thresholds and leaves, after steps in float64, then float32. Of others: float32 first."""
        problems: list[Exception] = []
        try:
            composite = self._composite()
            if composite is not None and self._make_part is not None:
                yield from composite_conversions(
                    composite, columns, rows, make=self._make_part, finish=self._finish
                )
        except ExportRefused as error:
            problems.append(error)
        steps, last = split_steps(self._core)
        values = len(self.kind.names)
        ensemble = read_ensemble(last, class_place=self._place(), classes=len(self.kind.labels))
        if ensemble is not None and self._raw:
            ensemble = replace(ensemble, link="identity", scale=1.0)
        if ensemble is not None and not steps:
            yield from ensemble_conversions(ensemble, columns, rows, values=values)
            return
        found = False
        if ensemble is not None:
            try:
                raw = through_steps(steps, ensemble, columns, rows)
                yield from ensemble_conversions(
                    raw.ensemble, columns, rows, values=values, words=raw.words, add_words=raw.add_words
                )
                return
            except NotColumnwise as error:
                problems.append(error)
        gaps = ensemble is not None and ensemble.gaps_are_missing and self._is_sparse(steps, rows)
        if ensemble is not None:
            ensemble = for_rounded_rows(ensemble, steps, rows, self._given)
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
                problems.append(error)
                continue
            found = True
            yield model
        for head, rest in [] if gaps else prepared_splits(self._core):
            try:
                yield self._convert_prepared(head, rest, columns, rows, ensemble if rest is last else None)
                found = True
            except (NotColumnwise, ExportRefused) as error:
                problems.append(error)
        if not found:
            if isinstance(problems[0], ExportRefused):
                raise problems[0]  # of a part; it has a hint of its own
            raise ExportRefused(
                f"skl2onnx cannot convert this model: {first_line(problems[0])}",
                hint=conversion_hint(self._core),
            )

    def _named(self) -> bool:
        """Whether it takes a DataFrame, or parts of it do."""
        composite = self._composite()
        parts = [self._estimator] if composite is None else composite.parts
        return any(
            hasattr(one, "feature_names_in_") or hasattr(one, "feature_names_")
            for one in [self._estimator, *parts]
        )

    def _takes_columns(self) -> bool:
        """Whether the first step selects columns by name; anything else takes one matrix."""
        from sklearn.compose import ColumnTransformer

        return isinstance(first_step(self._core), ColumnTransformer)

    def _given(self, rows: pd.DataFrame) -> Any:
        """The rows as the estimator was fitted on them."""
        if self._reads_one_text:
            return rows.iloc[:, 0]
        return rows if self._named() else rows.to_numpy()

    def _place(self) -> int | None:
        return list(self.classes).index(self.kind.positive) if self.kind.name == "probability" else None

    def _parts(self) -> list[SourceModel]:
        composite = self._composite()
        if composite is None or self._make_part is None:
            return []
        return [self._make_part(part, True) for part in composite.parts]

    def _composite(self) -> Composite | None:
        if self._raw:
            return None
        return read_composite(self._core, classes=len(self.kind.labels), values=len(self.kind.names))

    def _finish(self, graph: Graph, scores: str) -> onnx.ModelProto:
        """`scores`: of two classes, the probability of the second."""
        if self._place() == 0:
            scores = graph.node("Sub", [graph.constant(np.array(1.0)), scores])
        return graph.finish(scores, classes=len(self.kind.labels), values=len(self.kind.names))

    def _convert(self, columns: Sequence[Column], whole: int, real: int) -> onnx.ModelProto:
        graph = Graph(columns)
        options: Any = {"zipmap": False} if self.classes else None
        if self._raw:
            options = raw_options(split_steps(self._core)[1])
        output = add_columns(graph, self._core, columns, whole, real, options, by_name=self._takes_columns())
        place = self._place()
        return graph.finish(
            output if place is None else second_column(graph, output, place),
            classes=len(self.kind.labels),
            values=len(self.kind.names),
        )

    def _convert_prepared(
        self, head: Any, rest: Any, columns: Sequence[Column], rows: pd.DataFrame, ensemble: Ensemble | None
    ) -> onnx.ModelProto:
        """The first steps as tables and lines of single columns; the others on the matrix that these make."""
        graph = Graph(columns)
        matrix, width = add_prepared(graph, head, columns, rows)
        if ensemble is not None:
            scores = add_matrix_ensemble(graph, ensemble, matrix)
            return graph.finish(scores, classes=len(self.kind.labels), values=len(self.kind.names))
        scores = add_estimator(graph, rest, matrix, width, classes=len(self.kind.labels), raw=self._raw)
        return self._finish(graph, scores)

    def _convert_steps(
        self, steps: Any, ensemble: Ensemble, columns: Sequence[Column], whole: int, real: int, *, gaps: bool
    ) -> onnx.ModelProto:
        """The steps before the last by skl2onnx; the last one's trees on the matrix that they return.

        `gaps`: the matrix is sparse, and what it does not store is missing to the trees; it stores no zeros.
        """
        graph = Graph(columns)
        matrix = add_columns(graph, steps, columns, whole, real, None, by_name=self._takes_columns())
        numbers = graph.node("Cast", [matrix], to=TensorProto.DOUBLE)
        if gaps:
            empty = graph.node("Equal", [numbers, graph.constant(np.array(0.0))])
            numbers = graph.node("Where", [empty, graph.constant(np.array(np.nan)), numbers])
        scores = add_matrix_ensemble(graph, ensemble, numbers)
        return graph.finish(scores, classes=len(self.kind.labels), values=len(self.kind.names))

    def _is_sparse(self, steps: Any, rows: pd.DataFrame) -> bool:
        """Whether the steps return a sparse matrix."""
        return hasattr(steps.transform(self._given(rows.iloc[:2])), "tocoo")
