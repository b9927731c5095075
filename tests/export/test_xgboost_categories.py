"""Categories beyond ASCII, whose texts XGBoost keeps by characters instead of bytes."""

from __future__ import annotations

from typing import Any

import numpy as np
import pandas as pd
import pyarrow.parquet as pq
import pytest

from homeostat.model_export.libraries.xgboost_categories import with_known_categories
from shared.contracts.loop_yaml import read_loop_spec
from shared.errors import ExportRefused
from shared.models.onnx_runner import OnnxModel
from tests.export.conftest import Export

PLACES = {
    "latin": ["debt", "médical", "clothes", "Zürich"],
    "Chinese": ["日本語", "上海", "other", "a"],
    "emoji": ["party 🎉", "🍕", "plain", "👍🏽"],
    "first and last": ["é", "b", "c", "ü"],
}


@pytest.fixture(params=PLACES)
def places(request: pytest.FixtureRequest) -> list[str]:
    return PLACES[request.param]


def with_places(rows: pd.DataFrame, places: list[str]) -> pd.DataFrame:
    """The rows with a category in the place of `shop`, on which the outcome depends."""
    codes = np.arange(len(rows)) % len(places)
    place = pd.Categorical.from_codes(codes, categories=pd.Index(places))
    outcome = (rows["age"] / 90 + (codes % 2) + (codes == 0) * 0.5 > 1).astype(int)
    return rows[["age", "event_time"]].assign(place=place, outcome=outcome)


def fitted(rows: pd.DataFrame) -> Any:
    import xgboost

    model = xgboost.XGBClassifier(n_estimators=10, enable_categorical=True)
    return model.fit(rows[["age", "place"]], rows["outcome"])


def test_texts_beyond_ascii_are_served(rows: pd.DataFrame, export: Export, places: list[str]) -> None:
    given = with_places(rows, places)
    model = fitted(given)
    report = export(model, given)
    assert [one.differing for one in report.comparisons] == [0] * len(report.comparisons)
    loop = read_loop_spec(report.project)
    assert loop.features[1].values == tuple(places)
    served = OnnxModel(report.project / "model.onnx", loop).score(
        pq.read_table(report.project / "reference.parquet")
    )
    expected = model.predict_proba(given[["age", "place"]])[:, 1]
    assert served == pytest.approx(expected, abs=1e-6)


def test_rows_may_have_the_categories_in_another_order(
    rows: pd.DataFrame, export: Export, places: list[str]
) -> None:
    given = with_places(rows, places)
    model = fitted(given)
    other = given.assign(place=given["place"].cat.reorder_categories(sorted(places)))
    report = export(model, other)
    assert report.comparisons[0].differing == 0
    restored = with_known_categories(model.get_booster(), other[["age", "place"]])
    assert restored["place"].cat.categories.tolist() == places


def test_category_that_xgboost_cut_off_is_refused_with_the_cause(rows: pd.DataFrame, export: Export) -> None:
    given = with_places(rows, ["日本語", "上海", "other", "Zürich"])
    model = fitted(given)
    few = given[given["place"] != "Zürich"]
    few = few.assign(place=few["place"].cat.remove_unused_categories())
    with pytest.raises(
        ExportRefused, match="XGBoost truncated category 4 of 4.* the categories of the training rows"
    ):
        export(model, few)
