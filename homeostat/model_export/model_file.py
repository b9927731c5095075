"""Reads a model from a file or from MLflow, in the process of the person who names it.

A pickle runs code when it is read. Services never read one; here it is read only because its owner asks for it.
"""

from __future__ import annotations

import pickle
from pathlib import Path
from typing import Any

from homeostat.model_export.checks.library_errors import first_line
from shared.errors import ExportRefused

# torch.export.load reads pickles in the file, and evaluates expressions of its shapes.
RUNS_CODE = (".pkl", ".pickle", ".joblib", ".pt2")
SUFFIXES = (".onnx", ".cbm", ".ubj", ".json", ".txt", *RUNS_CODE)
_KERAS = (".h5", ".keras")
_TORCH = (".pt", ".pth", ".ckpt", ".safetensors")
_MLFLOW = ("models:", "runs:", "mlflow-artifacts:")


def load_model(place: str | Path) -> Any:
    """The model at an MLflow URI or a path, read as its suffix says.

    .onnx, .cbm of CatBoost, .ubj or .json of XGBoost, .txt of LightGBM; .pkl, .pickle, .joblib and .pt2 (of torch.export)
    run the code in them.
    """
    require_readable(place)
    path = Path(place)
    if _is_mlflow(place):
        from homeostat.model_export.libraries.mlflow_model import load_mlflow_model

        return load_mlflow_model(str(place))
    suffix = path.suffix.lower()
    try:
        return _READERS.get(suffix, _read_pickle)(path)
    except (ImportError, AttributeError) as error:
        raise ExportRefused(
            f"{path} needs a module that this Python does not have: {first_line(error)}",
            hint="run with the Python and in the folder where the model was fitted",
        ) from error
    except Exception as error:  # each library raises its own
        raise ExportRefused(
            f"{path} cannot be read: {first_line(error)}", hint="save the model again"
        ) from error


def require_readable(place: str | Path) -> None:
    """Raises ExportRefused for a path without a file, or with a suffix that is no model's. Reads nothing."""
    path = Path(place)
    if _is_mlflow(place):
        return
    if not path.is_file():
        raise ExportRefused(
            f"{path} is not a file",
            hint="give a model, the path of one, or an MLflow URI such as models:/fraud/3 or models:/m-ID",
        )
    suffix = path.suffix.lower()
    if suffix in _TORCH:
        raise ExportRefused(
            f"{path} has the weights of a torch module, without its code",
            hint='export the module in Python: homeostat.export(module, rows, "project/"), or save a program with '
            "torch.export.save(program, 'model.pt2') and give that file",
        )
    if suffix not in SUFFIXES:
        keras = "; convert a Keras model to ONNX with tf2onnx" if suffix in _KERAS else ""
        raise ExportRefused(f"{path} has an unknown suffix", hint=f"known: {', '.join(SUFFIXES)}{keras}")


def _is_mlflow(place: str | Path) -> bool:
    return str(place).startswith(_MLFLOW) or (Path(place) / "MLmodel").is_file()


def _read_onnx(path: Path) -> Any:
    import onnx

    return onnx.load(path)


def _read_catboost(path: Path) -> Any:
    import catboost

    return catboost.CatBoost().load_model(str(path))


def _read_xgboost(path: Path) -> Any:
    import xgboost

    return xgboost.Booster(model_file=str(path))


def _read_lightgbm(path: Path) -> Any:
    import lightgbm

    return lightgbm.Booster(model_file=str(path))


def _read_program(path: Path) -> Any:
    from homeostat.model_export.libraries.torch_model import read_program

    return read_program(path)


def _read_pickle(path: Path) -> Any:
    try:
        import joblib
    except ImportError:
        with path.open("rb") as file:
            return pickle.load(file)
    # It reads plain pickles as well.
    return joblib.load(path)


_READERS = {
    ".onnx": _read_onnx,
    ".cbm": _read_catboost,
    ".ubj": _read_xgboost,
    ".json": _read_xgboost,
    ".txt": _read_lightgbm,
    ".pt2": _read_program,
}
