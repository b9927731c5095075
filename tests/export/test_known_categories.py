"""Categories that the model knows and the exported rows lack are served as the model scores them, or the export is refused."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import onnx
import pandas as pd
import pytest

import homeostat
from homeostat.model_export.columns import to_table
from shared.contracts.loop_yaml import read_loop_spec
from shared.errors import ExportRefused
from shared.models.onnx_runner import OnnxModel
from tests.export.conftest import Export


def served(report: homeostat.ExportReport, rows: pd.DataFrame) -> Any:
    model = OnnxModel(Path(report.project) / "model.onnx", read_loop_spec(report.project))
    return np.asarray(model.run(model.feeds(to_table(report.columns, rows))), dtype=np.float64)


@pytest.fixture(scope="module")
def shops() -> pd.DataFrame:
    """The outcome depends on the shop and on the age."""
    random = np.random.default_rng(0)
    rows = pd.DataFrame({"shop": random.choice(list("abcde"), 2000), "age": random.integers(18, 60, 2000)})
    wrong = random.random(2000) < 0.05
    return rows.assign(
        x=random.normal(size=2000), outcome=((rows.shop == "e") ^ (rows.age % 5 == 2) ^ wrong).astype(int)
    )


def catboost(rows: pd.DataFrame, column: str, **options: Any) -> Any:
    import catboost

    model = catboost.CatBoostClassifier(
        iterations=20, verbose=0, allow_writing_files=False, cat_features=[column], **options
    )
    return model.fit(rows[[column, "x"]], rows["outcome"])


CATBOOST = [{"one_hot_max_size": 255}, {"one_hot_max_size": 1, "max_ctr_complexity": 1}]


@pytest.mark.parametrize("options", CATBOOST, ids=["single categories", "statistics"])
def test_catboost_texts_that_the_rows_lack_are_refused(
    shops: pd.DataFrame, export: Export, options: dict[str, Any]
) -> None:
    rows = shops[shops["shop"] != "e"][["shop", "x", "outcome"]].reset_index(drop=True)
    said = r"the model was fitted with 5 categories of column 'shop', and the rows have 4 .*pass rows that hold every category"
    with pytest.raises(ExportRefused, match=said):
        export(catboost(shops, "shop", **options), rows)


@pytest.mark.parametrize("options", CATBOOST, ids=["single categories", "statistics"])
@pytest.mark.parametrize(("factor", "largest"), [(1, 57), (30, 59)], ids=["beyond the rows", "in gaps"])
def test_catboost_whole_numbers_that_the_rows_lack_are_served(
    shops: pd.DataFrame, export: Export, options: dict[str, Any], factor: int, largest: int
) -> None:
    model = catboost(shops.assign(age=shops["age"] * factor), "age", **options)
    rows = shops[(shops["age"] % 3 != 1) & (shops["age"] <= largest)][["age", "x", "outcome"]].head(600)
    report = export(model, rows.assign(age=rows["age"] * factor).reset_index(drop=True))
    beyond = shops.assign(age=np.array([*range(10, 80), *shops["age"][70:]]) * factor)
    expected = model.predict_proba(beyond[["age", "x"]])[:, 1]
    assert np.abs(served(report, beyond) - expected).max() < 1e-5
    [table] = [
        one for one in onnx.load(report.project / "model.onnx").graph.node if one.op_type == "LabelEncoder"
    ]
    keys = next(one.ints for one in table.attribute if one.name == "keys_int64s")
    assert (
        len(keys) <= shops["age"].nunique() + 1
    )  # of the numbers that may be requested those that the model knows


def test_catboost_whole_numbers_far_from_the_rows_are_refused(shops: pd.DataFrame, export: Export) -> None:
    rows = shops.assign(age=shops["age"].replace(59, 100_000))
    model = catboost(rows, "age", one_hot_max_size=255)
    few = rows[rows["age"] < 100_000][["age", "x", "outcome"]].reset_index(drop=True)
    with pytest.raises(ExportRefused, match=r"the model was fitted with \d+ categories of column 'age'"):
        export(model, few)


def test_catboost_whole_numbers_with_wide_gaps_are_the_rows_own(shops: pd.DataFrame, export: Export) -> None:
    rows = shops.assign(age=shops["age"] * 100_000)
    model = catboost(rows, "age", one_hot_max_size=255)
    report = export(model, rows[["age", "x", "outcome"]])
    assert not any(one.differing for one in report.comparisons)
    unseen = rows.assign(age=rows["age"] + 1)
    assert np.abs(served(report, unseen) - model.predict_proba(unseen[["age", "x"]])[:, 1]).max() < 1e-5


def xgboost(rows: pd.DataFrame) -> Any:
    import xgboost

    model = xgboost.XGBClassifier(n_estimators=20, enable_categorical=True)
    return model.fit(rows[["plan", "x"]], rows["outcome"])


@pytest.mark.parametrize(("plans", "refused"), [([1, 2, 3, 5, 9], 4), ([1, 2, 3, 4, 5], 0)])
def test_xgboost_whole_number_in_a_gap_is_warned_of(
    shops: pd.DataFrame, export: Export, plans: list[int], refused: int
) -> None:
    """XGBoost itself scores it as the next category."""
    rows = shops.assign(plan=pd.Categorical(shops["shop"].map(dict(zip("abcde", plans, strict=True)))))
    # A category that the model knows is no gap, though no row has it.
    few = rows[rows["plan"] != 2][["plan", "x", "outcome"]].reset_index(drop=True)
    report = export(xgboost(rows), few)
    warned = [one for one in report.warnings if one.startswith("the model fails for")]
    assert len(warned) == (1 if refused else 0)
    assert all(
        one.startswith(f"the model fails for {refused} in the column 'plan', a whole number")
        for one in warned
    )
    assert all("gets a score that was not compared: fit with texts" in one for one in warned)


def test_xgboost_trees_of_several_outputs_are_refused(shops: pd.DataFrame, export: Export) -> None:
    import xgboost

    model = xgboost.XGBClassifier(n_estimators=2, multi_strategy="multi_output_tree", tree_method="hist")
    rows = shops[["age", "x"]].assign(
        outcome=shops["shop"].map(dict(zip("abcde", [0, 0, 1, 1, 2], strict=True)))
    )
    with pytest.raises(
        ExportRefused, match="trees of several outputs .*multi_strategy='one_output_per_tree'"
    ):
        export(model.fit(rows[["age", "x"]], rows["outcome"]), rows)
