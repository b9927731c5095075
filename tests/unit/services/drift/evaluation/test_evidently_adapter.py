"""The real Evidently; it is imported once for all of these."""

from __future__ import annotations

import re
from dataclasses import replace
from datetime import UTC, datetime
from threading import Event
from typing import get_args

import numpy as np
import orjson
import pytest

from services.drift.evaluation import evidently_adapter
from services.drift.evaluation.evidently_adapter import EvidentlyAdapter, Heading, Sample
from shared.contracts.feature import CategoryMethod, NumberMethod
from shared.errors import OperatorError
from tests.unit.services.drift.distances import ScipyDistances

RANDOM = np.random.default_rng(11)
NORMAL = Sample("x", "numeric", RANDOM.normal(0.3, 1.2, 700), RANDOM.normal(size=3000))
SKEWED = Sample("y", "numeric", RANDOM.lognormal(size=700), RANDOM.lognormal(0.1, 1, 3000))
LEVELS = Sample(
    "c",
    "category",
    RANDOM.choice(["a", "b", "new"], 700).astype(object),
    RANDOM.choice(["a", "b", "d"], 3000).astype(object),
)


def heading(title: str, *paragraphs: str) -> Heading:
    return Heading(title, paragraphs, datetime(2026, 3, 1, tzinfo=UTC))


@pytest.fixture(scope="module")
def adapter() -> EvidentlyAdapter:
    adapter = EvidentlyAdapter()
    adapter.warm()
    return adapter


@pytest.mark.parametrize("sample", [NORMAL, SKEWED, LEVELS], ids=lambda sample: sample.name)
def test_evidently_and_the_plain_distances_agree(adapter: EvidentlyAdapter, sample: Sample) -> None:
    assert adapter.distance(sample) == pytest.approx(ScipyDistances().distance(sample), rel=1e-9)


@pytest.mark.parametrize("sample", [NORMAL, SKEWED, LEVELS], ids=lambda sample: sample.name)
def test_distance_is_that_of_the_report(adapter: EvidentlyAdapter, sample: Sample) -> None:
    document = adapter.draw(heading("a report"), [sample]).numbers
    [metric] = orjson.loads(document)["metrics"]
    assert adapter.distance(sample) == pytest.approx(metric["value"], rel=1e-9)


def test_infinite_numbers_are_left_out(adapter: EvidentlyAdapter) -> None:
    holes = Sample("x", "numeric", np.append(NORMAL.window, [np.inf, -np.inf]), NORMAL.reference)
    assert adapter.distance(holes) == adapter.distance(NORMAL)
    assert adapter.distance(Sample("x", "numeric", np.full(50, np.inf), NORMAL.reference)) is None


def test_the_unit_of_a_feature_does_not_matter(adapter: EvidentlyAdapter) -> None:
    tiny = Sample("x", "numeric", NORMAL.window * 1e-9, NORMAL.reference * 1e-9)
    assert adapter.distance(tiny) == pytest.approx(adapter.distance(NORMAL), rel=1e-6)


def test_missing_values_are_left_out(adapter: EvidentlyAdapter) -> None:
    holes = Sample("x", "numeric", np.append(NORMAL.window, [np.nan] * 50), NORMAL.reference)
    assert adapter.distance(holes) == adapter.distance(NORMAL)
    gone = Sample("c", "category", np.append(LEVELS.window, [None] * 50), LEVELS.reference)
    assert adapter.distance(gone) == adapter.distance(LEVELS)


@pytest.mark.parametrize(
    ("window", "reference", "expected"),
    [
        (np.full(50, 2.0), np.full(50, 2.0), 0.0),
        (np.full(50, 3.0), np.full(50, 2.0), 0.5),
        (np.full(50, np.nan), np.full(50, 2.0), None),
        (np.empty(0), np.full(50, 2.0), None),
        (np.full(50, 2.0), np.array([2.0]), None),
    ],
)
def test_degenerate_numbers(
    adapter: EvidentlyAdapter, window: np.ndarray, reference: np.ndarray, expected: float | None
) -> None:
    assert adapter.distance(Sample("x", "numeric", window, reference)) == expected


@pytest.mark.parametrize("answer", [float("nan"), float("inf")])
def test_what_is_no_number_is_no_distance(answer: float, monkeypatch: pytest.MonkeyPatch) -> None:
    adapter = EvidentlyAdapter()
    monkeypatch.setattr(adapter, "_measure", lambda _: answer)
    assert adapter.distance(NORMAL) is None


def test_a_column_evidently_cannot_digest_costs_that_column_only(adapter: EvidentlyAdapter) -> None:
    strange = np.empty(50, dtype=object)
    strange[:] = [["a", "list"] for _ in range(50)]
    assert adapter.distance(Sample("c", "category", strange, LEVELS.reference)) is None


def test_one_category_on_both_sides_is_no_distance(adapter: EvidentlyAdapter) -> None:
    alike = np.array(["a"] * 50, dtype=object)
    assert adapter.distance(Sample("c", "category", alike, alike)) == 0.0


def test_a_report_shows_the_columns_in_order_and_loads_nothing_from_outside(
    adapter: EvidentlyAdapter,
) -> None:
    drawn = adapter.draw(heading("toy & co", "because <x>"), [LEVELS, NORMAL])
    page, document = drawn.page, drawn.numbers
    assert "toy &amp; co" in page
    assert "because &lt;x&gt;" in page
    assert not re.search(r"""<(?:script|link|img)[^>]+(?:src|href)\s*=\s*["']?(?:https?:)?//""", page)
    # The policy stands before the first script, so it holds for all of them.
    assert 0 < page.index("default-src 'none'") < page.index("<script")
    assert page.index("because &lt;x&gt;") < page.index("window.drawDashboard(")
    metrics = orjson.loads(document)["metrics"]
    assert [metric["config"]["column"] for metric in metrics] == ["c", "x"]
    assert metrics[1]["value"] == pytest.approx(ScipyDistances().distance(NORMAL), rel=1e-6)


@pytest.mark.parametrize(
    "value", ["</script><script>document.title = 1</script>", "<body>", "<head>", "<!--"]
)
def test_category_values_stay_text_in_a_report(adapter: EvidentlyAdapter, value: str) -> None:
    levels = np.array(["plain", value] * 50, dtype=object)
    plain = np.array(["plain", "other"] * 50, dtype=object)
    drawn, as_usual = (
        adapter.draw(heading("toy", "because"), [Sample("c", "category", side, side)])
        for side in (levels, plain)
    )
    page, document, usual = drawn.page, drawn.numbers, as_usual.page
    assert page.count(value) == usual.count(value)
    assert value.replace("<", r"\u003c") in page
    assert [page.count(end) for end in ("<script", "</script>")] == [
        usual.count(end) for end in ("<script", "</script>")
    ]
    assert page.index("because") < page.index("window.drawDashboard(")
    assert orjson.loads(document)["metrics"]


def test_a_report_of_nothing_is_still_a_page(adapter: EvidentlyAdapter) -> None:
    drawn = adapter.draw(
        heading("toy", "an empty window"), [Sample("x", "numeric", np.empty(0), np.empty(0))]
    )
    assert "an empty window" in drawn.page
    assert orjson.loads(drawn.numbers) == {"metrics": []}
    assert drawn.run == ""


def test_missing_library_is_an_error_of_the_evaluation(monkeypatch: pytest.MonkeyPatch) -> None:
    """Not of one column, which would be left out of the verdict."""

    def library() -> None:
        raise ImportError("no evidently")

    monkeypatch.setattr(evidently_adapter, "_tests", library)
    with pytest.raises(ImportError):
        EvidentlyAdapter().distance(NORMAL)


def test_library_is_loaded_once_for_all_that_wait_and_its_errors_come_later() -> None:
    may_end, loads = Event(), []

    def load() -> None:
        loads.append(1)
        assert may_end.wait(30)
        raise ImportError("no evidently")

    adapter = EvidentlyAdapter(load)
    for _ in range(3):
        with pytest.raises(OperatorError, match="is being loaded"):
            adapter.prepare(0.01)
    may_end.set()
    adapter.prepare(30)
    assert loads == [1]


@pytest.mark.parametrize("method", get_args(NumberMethod))
def test_every_method_of_numbers_grows_with_drift(adapter: EvidentlyAdapter, method: str) -> None:
    """Also those that return a p-value: the score of a shifted window is above that of a calm one."""
    random = np.random.default_rng(4)
    calm, shifted = (
        adapter.distance(
            Sample("x", "numeric", random.normal(by, 1, 300), random.normal(size=900), method=method)
        )
        for by in (0, 1)
    )
    assert calm is not None
    assert shifted is not None
    assert shifted > calm


@pytest.mark.parametrize("method", get_args(CategoryMethod))
def test_every_method_of_categories_grows_with_drift(adapter: EvidentlyAdapter, method: str) -> None:
    random = np.random.default_rng(4)
    before = random.choice(["a", "b", "d"], 900, p=[0.6, 0.3, 0.1]).astype(object)
    calm, shifted = (
        adapter.distance(
            Sample(
                "c",
                "category",
                random.choice(["a", "b", "d"], 300, p=shares).astype(object),
                before,
                method=method,
            )
        )
        for shares in ([0.6, 0.3, 0.1], [0.2, 0.3, 0.5])
    )
    assert calm is not None
    assert shifted is not None
    assert shifted > calm


def test_report_of_a_p_value_agrees_with_its_score(adapter: EvidentlyAdapter) -> None:
    sample = replace(NORMAL, method="ks", threshold=3.0)
    document = adapter.draw(heading("a report"), [sample]).numbers
    [metric] = orjson.loads(document)["metrics"]
    assert metric["config"]["method"] == "ks"
    assert metric["config"]["threshold"] == pytest.approx(0.001)
    assert adapter.distance(sample) == pytest.approx(-np.log10(metric["value"]), rel=1e-6)
