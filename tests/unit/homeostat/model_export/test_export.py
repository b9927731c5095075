from __future__ import annotations

import json
import subprocess
import sys
import traceback
import warnings
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from sklearn.compose import ColumnTransformer
from sklearn.decomposition import TruncatedSVD
from sklearn.ensemble import RandomForestClassifier, RandomForestRegressor
from sklearn.feature_extraction.text import CountVectorizer, TfidfTransformer, TfidfVectorizer
from sklearn.impute import SimpleImputer
from sklearn.linear_model import LinearRegression, LogisticRegression, Ridge
from sklearn.metrics import log_loss, mean_squared_error
from sklearn.naive_bayes import BernoulliNB, MultinomialNB
from sklearn.pipeline import FeatureUnion, Pipeline, make_pipeline
from sklearn.preprocessing import FunctionTransformer, OneHotEncoder, StandardScaler
from sklearn.tree import DecisionTreeRegressor

import homeostat
from cli.deployment.parquet_rows import read_rows
from homeostat.model_export.libraries.sklearn_model import SklearnModel
from shared.contracts.loop_yaml import read_loop_spec
from shared.errors import ExportRefused
from shared.models.answers import read_outcomes
from shared.models.onnx_runner import OnnxModel
from tests.waiting import bound

FEATURES = ["shop", "amount (EUR)", "age", "card"]


@pytest.fixture(scope="module")
def rows() -> pd.DataFrame:
    random = np.random.default_rng(4)
    amount, shop = random.gamma(2, 50, 600), random.choice(["grocer", "no", "travel"], 600)
    late = random.random(600) < 1 / (1 + np.exp(1 - amount / 100 - (shop == "travel")))
    return pd.DataFrame(
        {
            "event_time": pd.date_range("2026-01-01", periods=600, freq="h", tz="UTC"),
            "shop": shop,
            "amount (EUR)": np.where(random.random(600) < 0.05, np.nan, amount),
            "age": random.integers(18, 90, 600),
            "card": random.random(600) < 0.5,
            "outcome": np.where(late, "bad", "good"),
        }
    )


def pipeline(unknown: str = "ignore") -> Pipeline:
    columns = ColumnTransformer(
        [
            ("shop", OneHotEncoder(handle_unknown=unknown), ["shop"]),
            ("amount", make_pipeline(SimpleImputer(), StandardScaler()), ["amount (EUR)"]),
            ("age", StandardScaler(), ["age"]),
            ("card", "passthrough", ["card"]),
        ]
    )
    return make_pipeline(columns, LogisticRegression())


@pytest.fixture(scope="module")
def fitted(rows: pd.DataFrame) -> Pipeline:
    return pipeline().fit(rows[FEATURES], rows["outcome"])


def test_a_pipeline_becomes_a_project_that_scores_the_same(
    fitted: Pipeline, rows: pd.DataFrame, tmp_path: Path
) -> None:
    report = homeostat.export(fitted, rows, tmp_path / "Card Fraud", positive="bad")
    project = tmp_path / "Card Fraud"
    assert report.files == ("model.onnx", "metrics.json", "reference.parquet", "loop.yaml")
    assert report.warnings == ()
    assert [(one.name, one.rows, one.differing) for one in report.comparisons] == [
        ("the rows", 600, 0),
        ("values beyond the range", 80, 0),
        ("values that the rows lack", 50, 0),
        ("unseen categories", 50, 0),
        ("missing values", 50, 0),
    ]
    loop = read_loop_spec(project)
    assert loop.model == "card-fraud"
    # The pipeline takes unknown categories, so they are served.
    assert [feature.unknown for feature in loop.features if feature.type == "category"] == ["serve"]
    reference = pq.read_table(project / "reference.parquet")
    assert reference.column_names == ["event_time", "shop", "amount_EUR", "age", "card", "outcome"]
    expected = fitted.predict_proba(rows[FEATURES])[:, 0]
    np.testing.assert_allclose(OnnxModel(project / "model.onnx", loop).score(reference), expected, atol=1e-6)
    bad = (rows["outcome"] == "bad").to_numpy()
    assert reference["outcome"].to_pylist() == bad.tolist()
    metrics = json.loads((project / "metrics.json").read_text())
    assert metrics == {"log_loss": pytest.approx(log_loss(bad, expected), abs=1e-5)}


def test_a_table_of_arrow_is_taken_too(fitted: Pipeline, rows: pd.DataFrame, tmp_path: Path) -> None:
    homeostat.export(fitted, pa.Table.from_pandas(rows), tmp_path, name="fraud")
    assert read_loop_spec(tmp_path).model == "fraud"


def test_a_scaler_of_tiny_variance_is_refused_with_the_rows(tmp_path: Path) -> None:
    """The variance of 1e-10 is fine in float64; in float32, the precision of requests, labels change."""
    random = np.random.default_rng(2)
    rows = pd.DataFrame({"usual": random.normal(size=2000), "tiny": 150 + 1e-5 * random.normal(size=2000)})
    outcome = ((rows.tiny - 150) * 1e5 + 0.3 * rows.usual > 0).astype(int)
    model = make_pipeline(StandardScaler(), LogisticRegression()).fit(rows, outcome)
    with pytest.raises(ExportRefused) as refused:
        homeostat.export(model, rows.assign(outcome=outcome), tmp_path / "project")
    changed = int(str(refused.value).partition(" labels changed")[0].rpartition(" ")[2])
    assert changed > 0.1 * len(rows)
    assert "row  original  exported" in refused.value.message
    assert "different values of tiny are the same number" in refused.value.hint
    assert not (tmp_path / "project").exists()


def test_a_conversion_that_computes_something_else_is_refused(
    rows: pd.DataFrame, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    model = LinearRegression().fit(rows[["age"]], rows["age"] * 2.0)
    true = model.predict
    monkeypatch.setattr(model, "predict", lambda given: true(given) + (given["age"].to_numpy() > 89 + 70))
    with pytest.raises(ExportRefused, match="(?s)values beyond the range: 10 of 40.*changed"):
        homeostat.export(model, rows[["age"]], tmp_path / "project")


def test_few_differing_rows_are_warned_of(
    rows: pd.DataFrame, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    model = LinearRegression().fit(rows[["age"]], rows["age"] * 2.0)
    true = model.predict
    monkeypatch.setattr(model, "predict", lambda given: true(given) + (np.arange(len(given)) == 599))
    with pytest.warns(homeostat.ExportWarning, match=r"the rows: 1 of 600 rows differ"):
        homeostat.export(model, rows[["age"]].assign(outcome=1.0), tmp_path)


def test_a_regression_tolerates_a_share_of_its_loss_on_the_rows(rows: pd.DataFrame, tmp_path: Path) -> None:
    truth = rows["age"] + np.where(np.arange(len(rows)) % 2, 10.0, -10.0)
    homeostat.export(LinearRegression().fit(rows[["age"]], truth), rows.assign(outcome=truth), tmp_path)
    loss = json.loads((tmp_path / "metrics.json").read_bytes())["rmse"]
    assert read_loop_spec(tmp_path).drift.loss_increase == pytest.approx(0.05 * loss, rel=0.1)
    assert read_loop_spec(tmp_path).drift.loss_increase > 0.4


def test_a_category_that_the_original_refuses_is_warned_of(rows: pd.DataFrame, tmp_path: Path) -> None:
    model = pipeline("error").fit(rows[FEATURES], rows["outcome"])
    with pytest.warns(
        homeostat.ExportWarning, match="unseen categories: not compared: the original model refuses them"
    ):
        homeostat.export(model, rows, tmp_path)
    assert read_loop_spec(tmp_path).feature("shop").unknown == "refuse"


def test_outcomes_must_be_classes_of_the_model(fitted: Pipeline, rows: pd.DataFrame, tmp_path: Path) -> None:
    with pytest.raises(ExportRefused, match="outcome column 'outcome' has the value 2"):
        homeostat.export(fitted, rows.assign(outcome=2), tmp_path)


def test_categories_are_open_where_the_original_takes_them(rows: pd.DataFrame, tmp_path: Path) -> None:
    columns = ColumnTransformer(
        [
            ("shop", OneHotEncoder(), ["shop"]),
            ("city", OneHotEncoder(handle_unknown="ignore"), ["city"]),
        ]
    )
    given = rows.assign(city=np.where(np.arange(len(rows)) % 3, "Bern", "Oslo"))
    model = make_pipeline(columns, LogisticRegression()).fit(given[["shop", "city"]], given["outcome"])
    with pytest.warns(homeostat.ExportWarning, match="unseen categories: .*; not compared where shop is"):
        homeostat.export(model, given, tmp_path)
    loop = read_loop_spec(tmp_path)
    assert (loop.feature("shop").unknown, loop.feature("city").unknown) == ("refuse", "serve")


def test_values_that_float32_rounds_are_always_warned_of(rows: pd.DataFrame, tmp_path: Path) -> None:
    given = rows[["age"]].assign(seconds=1.7e9 + np.arange(len(rows)) * 10.0, outcome=rows["age"] * 2.0)
    model = LinearRegression().fit(given[["age"]], given["outcome"])
    tree = DecisionTreeRegressor(max_depth=2).fit(given[["age", "seconds"]], given["outcome"])
    with pytest.warns(homeostat.ExportWarning, match="different values of seconds are the same number"):
        homeostat.export(tree, given, tmp_path / "tree")
    assert not homeostat.export(model, given[["age"]], tmp_path / "age").warnings[1:]


def test_a_step_without_converter_is_refused(rows: pd.DataFrame, tmp_path: Path) -> None:
    model = make_pipeline(FunctionTransformer(np.cbrt), LinearRegression()).fit(rows[["age"]], rows["age"])
    with pytest.raises(ExportRefused, match="skl2onnx cannot convert this model: .*FunctionTransformer"):
        homeostat.export(model, rows[["age"]], tmp_path)


@pytest.fixture(scope="module")
def reviews() -> pd.DataFrame:
    random = np.random.default_rng(5)
    words = ["Good", "bad,", "room", "Été", "it's", "COLD!", "the"]
    texts = [" ".join(random.choice(words, 7)) for _ in range(300)]
    return pd.DataFrame(
        {
            "event_time": pd.date_range("2026-01-01", periods=300, freq="h", tz="UTC"),
            "review": texts,
            "town": random.choice(["Bern", "Basel"], 300),
            "stars": random.integers(1, 6, 300),
            "outcome": [int(text.count("Good") > text.count("bad")) for text in texts],
        }
    )


@pytest.mark.parametrize("last", [LogisticRegression(), RandomForestClassifier(10, random_state=1)])
def test_texts_beside_numbers_and_categories(last: Any, reviews: pd.DataFrame, tmp_path: Path) -> None:
    columns = ColumnTransformer(
        [
            ("words", TfidfVectorizer(ngram_range=(1, 2), sublinear_tf=True), "review"),
            ("town", OneHotEncoder(handle_unknown="ignore"), ["town"]),
            ("stars", StandardScaler(), ["stars"]),
        ]
    )
    model = make_pipeline(columns, last).fit(reviews, reviews["outcome"])
    report = homeostat.export(model, reviews, tmp_path, name="m")
    assert all(note.startswith("texts with \u0130") for note in report.warnings)
    assert [(one.name, one.differing) for one in report.comparisons if not one.advice] == [
        ("the rows", 0),
        ("values beyond the range", 0),
        ("unseen categories", 0),
        ("other texts", 0),
    ]
    loop = read_loop_spec(tmp_path)
    assert [(one.name, one.type) for one in loop.features] == [
        ("review", "text"),
        ("town", "category"),
        ("stars", "integer"),
    ]
    reference = pq.read_table(tmp_path / "reference.parquet")
    assert reference["review"].to_pylist() == reviews["review"].tolist()
    scores = OnnxModel(tmp_path / "model.onnx", loop).score(reference)
    np.testing.assert_allclose(scores, model.predict_proba(reviews)[:, 1], atol=1e-6)


@pytest.mark.parametrize(
    "steps",
    [
        (CountVectorizer(binary=True), BernoulliNB()),
        (CountVectorizer(ngram_range=(1, 2)), TfidfTransformer(norm="l1"), MultinomialNB()),
        (TfidfVectorizer(analyzer="char_wb", ngram_range=(2, 4)), Ridge()),
        (
            FeatureUnion([("a", TfidfVectorizer()), ("b", CountVectorizer(analyzer="char"))]),
            TruncatedSVD(4),
            LogisticRegression(),
        ),
    ],
    ids=["bernoulli", "multinomial", "ridge", "union"],
)
def test_pipeline_of_one_text_column(steps: Any, reviews: pd.DataFrame, tmp_path: Path) -> None:
    model = make_pipeline(*steps).fit(reviews["review"], reviews["outcome"])
    report = homeostat.export(model, reviews.drop(columns=["town"]), tmp_path)
    assert [one.differing for one in report.comparisons if not one.advice] == [0, 0]
    assert [(one.name, one.feature.type) for one in report.columns] == [("review", "text")]


def test_column_of_texts_is_named_where_there_are_two(reviews: pd.DataFrame, tmp_path: Path) -> None:
    model = make_pipeline(CountVectorizer(), MultinomialNB()).fit(reviews["review"], reviews["outcome"])
    with pytest.raises(ExportRefused, match="one column of texts, and the rows have review, town"):
        homeostat.export(model, reviews, tmp_path)
    assert homeostat.export(model, reviews, tmp_path, features=["review"]).columns[0].name == "review"
    with pytest.raises(ExportRefused, match="column 'review' holds values of type int"):
        homeostat.export(model, reviews.assign(review=1), tmp_path, features=["review"])


def test_lower_case_that_differs_is_refused_with_the_rows(reviews: pd.DataFrame, tmp_path: Path) -> None:
    """Python writes a dotted capital I as two characters, of which the second ends the word."""
    turkish = reviews.assign(review=["İstanbul " + text for text in reviews["review"]])
    model = make_pipeline(CountVectorizer(), LogisticRegression()).fit(turkish["review"], turkish["outcome"])
    model[-1].coef_[:] = 1
    with pytest.raises(ExportRefused, match="the rows: 300 of 300 rows differ") as refused:
        homeostat.export(model, turkish, tmp_path, features=["review"])
    assert "column 'review' has the character \u0130: lower case of" in refused.value.hint


@pytest.mark.parametrize("lowercase", [True, False])
def test_dotted_capital_i_that_no_row_has_is_a_line_of_the_report(
    reviews: pd.DataFrame, lowercase: bool, tmp_path: Path
) -> None:
    given = reviews.assign(review=reviews["review"].str.lower())
    model = make_pipeline(CountVectorizer(lowercase=lowercase), LogisticRegression())
    model.fit(given["review"], given["outcome"])
    model[-1].coef_[:] = 1
    report = homeostat.export(model, given, tmp_path, features=["review"])
    assert not report.warnings
    lines = [line for line in str(report).splitlines() if line.startswith("texts with \u0130")]
    assert [("rows differ" in line, "lowercase=False" in line) for line in lines] == [(lowercase, lowercase)]


def test_missing_outcome_or_time_is_reported(rows: pd.DataFrame, tmp_path: Path) -> None:
    model = LinearRegression().fit(rows[["age"]], rows["age"])
    with pytest.warns(homeostat.ExportWarning, match="no reference.parquet was written"):
        report = homeostat.export(model, rows[["age"]], tmp_path / "bare")
    assert report.files == ("model.onnx", "metrics.json", "loop.yaml")
    (tmp_path / "bare" / "reference.parquet").write_bytes(b"of another model")
    with pytest.warns(homeostat.ExportWarning, match="the earlier reference.parquet was removed"):
        homeostat.export(model, rows[["age"]], tmp_path / "bare")
    assert not (tmp_path / "bare" / "reference.parquet").exists()
    with pytest.warns(homeostat.ExportWarning, match="no column 'event_time'.*time of this export"):
        homeostat.export(model, rows[["age"]].assign(outcome=rows["age"]), tmp_path / "timeless")


def test_an_edited_loop_yaml_is_kept_and_must_fit(
    fitted: Pipeline, rows: pd.DataFrame, tmp_path: Path
) -> None:
    homeostat.export(fitted, rows, tmp_path, name="fraud")
    edited = (tmp_path / "loop.yaml").read_text().replace("automation: observe", "automation: suggest")
    (tmp_path / "loop.yaml").write_text(edited)
    assert homeostat.export(fitted, rows, tmp_path).files == (
        "model.onnx",
        "metrics.json",
        "reference.parquet",
    )
    assert (tmp_path / "loop.yaml").read_text() == edited
    with pytest.raises(ExportRefused, match="loop.yaml is of model fraud, and the given name is credit"):
        homeostat.export(fitted, rows, tmp_path, name="credit")
    assert homeostat.export(fitted, rows, tmp_path, name="fraud").files[0] == "model.onnx"
    (tmp_path / "loop.yaml").write_text(edited.replace("name: card", "name: chip"))
    with pytest.raises(
        ExportRefused,
        match="loop.yaml of the folder is of the model fraud, with the features shop, amount_EUR, age, chip; this one reads",
    ) as one:
        homeostat.export(fitted, rows, tmp_path)
    assert "another folder" in one.value.hint


@pytest.mark.parametrize("column", ["outcome", "label"])
def test_model_that_reads_the_outcome_is_refused(rows: pd.DataFrame, column: str, tmp_path: Path) -> None:
    leaking = rows.assign(outcome=rows["outcome"] == "bad").rename(columns={"outcome": column})
    model = RandomForestClassifier(5).fit(leaking[["age", column]], leaking[column])
    with pytest.raises(ExportRefused, match=f"fitted with the column of outcomes '{column}'") as one:
        homeostat.export(model, leaking, tmp_path / "project", outcome=column)
    assert one.value.hint.startswith(f"fit it without '{column}'")
    assert not (tmp_path / "project").exists()


def test_export_of_the_other_class_into_a_project_is_refused(
    fitted: Pipeline, rows: pd.DataFrame, tmp_path: Path
) -> None:
    homeostat.export(fitted, rows, tmp_path, name="fraud", positive="bad")
    before = {path.name: path.read_bytes() for path in tmp_path.iterdir()}
    with pytest.raises(
        ExportRefused, match="loop.yaml has 'bad' as outcome 1, this export has 'good'"
    ) as one:
        homeostat.export(fitted, rows, tmp_path)
    assert one.value.hint == "give --positive bad, in Python positive='bad'"
    assert {path.name: path.read_bytes() for path in tmp_path.iterdir()} == before
    homeostat.export(fitted, rows, tmp_path, positive="bad")
    text = (tmp_path / "loop.yaml").read_text()
    (tmp_path / "loop.yaml").write_text(text.replace("positive: bad, ", ""))
    with pytest.raises(ExportRefused, match="does not say which class has outcome 1") as one:
        homeostat.export(fitted, rows, tmp_path, positive="bad")
    assert 'add `positive: "bad"` to prediction' in one.value.hint


def test_columns_of_a_model_without_names_are_given(rows: pd.DataFrame, tmp_path: Path) -> None:
    model = LinearRegression().fit(rows[["age", "card"]].to_numpy(float), rows["age"])
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        report = homeostat.export(
            model, rows.assign(cost=rows["age"]), tmp_path, outcome="cost", features=["age", "card"]
        )
    assert [column.name for column in report.columns] == ["age", "card"]


def test_refusal_is_the_last_line_of_the_traceback(
    fitted: Pipeline, rows: pd.DataFrame, tmp_path: Path
) -> None:
    with pytest.raises(homeostat.ExportRefused) as refused:
        homeostat.export(fitted, rows, tmp_path / "project", positive="worse")
    lines = "".join(traceback.format_exception(refused.value)).splitlines()
    said = "positive='worse' is not a class of the model (its classes are 'bad' and 'good')"
    assert lines[-1] == f"shared.errors.ExportRefused: {said}"
    assert sum(line.startswith("  File") for line in lines) == 2


@pytest.mark.parametrize(
    ("given", "said"),
    [
        ({"kind": "class"}, "kind='class' is unknown"),
        ({"tolerance": -1}, "tolerance=-1 is out of range"),
        ({"allowed_share": 1}, "allowed_share=1 is out of range"),
        ({"name": "Card Fraud"}, "name='Card Fraud' is not a name of a model"),
        ({"outcome": "label"}, "outcome='label' is not a column of the rows"),
        ({"event_time": "ts"}, "event_time='ts' is not a column of the rows"),
        ({"features": "age"}, "features='age' is not a list of texts"),
        ({"outcome_delay": "soon"}, "outcome_delay='soon' is not a duration"),
        ({"labels": "cat"}, "labels='cat' is not a list of texts or whole numbers"),
        (
            {"labels": ["bad", "good"]},
            "labels=['bad', 'good'] is for models of torch and ONNX; this one is of scikit-learn and predicts a probability",
        ),
    ],
)
def test_argument_that_cannot_be_meant_is_refused(
    fitted: Pipeline, rows: pd.DataFrame, tmp_path: Path, given: dict[str, Any], said: str
) -> None:
    with pytest.raises(ExportRefused) as refused:
        homeostat.export(fitted, rows, tmp_path / "project", **given)
    assert refused.value.message == said
    assert refused.value.hint
    assert not (tmp_path / "project").exists()


@pytest.mark.parametrize("given", [{"age": [1]}, pd.DataFrame({"age": []})])
def test_rows_must_be_a_table_with_rows(given: Any, tmp_path: Path) -> None:
    with pytest.raises(ExportRefused, match="^rows is (a dict|empty) "):
        homeostat.export(LinearRegression(), given, tmp_path)


def test_error_of_the_original_names_message_and_columns(rows: pd.DataFrame, tmp_path: Path) -> None:
    model = LinearRegression().fit(rows[["age", "card"]].astype(float), rows["age"])
    gaps = rows.assign(age=rows["age"].where(rows["age"] > 30), cost=rows["age"])
    with pytest.raises(ExportRefused) as refused:
        homeostat.export(model, gaps, tmp_path, outcome="cost", features=["age", "card"])
    assert refused.value.message == "the original model fails on the rows: Input X contains NaN."
    assert refused.value.hint == (
        "pass rows that the model can score; it was given the columns age (float64), card (bool)"
    )
    assert isinstance(refused.value.__cause__, ValueError)


def test_unexpected_exception_names_the_step(
    rows: pd.DataFrame, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def conversions(self: Any, columns: Any, given: Any) -> Any:
        yield from ()
        raise KeyError("learner")

    model = LinearRegression().fit(rows[["age"]], rows["age"])
    monkeypatch.setattr(SklearnModel, "conversions", conversions)
    with pytest.raises(ExportRefused) as refused:
        homeostat.export(model, rows[["age"]], tmp_path / "project")
    assert str(refused.value) == (
        "the conversion of the scikit-learn model failed: KeyError: 'learner' (check that the model is fitted; if it "
        "scores these rows by itself, write its ONNX file with the library's own converter and export that; the "
        "library's exception is above, as the cause)"
    )
    assert isinstance(refused.value.__cause__, KeyError)


def test_exception_in_reading_names_the_step(
    rows: pd.DataFrame, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def fails(*_: Any) -> None:
        raise KeyError("learner")

    monkeypatch.setattr(SklearnModel, "column_names", fails)
    model = LinearRegression().fit(rows[["age"]], rows["age"])
    with pytest.raises(ExportRefused) as refused:
        homeostat.export(model, rows, tmp_path / "project", outcome="age")
    assert refused.value.message == "reading the model failed: KeyError: 'learner'"
    assert refused.value.hint.startswith("check that the model is fitted; ")


def test_importing_the_package_loads_nothing_heavy() -> None:
    said = subprocess.run(
        [
            sys.executable,
            "-c",
            "import sys, homeostat; print({'pandas', 'onnx', 'numpy', 'sklearn'} & set(sys.modules))",
        ],
        capture_output=True,
        text=True,
        timeout=bound(60),
    )
    assert said.stdout.strip() == "set()"


def ranges() -> pd.DataFrame:
    """Minutes of an order, of which three depend on two numbers on scales that differ."""
    random = np.random.default_rng(8)
    distance, items = random.uniform(1, 9, 500), random.integers(1, 6, 500)
    minutes = 5 + 3 * distance + 2 * items
    times = pd.date_range("2026-01-01", periods=500, freq="h", tz="UTC")
    noise = random.normal(size=(500, 3))
    return pd.DataFrame(
        {
            "event_time": times,
            "distance": distance,
            "items": items,
            "low": minutes - 4 + noise[:, 0],
            "mid": minutes + noise[:, 1],
            "seconds": 60 * (minutes + 4) + noise[:, 2],
        }
    )


NAMES = ["low", "mid", "seconds"]


@pytest.mark.parametrize(
    "estimator", [Ridge(), RandomForestRegressor(10, random_state=1, min_samples_leaf=5)]
)
@pytest.mark.parametrize("as_dictionaries", [False, True])
def test_regressor_of_several_values_becomes_a_project(
    tmp_path: Path, estimator: Any, as_dictionaries: bool
) -> None:
    rows = ranges()
    model = make_pipeline(StandardScaler(), estimator).fit(rows[["distance", "items"]], rows[NAMES])
    given: dict[str, Any] = {"outcome": NAMES}
    if as_dictionaries:
        rows = rows.drop(columns=NAMES).assign(outcome=pd.Series(rows[NAMES].to_dict("records")))
        given = {}
    rows.loc[0, "outcome" if as_dictionaries else "low"] = None
    report = homeostat.export(model, rows, tmp_path / "arrivals", **given)
    if not as_dictionaries:
        with pytest.raises(ExportRefused, match="names low, mid, seconds, the model has seconds, mid, low"):
            homeostat.export(model, rows, tmp_path / "arrivals", outcome=NAMES[::-1])
    assert (report.kind.name, report.kind.names) == ("values", ("low", "mid", "seconds"))
    loop = read_loop_spec(tmp_path / "arrivals")
    assert loop.prediction.model_dump(mode="json") == {"kind": "values", "names": NAMES, "output": "scores"}
    reference = read_rows(tmp_path / "arrivals" / "reference.parquet", loop, datetime(2026, 6, 1, tzinfo=UTC))
    scores = OnnxModel(tmp_path / "arrivals" / "model.onnx", loop).score(reference)
    expected = model.predict(reference.select(["distance", "items"]).to_pandas())
    np.testing.assert_allclose(scores, expected, rtol=1e-4)
    outcomes = read_outcomes(loop.prediction, reference["outcome"])
    known = np.isfinite(outcomes).all(axis=1)
    assert known.sum() == 499
    [(name, loss)] = json.loads((tmp_path / "arrivals" / "metrics.json").read_text()).items()
    assert name == "rmse"
    assert loss == pytest.approx(mean_squared_error(outcomes[known], expected[known]) ** 0.5, rel=1e-4)


def test_names_and_model_must_have_as_many_values(tmp_path: Path) -> None:
    rows = ranges()
    features = rows[["distance", "items"]]
    with pytest.raises(ExportRefused, match=r"several values per row: \[500, 3\] for 500 rows") as refused:
        homeostat.export(Ridge().fit(features, rows[NAMES]), rows, tmp_path / "a", outcome=["low", "mid"])
    assert "outcome=['low', 'mid', 'high']" in str(refused.value.hint)
    assert "on the command line --outcome low --outcome mid" in str(refused.value.hint)
    with pytest.raises(ExportRefused, match="several values per row"):
        homeostat.export(Ridge().fit(features, rows[NAMES]), rows[["distance", "items"]], tmp_path / "b")
    with pytest.raises(ExportRefused, match="several values per row"):
        homeostat.export(Ridge().fit(features, rows["mid"]), rows, tmp_path / "c", outcome=NAMES)
    late = LogisticRegression().fit(features, rows["mid"] > 30)
    with pytest.raises(ExportRefused, match="the outcomes are low, mid, seconds, and the model predicts one"):
        homeostat.export(late, rows, tmp_path / "d", outcome=NAMES)
    assert list(tmp_path.iterdir()) == []


def test_a_conversion_with_one_wrong_value_is_refused(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The small value differs, on its own scale: beside seconds it would not be seen."""
    rows = ranges()
    model = Ridge().fit(rows[["distance", "items"]], rows[NAMES])
    predict, off = type(model).predict, np.array([0.02, 0.0, 0.0])
    monkeypatch.setattr(Ridge, "predict", lambda self, given: predict(self, given) + off)
    with pytest.raises(ExportRefused, match="returns other scores than the original") as refused:
        homeostat.export(model, rows, tmp_path / "arrivals", outcome=NAMES)
    assert " low " in refused.value.message


@pytest.mark.parametrize("unknown", ["ignore", "error"])
def test_many_categories_need_a_model_that_takes_unknown_ones(unknown: str, tmp_path: Path) -> None:
    from sklearn.linear_model import LogisticRegression
    from sklearn.pipeline import make_pipeline
    from sklearn.preprocessing import OneHotEncoder

    rows = pd.DataFrame({"shop": [f"s{number % 1500}" for number in range(3000)]})
    rows["outcome"] = [number % 2 for number in range(3000)]
    model = make_pipeline(OneHotEncoder(handle_unknown=unknown), LogisticRegression())
    model.fit(rows[["shop"]], rows["outcome"])
    if unknown == "error":
        with pytest.raises(ExportRefused, match="1500 different texts, and the model refuses others"):
            homeostat.export(model, rows, tmp_path)
        return
    homeostat.export(model, rows, tmp_path)
    feature = read_loop_spec(tmp_path).feature("shop")
    assert (feature.values, feature.unknown) == ((), "serve")
