from __future__ import annotations

import warnings
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
from sklearn.compose import ColumnTransformer, make_column_transformer
from sklearn.decomposition import TruncatedSVD
from sklearn.ensemble import RandomForestClassifier, RandomForestRegressor
from sklearn.feature_extraction.text import CountVectorizer, TfidfVectorizer
from sklearn.feature_selection import SelectKBest
from sklearn.impute import SimpleImputer
from sklearn.linear_model import LogisticRegression, Ridge
from sklearn.multioutput import MultiOutputRegressor
from sklearn.pipeline import FeatureUnion, make_pipeline
from sklearn.preprocessing import MaxAbsScaler, OneHotEncoder, StandardScaler
from sklearn.tree import DecisionTreeRegressor

import homeostat
from homeostat.model_export.columns import infer_columns
from homeostat.model_export.pipelines.preparation import NotColumnwise
from homeostat.model_export.pipelines.text_branches import split_texts

COLUMNS = ["review", "amount", "visits", "shop", "title"]


@pytest.fixture(scope="module")
def rows() -> pd.DataFrame:
    """Texts beside numbers and categories of which some are missing, and some rare."""
    random = np.random.default_rng(5)
    count = 400
    amount = random.gamma(2, 50, count)
    shop = pd.Series(random.choice(["corner", "mall", "web", "kiosk"], count, p=[0.4, 0.3, 0.25, 0.05]))
    score = amount / 100 + (shop == "web") + random.normal(scale=0.3, size=count)
    words = random.choice(["Good", "bad,", "ROOM", "Été", "cold!", "2nd"], (count, 5))
    words[:, 0] = np.where(score > 1.3, "Good", "bad,")
    return pd.DataFrame(
        {
            "review": [" ".join(row) for row in words],
            "amount": np.where(random.random(count) < 0.1, np.nan, amount),
            "visits": pd.array(random.poisson(2, count), dtype="Int64"),
            "shop": shop.astype(object).mask(random.random(count) < 0.1, None),
            "title": [" ".join(row[2:]) for row in words],
            "outcome": (score > 1.3).astype(int),
            "value": score,
            "event_time": pd.date_range("2026-01-01", periods=count, freq="h", tz="UTC"),
        }
    ).assign(visits=lambda frame: frame["visits"].mask(random.random(count) < 0.1))


def beside_texts(**options: Any) -> ColumnTransformer:
    return ColumnTransformer(
        [
            ("review", TfidfVectorizer(sublinear_tf=True), "review"),
            (
                "numbers",
                make_pipeline(SimpleImputer(add_indicator=True), StandardScaler()),
                ["amount", "visits"],
            ),
            ("shop", OneHotEncoder(handle_unknown="infrequent_if_exist", min_frequency=40), ["shop"]),
            ("title", CountVectorizer(), "title"),
        ],
        **options,
    )


def _forest() -> Any:
    return RandomForestClassifier(5, random_state=1)


@pytest.mark.parametrize(
    "make",
    [
        pytest.param(lambda: make_pipeline(beside_texts(), LogisticRegression(max_iter=300)), id="linear"),
        pytest.param(lambda: make_pipeline(beside_texts(), _forest()), id="forest"),
        pytest.param(
            lambda: make_pipeline(beside_texts(), MaxAbsScaler(), SelectKBest(k=12), LogisticRegression()),
            id="steps after the columns",
        ),
        pytest.param(
            lambda: make_pipeline(beside_texts(), StandardScaler(with_mean=False), _forest()),
            id="steps after the columns, forest",
        ),
        pytest.param(
            lambda: make_pipeline(beside_texts(transformer_weights={"review": 3.0, "shop": 0.5}), _forest()),
            id="weights",
        ),
        pytest.param(
            lambda: make_pipeline(
                make_column_transformer(
                    (make_pipeline(TfidfVectorizer(), TruncatedSVD(3, random_state=1)), "review"),
                    (SimpleImputer(add_indicator=True), ["amount"]),
                ),
                LogisticRegression(),
            ),
            id="steps after the words",
        ),
    ],
)
def test_missing_and_rare_values_beside_texts(
    rows: pd.DataFrame, tmp_path: Path, make: Callable[[], Any]
) -> None:
    model = make().fit(rows[COLUMNS], rows["outcome"])
    with warnings.catch_warnings():
        warnings.simplefilter("error", homeostat.ExportWarning)
        report = homeostat.export(model, rows.drop(columns="value"), tmp_path, name="reviews")
    compared = {one.name: one.differing for one in report.comparisons if not one.advice}
    assert compared["missing values"] == 0
    assert not any(compared.values())


@pytest.mark.parametrize(
    "last",
    [
        pytest.param(RandomForestRegressor(5, random_state=1), id="forest"),
        pytest.param(Ridge(), id="linear"),
        pytest.param(MultiOutputRegressor(DecisionTreeRegressor(max_depth=3)), id="one model per value"),
    ],
)
def test_several_values_of_missing_and_rare_values(rows: pd.DataFrame, tmp_path: Path, last: Any) -> None:
    given = rows.assign(low=rows["value"] - 1, high=rows["value"] ** 2).drop(columns=["value", "outcome"])
    model = make_pipeline(beside_texts(), last).fit(given[COLUMNS], given[["low", "high"]])
    with warnings.catch_warnings():
        warnings.simplefilter("error", homeostat.ExportWarning)
        report = homeostat.export(model, given, tmp_path, name="both", outcome=["low", "high"])
    assert not any(one.differing for one in report.comparisons if not one.advice)


def test_conversion_that_fails_prints_nothing(
    rows: pd.DataFrame, tmp_path: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    """skl2onnx converts this encoder to one that refuses unknown categories; the next conversion is chosen."""
    encoder = OneHotEncoder(handle_unknown="infrequent_if_exist", min_frequency=2)
    given = rows.dropna()
    model = make_pipeline(
        make_column_transformer((encoder, ["shop"]), (TfidfVectorizer(), "review")), LogisticRegression()
    ).fit(given[["shop", "review"]], given["outcome"])
    homeostat.export(model, given.drop(columns="value"), tmp_path, name="quiet")
    assert capfd.readouterr() == ("", "")


def test_vocabulary_is_not_part_of_what_the_steps_are_asked(rows: pd.DataFrame) -> None:
    steps = beside_texts().fit(rows[COLUMNS])
    split = split_texts(steps, infer_columns(rows, COLUMNS, texts={"review", "title"}))
    width = steps.transform(rows[COLUMNS]).shape[1]
    assert [one.column.source for one in split.texts] == ["review", "title"]
    places = [place for one in split.texts for place in one.places]
    assert sorted([*places, *split.places]) == list(range(width))
    assert split.others.transform(rows[COLUMNS]).shape[1] == len(split.places)
    # The original is as it was.
    assert steps.transform(rows[COLUMNS]).shape[1] == width


def test_words_that_are_mixed_with_others_have_no_branch(rows: pd.DataFrame) -> None:
    columns = infer_columns(rows, ["review", "amount"], texts={"review"})
    union = FeatureUnion([("words", TfidfVectorizer())]).fit(rows["review"])
    with pytest.raises(NotColumnwise, match="FeatureUnion takes words of review"):
        split_texts(union, columns)
    after = make_pipeline(make_column_transformer((TfidfVectorizer(), "review")), TruncatedSVD(2)).fit(
        rows[["review", "amount"]]
    )
    with pytest.raises(NotColumnwise, match="TruncatedSVD takes words of review"):
        split_texts(after, columns)
