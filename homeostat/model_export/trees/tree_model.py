"""A fitted tree ensemble as a model to export; the modules of the libraries say how it is read and scored."""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterator, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import onnx
import pandas as pd
from onnx import TensorProto

from homeostat.model_export.columns import Column
from homeostat.model_export.named_graph import Graph
from homeostat.model_export.prediction_kind import Floats, PredictionKind
from homeostat.model_export.trees.ensemble import Ensemble, for_rounded_numbers
from homeostat.model_export.trees.tree_graph import add_ensemble, add_positions
from shared.errors import ExportRefused

# Of one classifier per class: the scores that a library returns do not sum to 1, and the export's do.
SHARES_OF_SUM = (
    "the original's probabilities of a row do not sum to 1 ({objective} fits each class against the rest): "
    "the exported model divides them by their sum"
)


@dataclass(frozen=True)
class TreeModel:
    """`names`: the columns of the fit, empty if unknown. `predict` scores rows; `read` returns the ensemble for the columns.

    `spaces_replaced`: in `names` every space is an underscore, as LightGBM stores them.
    """

    library: str
    kind: PredictionKind
    classes: Sequence[Any]
    names: Sequence[str]
    count: int
    predict: Callable[[pd.DataFrame], Any]
    read: Callable[[Sequence[Column], pd.DataFrame], Ensemble]
    notes: Sequence[str] = ()
    warnings: Sequence[str] = ()
    spaces_replaced: bool = False

    def column_names(self, rows: pd.DataFrame, candidates: Sequence[str]) -> Sequence[str]:
        """The names of the fit; without names, the candidates, if they are as many."""
        names = with_spaces(self.names, candidates) if self.spaces_replaced else self.names
        return names_or_candidates(names, self.count, candidates)

    def text_columns(self, names: Sequence[str]) -> Collection[str]:
        """None: a tree compares categories, it reads no texts."""
        return ()

    def listed_columns(self, names: Sequence[str]) -> Collection[str]:
        """None: the trees have a list of their categories."""
        return ()

    def score(self, rows: pd.DataFrame) -> Floats:
        """The library's own scores."""
        scores = np.asarray(self.predict(rows), dtype=np.float64)
        if self.kind.name == "classes":
            return scores.reshape(len(rows), len(self.classes))
        if scores.size != len(rows):
            raise ExportRefused(
                "the model predicts several values per row",
                hint="fit one model per target; one value per row is served",
            )
        return scores.reshape(len(rows))

    def conversions(self, columns: Sequence[Column], rows: pd.DataFrame) -> Iterator[onnx.ModelProto]:
        """The ensemble's own thresholds and leaves, in float64."""
        yield from ensemble_conversions(self.read(columns, rows), columns, rows)


def ensemble_conversions(
    ensemble: Ensemble,
    columns: Sequence[Column],
    rows: pd.DataFrame,
    *,
    values: int = 0,
    words: int = 0,
    add_words: Callable[[Graph], str] | None = None,
) -> Iterator[onnx.ModelProto]:
    """The one conversion of an ensemble whose columns are the features, and after them `words` numbers of `add_words`.

    `values`: how many numbers the score has, of a regression of several.
    """
    wide = {
        place: np.unique(rows[column.source].dropna().to_numpy(dtype=np.float64))
        for place, column in enumerate(columns)
        if column.feature.type == "number" and rows[column.source].dtype != np.float32
    }
    ensemble = for_rounded_numbers(ensemble, wide)
    tables = ensemble.tables()
    numbers = [column for column in columns if column.feature.type not in ("category", "text")]
    places = {place: numbers.index(column) for place, column in enumerate(columns) if column in numbers}
    places |= {len(columns) + place: len(numbers) + place for place in range(words)}
    split = {node.column for tree in ensemble.trees for node in tree if node.left_positions is None}
    for place in split - {-1} - set(places):
        raise ExportRefused(
            f"the model compares the column {columns[place].source!r}, a text, as a number",
            hint="pass rows with pandas categoricals, as in the fit",
        )
    graph = Graph(columns)
    matrix = graph.matrix(numbers, TensorProto.DOUBLE) if numbers else ""
    if add_words is not None:
        counts = add_words(graph)
        matrix = graph.node("Concat", [matrix, counts], axis=1) if matrix else counts
    positions = {place: add_positions(graph, columns[place], table) for place, table in tables.items()}
    scores = add_ensemble(graph, ensemble, numbers=matrix, places=places, positions=positions)
    yield graph.finish(scores, classes=0 if values else ensemble.width, values=values)


def names_or_candidates(names: Sequence[str], count: int, candidates: Sequence[str]) -> Sequence[str]:
    """The names of the fit; without names, the candidates. Raises ExportRefused if these are not as many as the fit had."""
    if names:
        return names
    if count != len(candidates):
        raise ExportRefused(
            f"the model was fitted with {count} columns without names; the rows have {len(candidates)}",
            hint="name the columns in the order of the fit: export(..., features=[...])",
        )
    return candidates


def with_spaces(names: Sequence[str], candidates: Sequence[str]) -> list[str]:
    """The names as the rows have them, where LightGBM replaced spaces by underscores; a name without a candidate stays.

    >>> with_spaces(["mean_radius", "a_b", "age"], ["age", "mean radius", "a b", "a_b"])
    ['mean radius', 'a_b', 'age']
    """
    replaced = {name.replace(" ", "_"): name for name in candidates}
    return [name if name in candidates else replaced.get(name, name) for name in names]
