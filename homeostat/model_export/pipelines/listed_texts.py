"""Texts that reach a step which may know more of them than the rows have: a function of one's own has no list of categories."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from homeostat.model_export.pipelines.structure import split_steps


def listed_texts(estimator: Any, names: Sequence[str]) -> frozenset[str]:
    """Those of the columns that pass a function, or a step of another library, before an encoder of scikit-learn."""
    steps, _ = split_steps(estimator)
    return frozenset(name for name in names if steps is not None and _end(steps, name) == "function")


def _end(step: Any, name: str | None) -> str:
    """What becomes of a column: `encoded`, `function` or `passed`. `name`: None after a step that renames columns."""
    from sklearn.compose import ColumnTransformer
    from sklearn.pipeline import FeatureUnion, Pipeline
    from sklearn.preprocessing import FunctionTransformer

    if isinstance(step, str) or step is None:
        return "encoded" if step == "drop" else "passed"
    if hasattr(step, "categories_"):
        return "encoded"
    if isinstance(step, Pipeline):
        for one in step.steps:
            if (end := _end(one[1], name)) != "passed":
                return end
            name = None if isinstance(one[1], ColumnTransformer | FeatureUnion) else name
        return "passed"
    if isinstance(step, ColumnTransformer):
        return _together([_end(branch, None) for branch in _branches(step, name)])
    if isinstance(step, FeatureUnion):
        return _together([_end(branch, name) for _, branch in step.transformer_list])
    if isinstance(step, FunctionTransformer):
        return "passed" if step.func is None else "function"
    return "passed" if type(step).__module__.startswith("sklearn.") else "function"


def _branches(step: Any, name: str | None) -> list[Any]:
    """The fitted steps of a ColumnTransformer that take the column; all of them if that is not known."""
    names = list(getattr(step, "feature_names_in_", ()))
    places = step._transformer_to_input_indices
    return [
        branch
        for key, branch, _ in step.transformers_
        if name not in names or names.index(name) in places[key]
    ]


def _together(ends: Sequence[str]) -> str:
    if "function" in ends:
        return "function"
    return "passed" if "passed" in ends else "encoded"
