"""The geometry of the charts, and which scores are shown."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

import pytest

from services.console.views.charts import loss_chart, ratio, shown_scores, sparkline
from shared.contracts.verdict import Score, Verdict
from tests.fakes.loop_services import NOW, full_loop


def verdict(*scores: Score, **changed: Any) -> Verdict:
    made = Verdict.model_validate({**full_loop().verdicts[0], "scores": ()})
    return made.model_copy(update={"scores": scores, **changed})


def score(value: float, *, signal: str = "feature", exceeded: bool = False, threshold: float = 1.0) -> Score:
    made = {"signal": signal, "method": "wasserstein", "value": value, "threshold": threshold}
    return Score.model_validate({**made, "exceeded": exceeded})


def test_exceeding_scores_are_shown_strongest_first() -> None:
    scores = [score(value, exceeded=value > 1) for value in (0.9, 1.2, 1.8, 1.1, 1.5)]
    assert [one.value for one in shown_scores(verdict(*scores))] == [1.8, 1.5, 1.2]


def test_without_an_exceeding_score_a_data_check_comes_last() -> None:
    assert shown_scores(verdict(score(0.9, signal="data"), score(0.2))) == [score(0.2)]
    assert shown_scores(verdict()) == []


def test_a_threshold_of_zero_has_no_ratio() -> None:
    assert ratio(score(0.5, threshold=0.0)) is None


def test_sparkline_has_a_column_per_window_oldest_first() -> None:
    newest, before, first = (NOW - timedelta(days=day) for day in range(3))
    chart = sparkline(
        [
            verdict(score(1.5, exceeded=True), window_end=newest),
            verdict(window_end=before),
            verdict(score(0.2, signal="performance"), window_end=first),
            verdict(score(0.5), window_end=first, detector="inputs"),
        ]
    )
    assert chart is not None
    assert [column.kind for column in chart.columns] == ["under", "gap", "over"]
    assert chart.label.endswith("over 3 windows, oldest first; 1 above 1: 0.50×, none, 1.50×")
    assert sparkline([verdict()]) is None


@pytest.mark.parametrize(
    ("baseline", "served", "comparison"),
    [
        (0.57, 0.51, "11% less loss than the first version"),
        (0.5, 0.6, "20% more loss than the first version"),
        (0.0, 0.0, "0% less loss than the first version"),
    ],
)
def test_losses_are_compared_in_words(baseline: float, served: float, comparison: str) -> None:
    assert loss_chart(baseline, served).comparison == comparison
