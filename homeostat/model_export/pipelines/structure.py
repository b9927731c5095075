"""How a fitted estimator is built: its first step, its last one, and the columns it reads."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any

import pandas as pd

from shared.errors import ExportRefused


def only_text(rows: pd.DataFrame, candidates: Sequence[str]) -> str:
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


def class_name(estimator: Any) -> str:
    """The class that a message names: of a pipeline, the last step's."""
    return type(split_steps(estimator)[1]).__name__


def first_step(estimator: Any) -> Any:
    """The first step of a pipeline, also of pipelines within it; another estimator itself."""
    from sklearn.pipeline import Pipeline

    while isinstance(estimator, Pipeline):
        estimator = estimator.steps[0][1]
    return estimator


def used_places(first: Any, count: int) -> set[int]:
    """Places of the columns that a ColumnTransformer does not drop: it is often fitted on frames that hold the outcome too."""
    places = getattr(first, "_transformer_to_input_indices", None)
    if places is None:
        return set(range(count))
    kept = [name for name, step, _ in first.transformers_ if not (isinstance(step, str) and step == "drop")]
    return {int(place) for name in kept for place in places[name]}


def split_steps(estimator: Any) -> tuple[Any, Any]:
    """The pipeline before its last step (None if there is nothing before), and the last step."""
    from sklearn.pipeline import Pipeline

    if not isinstance(estimator, Pipeline):
        return None, estimator
    if len(estimator.steps) == 1:
        return None, estimator.steps[0][1]
    return estimator[:-1], estimator.steps[-1][1]


def prepared_splits(estimator: Any) -> Iterator[tuple[Any, Any]]:
    """Steps whose columns may each come from one raw column, and the rest: all before the last one, then the first one."""
    steps, last = split_steps(estimator)
    if steps is None:
        return
    yield steps, last
    if len(steps.steps) > 1:
        yield estimator[:1], estimator[1:]
