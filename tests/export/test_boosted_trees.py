"""XGBoost, LightGBM and CatBoost: each model and its export return the same scores, also beyond the rows of the fit."""

from __future__ import annotations

import re
import warnings
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pyarrow.parquet as pq
import pytest
from sklearn.compose import ColumnTransformer
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import OneHotEncoder, StandardScaler

import homeostat
from shared.contracts.loop_yaml import read_loop_spec
from shared.errors import ExportRefused
from shared.models.onnx_runner import OnnxModel
from tests.export.conftest import Export

FEATURES = ["amount", "age", "shop", "weekday", "card"]
NUMBERS = ["amount", "age", "card"]
SETS = ["the rows", "values beyond the range", "unseen categories", "missing values"]
LACKING = "values that the rows lack"


@pytest.fixture(autouse=True)
def no_warning() -> Iterator[None]:
    """Every warning of an export fails the test that does not expect it."""
    with warnings.catch_warnings():
        warnings.simplefilter("error", homeostat.ExportWarning)
        yield


def assert_equal(report: homeostat.ExportReport, sets: list[str]) -> None:
    found = {one.name: (one.differing, one.problem) for one in report.comparisons}
    # Only of rows with a boolean, or with gaps between whole numbers.
    assert found.pop(LACKING, (0, "")) == (0, "")
    assert found == dict.fromkeys(sets, (0, ""))
    assert all(one.largest < 1e-5 for one in report.comparisons)


def xgb_classifier(rows: pd.DataFrame, **options: Any) -> Any:
    import xgboost

    given = {"n_estimators": 40, "enable_categorical": True, **options}
    return xgboost.XGBClassifier(**given).fit(rows[FEATURES], rows["outcome"])


def xgb_regressor(rows: pd.DataFrame, **options: Any) -> Any:
    import xgboost

    given = {"n_estimators": 40, "enable_categorical": True, **options}
    return xgboost.XGBRegressor(**given).fit(rows[FEATURES], rows["value"].clip(0.1))


def lgb_classifier(rows: pd.DataFrame, **options: Any) -> Any:
    import lightgbm

    return lightgbm.LGBMClassifier(n_estimators=40, verbose=-1, **options).fit(
        rows[FEATURES], rows["outcome"]
    )


def lgb_regressor(rows: pd.DataFrame, **options: Any) -> Any:
    import lightgbm

    model = lightgbm.LGBMRegressor(n_estimators=40, verbose=-1, **options)
    return model.fit(rows[FEATURES], rows["value"].clip(0.1))


def for_catboost(rows: pd.DataFrame) -> pd.DataFrame:
    """CatBoost refuses missing categories."""
    return rows.assign(
        shop=rows["shop"].cat.add_categories("none").fillna("none"), weekday=rows["weekday"].astype(int)
    )


def catboost(name: str, rows: pd.DataFrame, outcome: pd.Series[Any], **options: Any) -> Any:
    import catboost

    given = {
        "iterations": 40,
        "verbose": 0,
        "allow_writing_files": False,
        "thread_count": 2,
        "random_seed": 1,
    }
    return getattr(catboost, name)(**given, **options).fit(rows, outcome)


@pytest.mark.parametrize(
    "options",
    [
        {},
        {"booster": "dart", "rate_drop": 0.3},
        {"max_cat_to_onehot": 1, "max_depth": 3},
        {"base_score": 0.2, "scale_pos_weight": 3},
    ],
)
def test_xgboost_classifier(rows: pd.DataFrame, export: Export, options: dict[str, Any]) -> None:
    model = xgb_classifier(rows, **options)
    # It refuses unseen categories itself.
    with pytest.warns(
        homeostat.ExportWarning, match="the original model refuses them: shop: Found a category not in"
    ):
        report = export(model, rows, features=FEATURES)
    kept = [one for one in report.comparisons if not one.problem]
    assert [(one.name, one.differing) for one in kept] == [
        (name, 0) for name in [*SETS[:2], LACKING, SETS[3]]
    ]
    assert (report.library, report.kind.name) == ("XGBoost", "probability")
    assert [column.feature.type for column in report.columns] == [
        "number",
        "integer",
        "category",
        "integer",
        "boolean",
    ]


def test_xgboost_with_categories_after_any_unseen_one(rows: pd.DataFrame, export: Export) -> None:
    """XGBoost scores an unknown text as the next one in order: a comparison with that would refuse a sound export."""
    names = {"corner": "kiosk", "mall": "online", "web": "travel", "kiosk": "zoo"}
    renamed = rows.assign(shop=rows["shop"].cat.rename_categories(names))
    features = ["amount", "shop"]
    import xgboost

    model = xgboost.XGBClassifier(n_estimators=40, enable_categorical=True)
    model.fit(renamed[features], renamed["outcome"])
    with pytest.warns(
        homeostat.ExportWarning, match="unseen categories: not compared: the original model refuses"
    ):
        report = export(model, renamed, features=features)
    assert {one.differing for one in report.comparisons} == {0}
    assert {column.feature.unknown for column in report.columns} == {"refuse"}


@pytest.mark.parametrize(
    "options",
    [{}, {"objective": "count:poisson"}, {"objective": "reg:absoluteerror"}, {"objective": "reg:gamma"}],
)
def test_xgboost_regressor(rows: pd.DataFrame, export: Export, options: dict[str, Any]) -> None:
    with pytest.warns(homeostat.ExportWarning, match="the original model refuses them"):
        report = export(xgb_regressor(rows, **options), rows, outcome="value", features=FEATURES)
    assert [one.differing for one in report.comparisons] == [0] * 5
    assert report.kind.name == "value"


def test_xgboost_stops_at_the_best_iteration(rows: pd.DataFrame, export: Export) -> None:
    import xgboost

    early, late = rows[:900], rows[900:]
    model = xgboost.XGBClassifier(n_estimators=200, early_stopping_rounds=3, learning_rate=0.5)
    model.fit(early[NUMBERS], early["outcome"], eval_set=[(late[NUMBERS], late["outcome"])], verbose=False)
    assert model.best_iteration < model.get_booster().num_boosted_rounds() - 1
    assert_equal(export(model, rows), [SETS[0], SETS[1], SETS[3]])


def test_xgboost_file_stops_at_the_best_iteration(rows: pd.DataFrame, export: Export, tmp_path: Path) -> None:
    import xgboost

    early, late = rows[:900], rows[900:]
    model = xgboost.XGBClassifier(n_estimators=200, early_stopping_rounds=3, learning_rate=0.5)
    model.fit(early[NUMBERS], early["outcome"], eval_set=[(late[NUMBERS], late["outcome"])], verbose=False)
    model.save_model(tmp_path / "model.ubj")
    report = export(tmp_path / "model.ubj", rows)
    assert f"the first {model.best_iteration + 1} of " in report.notes[0]
    reference = pq.read_table(report.project / "reference.parquet")
    scores = OnnxModel(report.project / "model.onnx", read_loop_spec(report.project)).score(reference)
    np.testing.assert_allclose(np.sort(scores), np.sort(model.predict_proba(rows[NUMBERS])[:, 1]), atol=1e-6)
    loaded = xgboost.XGBClassifier()
    loaded.load_model(tmp_path / "model.ubj")
    assert homeostat.export(loaded, rows, tmp_path / "loaded").notes == ()


@pytest.mark.parametrize("name", ["XGBClassifier", "LGBMClassifier", "LGBMRegressor", "CatBoostClassifier"])
def test_methods_of_a_subclass_are_the_original(rows: pd.DataFrame, export: Export, name: str) -> None:
    """A class that overrides the library's own method predicts what the trees do not."""
    import catboost
    import lightgbm
    import xgboost

    package: Any = {"X": xgboost, "L": lightgbm, "C": catboost}[name[0]]
    quiet = {"L": {"verbose": -1}, "C": {"verbose": 0, "allow_writing_files": False}}.get(name[0], {})
    method = "predict" if name.endswith("Regressor") else "predict_proba"
    base = getattr(package, name)

    def halved(self: Any, *given: Any, **options: Any) -> Any:
        return getattr(base, method)(self, *given, **options) / 2

    model = type("Halved", (base,), {method: halved})(n_estimators=5, **quiet)
    model.fit(rows[["amount", "age"]], rows["outcome"])
    with pytest.raises(ExportRefused, match="returns other scores than the original"):
        export(model, rows)


def test_xgboost_booster_without_names(rows: pd.DataFrame, export: Export) -> None:
    import xgboost

    matrix = xgboost.DMatrix(rows[NUMBERS].to_numpy(float), rows["outcome"])
    booster = xgboost.train({"objective": "binary:logistic"}, matrix, 10)
    assert_equal(export(booster, rows, features=NUMBERS, positive=0), [SETS[0], SETS[1], SETS[3]])


def several_classes(name: str) -> Any:
    import catboost
    import lightgbm
    import xgboost

    if name == "XGBoost":
        return xgboost.XGBClassifier(n_estimators=10)
    if name == "LightGBM":
        return lightgbm.LGBMClassifier(n_estimators=10, verbose=-1)
    return catboost.CatBoostClassifier(iterations=10, verbose=0, allow_writing_files=False)


@pytest.mark.parametrize("name", ["XGBoost", "LightGBM", "CatBoost"])
def test_several_classes(rows: pd.DataFrame, export: Export, name: str) -> None:
    classes = pd.Series(pd.cut(rows["value"], 3, labels=False))
    report = export(several_classes(name).fit(rows[NUMBERS], classes), rows.assign(outcome=classes))
    assert_equal(report, [SETS[0], SETS[1], SETS[3]])
    assert (report.library, report.kind.labels) == (name, (0, 1, 2))


@pytest.mark.parametrize(
    "options",
    [
        {},
        {"boosting_type": "rf", "bagging_freq": 1, "bagging_fraction": 0.5},
        {"boosting_type": "dart"},
        {"min_data_per_group": 1, "cat_smooth": 0, "max_cat_to_onehot": 1},
    ],
)
@pytest.mark.parametrize("positive", [0, 1])
def test_lightgbm_classifier(
    rows: pd.DataFrame, export: Export, options: dict[str, Any], positive: int
) -> None:
    assert_equal(export(lgb_classifier(rows, **options), rows, positive=positive), SETS)


@pytest.mark.parametrize(
    "options",
    [{}, {"objective": "poisson"}, {"objective": "gamma"}, {"reg_sqrt": True}, {"objective": "mae"}],
)
def test_lightgbm_regressor(rows: pd.DataFrame, export: Export, options: dict[str, Any]) -> None:
    assert_equal(export(lgb_regressor(rows, **options), rows, outcome="value"), SETS)


def test_lightgbm_that_saw_no_missing_value(rows: pd.DataFrame, export: Export) -> None:
    """A missing value then counts as zero."""
    assert_equal(export(lgb_classifier(rows.fillna({"amount": 50.0})), rows), SETS)


def test_lightgbm_categories_of_whole_numbers(rows: pd.DataFrame, export: Export) -> None:
    import lightgbm

    given = rows.assign(weekday=rows["weekday"].astype(int))
    model = lightgbm.LGBMClassifier(n_estimators=20, verbose=-1)
    model.fit(given[["age", "weekday"]], given["outcome"], categorical_feature=["weekday"])
    assert_equal(export(model, given), SETS[:2])


def test_lightgbm_with_zero_as_missing(rows: pd.DataFrame, export: Export) -> None:
    import lightgbm

    given = rows.assign(age=rows["age"] % 3)
    model = lightgbm.LGBMClassifier(n_estimators=5, verbose=-1, zero_as_missing=True)
    assert_equal(export(model.fit(given[NUMBERS], given["outcome"]), given), [SETS[0], SETS[1], SETS[3]])


@pytest.mark.parametrize(
    "options",
    [{"max_ctr_complexity": 1}, {"one_hot_max_size": 255}, {"max_ctr_complexity": 1, "nan_mode": "Max"}],
)
@pytest.mark.parametrize("positive", [0, 1])
def test_catboost_classifier(
    rows: pd.DataFrame, export: Export, options: dict[str, Any], positive: int
) -> None:
    given = for_catboost(rows)
    model = catboost(
        "CatBoostClassifier", given[FEATURES], given["outcome"], cat_features=["shop", "weekday"], **options
    )
    assert_equal(export(model, given, positive=positive), SETS)


@pytest.mark.parametrize("loss", ["RMSE", "Poisson", "MAE"])
def test_catboost_regressor(rows: pd.DataFrame, export: Export, loss: str) -> None:
    model = catboost("CatBoostRegressor", rows[NUMBERS], rows["value"].clip(0.1), loss_function=loss)
    assert_equal(export(model, rows, outcome="value"), [SETS[0], SETS[1], SETS[3]])


def test_catboost_with_asymmetric_trees(rows: pd.DataFrame, export: Export) -> None:
    model = catboost("CatBoostClassifier", rows[NUMBERS], rows["outcome"], grow_policy="Lossguide")
    assert_equal(export(model, rows), [SETS[0], SETS[1], SETS[3]])


def in_pipeline(name: str) -> Any:
    import lightgbm
    import xgboost

    if name == "XGBoost":
        return xgboost.XGBClassifier(n_estimators=30)
    return lightgbm.LGBMClassifier(n_estimators=30, verbose=-1)


@pytest.mark.parametrize("name", ["XGBoost", "LightGBM"])
@pytest.mark.parametrize("sparse", [False, True])
def test_last_step_of_a_pipeline(rows: pd.DataFrame, export: Export, name: str, sparse: bool) -> None:
    given = rows.assign(shop=rows["shop"].astype(object).fillna("none"), weekday=rows["weekday"].astype(int))
    encoder = OneHotEncoder(handle_unknown="ignore", sparse_output=sparse)
    columns = ColumnTransformer(
        [("encoded", encoder, ["shop", "weekday"]), ("scaled", StandardScaler(), ["amount", "age"])],
        sparse_threshold=1.0 if sparse else 0.0,
    )
    with warnings.catch_warnings():
        warnings.filterwarnings("ignore", message=".*feature names")
        model = make_pipeline(columns, in_pipeline(name)).fit(given[FEATURES[:4]], given["outcome"])
        assert_equal(export(model, given), SETS)


@pytest.mark.parametrize("make", [xgb_classifier, lgb_classifier])
def test_difference_beyond_the_rows_is_refused(
    rows: pd.DataFrame, export: Export, make: Callable[..., Any], monkeypatch: pytest.MonkeyPatch
) -> None:
    """An export that sends missing values to the other side is caught, though no row has one."""
    whole = rows.dropna().reset_index(drop=True)
    model = make(rows)
    from homeostat.model_export.trees import tree_graph

    plain = tree_graph._attributes

    def swapped(*given: Any) -> dict[str, Any]:
        attributes = plain(*given)
        sides = np.array(attributes["nodes_missing_value_tracks_true"])
        return attributes | {"nodes_missing_value_tracks_true": (1 - sides).tolist()}

    monkeypatch.setattr(tree_graph, "_attributes", swapped)
    with pytest.raises(ExportRefused, match="(?s)missing values: .* rows differ"):
        export(model, pd.concat([whole, rows[rows["amount"].isna()][:1]]), features=FEATURES)


def test_files_of_the_libraries_are_read(rows: pd.DataFrame, export: Export, tmp_path: Path) -> None:
    xgb_classifier(rows).save_model(tmp_path / "model.ubj")
    lgb_classifier(rows).booster_.save_model(tmp_path / "model.txt")
    given = for_catboost(rows)
    options = {"cat_features": ["shop", "weekday"], "max_ctr_complexity": 1}
    catboost("CatBoostClassifier", given[FEATURES], given["outcome"], **options).save_model(
        tmp_path / "model.cbm"
    )
    with pytest.warns(homeostat.ExportWarning, match="unseen categories: not compared"):
        assert export(tmp_path / "model.ubj", rows).library == "XGBoost"
    assert_equal(export(tmp_path / "model.txt", rows), SETS)
    report = homeostat.export(tmp_path / "model.cbm", given, tmp_path / "cat")
    assert (report.library, report.kind.name) == ("CatBoost", "probability")


@pytest.mark.parametrize(
    ("library", "name", "options"),
    [
        ("lightgbm", "multiclassova", {"n_estimators": 3, "verbose": -1}),
        (
            "catboost",
            "MultiClassOneVsAll",
            {"iterations": 3, "verbose": 0, "allow_writing_files": False},
        ),
    ],
)
def test_probabilities_divided_by_their_sum_are_warned_of(
    rows: pd.DataFrame, export: Export, library: str, name: str, options: dict[str, Any]
) -> None:
    module = pytest.importorskip(library)
    make, key = {
        "lightgbm": ("LGBMClassifier", "objective"),
        "catboost": ("CatBoostClassifier", "loss_function"),
    }[library]
    three = rows.assign(outcome=pd.cut(rows["value"], 3, labels=False).astype(int))
    model = getattr(module, make)(**{key: name}, **options).fit(three[NUMBERS], three["outcome"])
    said = (
        f"the original's probabilities of a row do not sum to 1 ({name} fits each class against the rest): "
        "the exported model divides them by their sum"
    )
    with pytest.warns(homeostat.ExportWarning, match=re.escape(said)):
        report = export(model, three, features=NUMBERS)
    assert report.warnings == (said,)
