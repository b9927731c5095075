"""Models in a real MLflow store with a registry, named by each form of URI, of each library's flavour."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from dataclasses import dataclass
from importlib import import_module
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
from sklearn.linear_model import LogisticRegression
from typer.testing import CliRunner

import homeostat
from cli.main import app
from shared.contracts.loop_yaml import read_loop_spec
from shared.errors import ExportRefused
from tests.export.conftest import LIBRARIES
from tests.unit.cli.fake_service import fake_service

FLAVOURS = {
    "sklearn": "scikit-learn",
    "xgboost": "XGBoost",
    "lightgbm": "LightGBM",
    "catboost": "CatBoost",
    "pytorch": "torch",
    "onnx": "ONNX",
}
COLUMNS = ["amount", "age", "card"]
pytestmark = pytest.mark.filterwarnings(
    "ignore::UserWarning", "ignore::FutureWarning", "ignore::DeprecationWarning"
)


@dataclass(frozen=True)
class Store:
    """A database of MLflow; `runs` and `logged`: a run's id and a logged model's URI for each flavour."""

    uri: str
    runs: dict[str, str]
    logged: dict[str, str]


def fitted(flavour: str, rows: pd.DataFrame) -> Any:
    if flavour == "xgboost":
        return import_module("xgboost").XGBClassifier(n_estimators=5).fit(rows[COLUMNS], rows["outcome"])
    if flavour == "lightgbm":
        model = import_module("lightgbm").LGBMClassifier(n_estimators=5, verbose=-1)
        return model.fit(rows[COLUMNS], rows["outcome"])
    if flavour == "catboost":
        model = import_module("catboost").CatBoostClassifier(
            iterations=5, verbose=0, allow_writing_files=False
        )
        return model.fit(rows[COLUMNS], rows["outcome"])
    if flavour == "pytorch":
        torch = import_module("torch")
        return torch.nn.Sequential(torch.nn.Linear(3, 1), torch.nn.Sigmoid()).eval()
    linear = LogisticRegression(max_iter=500).fit(rows[COLUMNS].to_numpy(np.float32), rows["outcome"])
    if flavour == "onnx":
        return import_module("skl2onnx").to_onnx(linear, np.zeros((1, 3), np.float32), target_opset=17)
    return LogisticRegression(max_iter=500).fit(rows[COLUMNS], rows["outcome"])


@pytest.fixture(scope="module")
def whole(rows: pd.DataFrame) -> pd.DataFrame:
    return rows[[*COLUMNS, "outcome", "event_time"]].dropna().reset_index(drop=True).iloc[:300]


@pytest.fixture(scope="module")
def store(whole: pd.DataFrame, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Store]:
    mlflow = pytest.importorskip("mlflow")
    folder = tmp_path_factory.mktemp("mlflow")
    store = Store(f"sqlite:///{folder / 'mlflow.db'}", {}, {})
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("MLFLOW_TRACKING_URI", store.uri)
        patch.setenv("MLFLOW_ENABLE_ARTIFACTS_PROGRESS_BAR", "false")
        experiment = mlflow.create_experiment("models", artifact_location=(folder / "artefacts").as_uri())
        for flavour in FLAVOURS:
            # The default of torch is a program of torch.export.
            more = {"input_example": np.zeros((3, 3), np.float32)} if flavour == "pytorch" else {}
            with mlflow.start_run(experiment_id=experiment) as run:
                logged = import_module(f"mlflow.{flavour}").log_model(
                    fitted(flavour, whole),
                    name="model",
                    registered_model_name=flavour,
                    pip_requirements=[],
                    **more,
                )
                store.runs[flavour], store.logged[flavour] = run.info.run_id, logged.model_uri
            mlflow.MlflowClient().set_registered_model_alias(flavour, "champion", "1")
        with mlflow.start_run(experiment_id=experiment):
            mlflow.pyfunc.log_model(
                python_model=lambda model_input: model_input, name="model", registered_model_name="function",
                pip_requirements=[],
            )  # fmt: skip
        yield store


@pytest.mark.parametrize("flavour", FLAVOURS)
def test_each_flavour_is_exported(store: Store, whole: pd.DataFrame, tmp_path: Path, flavour: str) -> None:
    report = homeostat.export(f"models:/{flavour}/1", whole, tmp_path / "project")
    assert (report.library, report.kind.name) == (FLAVOURS[flavour], "probability")
    assert [one.differing for one in report.comparisons] == [0] * len(report.comparisons)


@pytest.mark.parametrize("flavour", ["sklearn", "xgboost", "lightgbm", "catboost"])
def test_each_form_of_uri_is_exported(
    store: Store, whole: pd.DataFrame, tmp_path: Path, flavour: str
) -> None:
    assert store.logged[flavour].startswith("models:/m-")
    names = (
        f"models:/{flavour}@champion",
        f"models:/{flavour}/latest",
        f"runs:/{store.runs[flavour]}/model",
        store.logged[flavour],
    )
    for place, uri in enumerate(names):
        report = homeostat.export(uri, whole, tmp_path / f"project-{place}")
        assert (report.library, report.comparisons[0].differing) == (FLAVOURS[flavour], 0), uri


@pytest.mark.parametrize(
    ("uri", "message", "hint"),
    [
        ("models:/nobody/1", "name=nobody not found", "registered models catboost, function, lightgbm, onnx"),
        (
            "models:/sklearn@gone",
            "alias gone not found",
            "sklearn has the versions 1 and the aliases champion",
        ),
        ("models:/sklearn/9", "version=9. not found", "sklearn has the versions 1 and the aliases champion"),
        ("models:/sklearn", "'sklearn' not found", "models:/sklearn/VERSION or models:/sklearn@ALIAS"),
        ("models:/m-" + 32 * "0", "Logged model with ID", "runs:/RUN_ID/NAME"),
        ("runs:/0123/model", "id=0123 not found", "runs:/RUN_ID/NAME"),
        ("models:/function/1", "none that can be exported", "log the model with mlflow.xgboost"),
    ],
)
def test_uri_without_a_model_has_a_hint(
    store: Store, whole: pd.DataFrame, tmp_path: Path, uri: str, message: str, hint: str
) -> None:
    with pytest.raises(ExportRefused, match=message) as refused:
        homeostat.export(uri, whole, tmp_path / "project")
    assert hint in refused.value.hint
    assert not (tmp_path / "project").exists()


def test_missing_library_is_named(
    store: Store, whole: pd.DataFrame, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(sys.modules, "catboost", None)
    with pytest.raises(ExportRefused, match="needs a module .*catboost") as refused:
        homeostat.export("models:/catboost/1", whole, tmp_path / "project")
    assert "--python" in refused.value.hint


@pytest.mark.parametrize("uri", ["models:/fraud/1", "runs:/0123/model"])
def test_store_that_does_not_exist_is_not_created(
    whole: pd.DataFrame, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, uri: str
) -> None:
    pytest.importorskip("mlflow")
    monkeypatch.chdir(tmp_path)
    monkeypatch.delenv("MLFLOW_TRACKING_URI", raising=False)
    with pytest.raises(
        ExportRefused, match="MLFLOW_TRACKING_URI is not set, and .*mlflow.db does not"
    ) as refused:
        homeostat.export(uri, whole, tmp_path / "project")
    assert "set MLFLOW_TRACKING_URI to the tracking server" in refused.value.hint
    monkeypatch.setenv("MLFLOW_TRACKING_URI", f"sqlite:///{tmp_path / 'other.db'}")
    with pytest.raises(ExportRefused, match=f"{uri}: {tmp_path}/other.db does not exist"):
        homeostat.export(uri, whole, tmp_path / "project")
    assert list(tmp_path.iterdir()) == []


def test_deploy_exports_a_registered_model(
    store: Store, whole: pd.DataFrame, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("PYTHONPATH", str(LIBRARIES))
    whole.to_parquet("rows.parquet")
    with fake_service() as retraining, fake_service() as inference:
        retraining.answers["POST /models/xgboost/deployments"] = (
            201,
            {"release": {"generation": 1}, "new": True},
        )
        retraining.answers["GET /health/live"] = (200, {})
        served = {"name": "xgboost", "generation": 1, "last_error": ""}
        inference.answers["GET /status.json"] = (200, {"models": [served]})
        places = ["--home", "home", "--retraining-url", retraining.url, "--inference-url", inference.url]
        model = ["deploy", "models:/xgboost@champion"]
        refused = CliRunner().invoke(app, [*model, *places])
        assert "homeostat deploy models:/xgboost@champion --reference rows.parquet" in refused.stderr
        done = CliRunner().invoke(app, [*model, "--reference", "rows.parquet", *places])
        assert done.exit_code == 0, done.output
        assert "loading models:/xgboost@champion with" in " ".join(done.stderr.split())
        # An empty request asks for permission.
        [body] = [body for request, body in retraining.asked if request.startswith("POST") and body]
    assert body["project_directory"] == str(tmp_path / "xgboost")
    assert read_loop_spec(tmp_path / "xgboost").model == "xgboost"
