"""Models logged to MLflow, loaded as their own library's."""

from __future__ import annotations

from importlib import import_module
from typing import Any

from shared.errors import ExportRefused

# A model of XGBoost may have the scikit-learn flavour too: the library's own comes first.
_FLAVOURS = ("xgboost", "lightgbm", "catboost", "sklearn", "pytorch", "onnx")


def load_mlflow_model(uri: str) -> Any:
    """The model behind a URI such as models:/fraud/3, or in a folder with an MLmodel file."""
    try:
        from mlflow.models import get_model_info
    except ImportError as error:
        raise ExportRefused(
            "mlflow is not installed in this Python", hint="install mlflow, or load the model"
        ) from error
    try:
        known = set(get_model_info(uri).flavors)
        flavour = next((one for one in _FLAVOURS if one in known), None)
        if flavour is not None:
            return import_module(f"mlflow.{flavour}").load_model(uri)
    except Exception as error:  # of the tracking server, the store, or the library
        raise ExportRefused(
            f"MLflow cannot load {uri}: {error}", hint="check MLFLOW_TRACKING_URI and the URI"
        ) from error
    raise ExportRefused(
        f"{uri} has the MLflow flavours {', '.join(sorted(known))}",
        hint=f"one of these is needed: {', '.join(_FLAVOURS)}",
    )
