from __future__ import annotations

import pickle
from pathlib import Path

import joblib
import numpy as np
import pandas as pd
import pytest
from sklearn.linear_model import LinearRegression

import homeostat
from homeostat.model_export.model_file import load_model
from shared.errors import ExportRefused

ROWS = pd.DataFrame({"amount": np.arange(50.0), "outcome": np.arange(50.0) * 2})


@pytest.fixture(scope="module")
def fitted() -> LinearRegression:
    return LinearRegression().fit(ROWS[["amount"]], ROWS["outcome"])


@pytest.mark.parametrize("writer", ["pickle", "joblib"])
def test_pickles_are_read(fitted: LinearRegression, tmp_path: Path, writer: str) -> None:
    path = tmp_path / f"model.{writer}"
    if writer == "joblib":
        joblib.dump(fitted, path)
    else:
        path.write_bytes(pickle.dumps(fitted))
    with pytest.warns(homeostat.ExportWarning, match="no column 'event_time'"):
        report = homeostat.export(path, ROWS, tmp_path / "project")
    assert report.library == "scikit-learn"


def test_mlflow_models_are_read_as_their_librarys(fitted: LinearRegression, tmp_path: Path) -> None:
    mlflow_sklearn = pytest.importorskip("mlflow.sklearn")
    # Unless told, MLflow loads the model in another process to find its requirements.
    mlflow_sklearn.save_model(fitted, tmp_path / "logged", pip_requirements=[])
    model = load_model(tmp_path / "logged")
    np.testing.assert_allclose(model.predict(ROWS[["amount"]]), ROWS["outcome"])


@pytest.mark.parametrize(
    ("name", "message"),
    [
        ("missing.pkl", "is not a file"),
        ("model.h5", "unknown suffix"),
        ("net.pt", "has the weights of a torch module, without its code"),
        ("broken.pt2", "cannot be read"),
        ("broken.onnx", "cannot be read"),
        ("broken.pkl", "cannot be read: KeyError: 110"),
    ],
)
def test_what_is_no_model_is_refused(tmp_path: Path, name: str, message: str) -> None:
    path = tmp_path / name
    if name != "missing.pkl":
        path.write_bytes(b"no model")
    with pytest.raises(ExportRefused, match=message):
        load_model(path)


def test_keras_file_is_refused_with_the_way_to_onnx(tmp_path: Path) -> None:
    (tmp_path / "net.keras").write_bytes(b"")
    with pytest.raises(ExportRefused) as refused:
        load_model(tmp_path / "net.keras")
    assert refused.value.hint.endswith("convert a Keras model to ONNX with tf2onnx")


def test_pickle_of_an_unknown_module_has_a_hint(tmp_path: Path) -> None:
    path = tmp_path / "model.pkl"
    path.write_bytes(b"cno_such_module\nModel\n.")
    with pytest.raises(ExportRefused, match="needs a module .*where the model was fitted"):
        load_model(path)
