"""Chooses the module for a fitted model by the package its class comes from; imports that package only then."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

import pandas as pd

from homeostat.model_export.source_model import SourceModel
from homeostat.model_export.trees.tree_model import TreeModel
from shared.errors import ExportRefused


def source_model(
    given: Any, rows: pd.DataFrame, outcomes: pd.Series[Any] | None, *, options: dict[str, Any]
) -> SourceModel:
    """The model behind its library's interface. Raises ExportRefused for a class that no module knows.

    `given`: the model, its path, or an MLflow URI; `rows`: the candidates for its columns; `options`: of the export.
    """
    model = given
    if isinstance(given, str | Path):
        from homeostat.model_export.model_file import load_model

        model = load_model(given)
    if isinstance(model, type):
        raise ExportRefused(
            f"{model.__name__} is a class, not a fitted model", hint="pass the object that fit() returns"
        )
    positive = options.get("positive")
    packages = {one.__module__.partition(".")[0] for one in type(model).__mro__}
    if "xgboost" in packages:
        from homeostat.model_export.libraries.xgboost_model import xgboost_model

        return xgboost_model(model, positive=positive)
    if "lightgbm" in packages:
        from homeostat.model_export.libraries.lightgbm_model import lightgbm_model

        return lightgbm_model(model, positive=positive)
    if "catboost" in packages:
        from homeostat.model_export.libraries.catboost_model import catboost_model

        return catboost_model(model, positive=positive)
    if "sklearn" in packages:
        from homeostat.model_export.libraries.sklearn_model import SklearnModel
        from homeostat.model_export.pipelines.composites import unwrapped

        held = unwrapped(model)
        if held is not model and not type(held).__module__.startswith("sklearn."):
            # A search for the parameters of another library's estimator.
            return source_model(held, rows, outcomes, options=options)
        return SklearnModel(model, positive=positive, names=options.get("names") or (), make_part=_part)
    if "torch" in packages:
        from homeostat.model_export.libraries.torch_model import torch_model

        return torch_model(model, rows, outcomes, options=options)
    if "onnx" in packages:
        from homeostat.model_export.libraries.onnx_model import onnx_model

        return onnx_model(model, rows, outcomes, options=options)
    name = f"{type(model).__module__}.{type(model).__qualname__}"
    raise ExportRefused(
        f"{name} is not a model that can be exported",
        hint="known: models of scikit-learn, XGBoost, LightGBM, CatBoost, torch (nn.Module), ONNX, and their files",
    )


def _part(estimator: Any, raw: bool) -> SourceModel:
    """A part of an estimator, of any library. `raw`: its decision function is used, not its scores."""
    if type(estimator).__module__.startswith("sklearn."):
        from homeostat.model_export.libraries.sklearn_model import SklearnModel

        return SklearnModel(estimator, raw=raw, make_part=_part)
    part = source_model(estimator, pd.DataFrame(), None, options={})
    if not raw or not isinstance(part, TreeModel):
        return part
    read = part.read
    return replace(part, read=lambda columns, rows: replace(read(columns, rows), link="identity", scale=1.0))
