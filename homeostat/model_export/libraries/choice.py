"""Chooses the module for a fitted model by the package its class comes from; imports that package only then."""

from __future__ import annotations

from typing import Any

from homeostat.model_export.source_model import SourceModel
from shared.errors import ExportRefused


def source_model(model: Any, *, positive: Any = None) -> SourceModel:
    """The model behind its library's interface. Raises ExportRefused for a class that no module knows."""
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

        return SklearnModel(model, positive=positive)
    name = f"{type(model).__module__}.{type(model).__qualname__}"
    raise ExportRefused(
        f"{name} is not a model that can be exported", hint="known: scikit-learn, XGBoost, LightGBM, CatBoost"
    )
