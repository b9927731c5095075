"""Models logged to MLflow, loaded as their own library's."""

from __future__ import annotations

import re
from importlib import import_module
from pathlib import Path
from typing import Any

from shared.errors import ExportRefused

# A model of XGBoost may have the scikit-learn flavour too: the library's own comes first.
_FLAVOURS = ("xgboost", "lightgbm", "catboost", "sklearn", "pytorch", "onnx")
_FORMS = "models:/NAME/VERSION, models:/NAME@ALIAS, models:/m-ID of a logged model, or runs:/RUN_ID/NAME"
_SQLITE = "sqlite:///"
_MAX_LISTED = 10


def load_mlflow_model(uri: str) -> Any:
    """The model behind a URI such as models:/fraud/3, or in a folder with an MLmodel file.

    Raises ExportRefused for a store or a model that does not exist, and for a model of another kind.
    """
    try:
        from mlflow.models import get_model_info
    except ImportError as error:
        raise ExportRefused(
            "mlflow is not installed in this Python", hint="install mlflow, or load the model"
        ) from error
    _require_database(uri)
    try:
        known = set(get_model_info(uri).flavors)
    except Exception as error:  # of the tracking server, or of the store
        raise ExportRefused(
            f"MLflow finds no model at {uri}: {_line(error)}", hint=_hint(uri, error)
        ) from error
    flavour = next((one for one in _FLAVOURS if one in known), None)
    if flavour is None:
        raise ExportRefused(
            f"{uri} has the MLflow flavours {', '.join(sorted(known))}, and none that can be exported",
            hint=f"log the model with {', '.join(f'mlflow.{one}' for one in _FLAVOURS[:-1])} or mlflow.{_FLAVOURS[-1]}; "
            "a Python function cannot be exported",
        )
    try:
        return import_module(f"mlflow.{flavour}").load_model(uri)
    except (ImportError, AttributeError) as error:
        raise ExportRefused(
            f"{uri} needs a module that this Python does not have: {_line(error)}",
            hint="run with the Python where the model was fitted; for `homeostat deploy`, select it with --python",
        ) from error
    except Exception as error:  # each library raises its own
        raise ExportRefused(
            f"mlflow.{flavour} cannot read {uri}: {_line(error)}",
            hint="run with the versions of the libraries that are in the model's requirements.txt",
        ) from error


def _require_database(uri: str) -> None:
    """Raises ExportRefused if the store is a file of SQLite that does not exist: MLflow would create it, without models."""
    import mlflow

    if not uri.startswith(("models:", "runs:")):
        return
    store = mlflow.get_registry_uri() if uri.startswith("models:") else mlflow.get_tracking_uri()
    path = Path(store.removeprefix(_SQLITE))
    if not store.startswith(_SQLITE) or path.exists():
        return
    unset = "" if mlflow.is_tracking_uri_set() else "MLFLOW_TRACKING_URI is not set, and "
    raise ExportRefused(
        f"MLflow finds no model at {uri}: {unset}{path} does not exist",
        hint="set MLFLOW_TRACKING_URI to the tracking server, such as http://127.0.0.1:5000, or to its database: "
        "sqlite:////absolute/path/of/mlflow.db",
    )


def _hint(uri: str, error: Exception) -> str:
    """What to do about a URI without a model: what the registry has, where it answers."""
    from mlflow import MlflowClient

    if getattr(error, "error_code", "") not in ("RESOURCE_DOES_NOT_EXIST", "INVALID_PARAMETER_VALUE"):
        return f"check the URI, {_FORMS}, and that MLFLOW_TRACKING_URI names a store that answers"
    general = f"check the URI, {_FORMS}, and MLFLOW_TRACKING_URI"
    found = re.fullmatch(r"models:/+(?!m-[0-9a-f]{32}$)([^/@]+)(?:[/@].+)?", uri)
    if found is None:
        return general
    client = MlflowClient()
    try:
        versions = client.search_model_versions(f"name='{found[1]}'", max_results=_MAX_LISTED)
        if not versions:
            names = [one.name for one in client.search_registered_models(max_results=_MAX_LISTED)]
            return f"{general}, which has the registered models {', '.join(names) or '(none)'}"
        aliases = sorted(client.get_registered_model(found[1]).aliases)
    except Exception:  # a store without a registry
        return general
    numbers = ", ".join(str(one.version) for one in versions)
    return (
        f"{found[1]} has the versions {numbers} and the aliases {', '.join(aliases) or '(none)'}: "
        f"models:/{found[1]}/VERSION or models:/{found[1]}@ALIAS"
    )


def _line(error: Exception) -> str:
    """The error's first line, without passwords of addresses."""
    line = str(error).strip().splitlines()[0][:300] if str(error).strip() else type(error).__name__
    return re.sub(r"://[^/@\s]*@", "://***@", line)
