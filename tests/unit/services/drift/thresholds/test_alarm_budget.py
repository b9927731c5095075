from __future__ import annotations

import doctest
from datetime import timedelta

import pytest

from services.drift.thresholds import alarm_budget
from services.drift.thresholds.alarm_budget import error_budget, split_budget, stream_budget


def test_windows_and_stream_together_have_the_budget() -> None:
    rates = split_budget(2.0, timedelta(hours=1), feature_scores=4, data_scores=5)
    total = 4 * rates.feature + rates.prediction + rates.estimated_performance + rates.performance
    total += 5 * rates.data
    assert 720 * total + stream_budget(2.0) + error_budget(2.0) == pytest.approx(2.0)


def test_more_columns_leave_less_to_each() -> None:
    few = split_budget(1.0, timedelta(days=1), feature_scores=2, data_scores=2)
    many = split_budget(1.0, timedelta(days=1), feature_scores=200, data_scores=200)
    assert many.feature == pytest.approx(few.feature / 100)
    assert many.prediction == few.prediction


def test_a_window_longer_than_the_budget_does_not_get_more_than_a_quarter() -> None:
    rates = split_budget(5.0, timedelta(days=30), feature_scores=1, data_scores=1)
    single = (rates.feature, rates.prediction, rates.estimated_performance, rates.performance, rates.data)
    assert sum(single) == pytest.approx(0.25)


def test_a_window_of_no_length_is_no_error() -> None:
    assert split_budget(1.0, timedelta(0), feature_scores=0, data_scores=0).prediction > 0


def test_examples_in_docstrings() -> None:
    results = doctest.testmod(alarm_budget)
    assert (results.failed, results.attempted > 0) == (0, True)


def test_several_predictions_share_their_part_of_the_budget() -> None:
    one = split_budget(1.0, timedelta(days=1), feature_scores=2, data_scores=2)
    four = split_budget(1.0, timedelta(days=1), feature_scores=2, data_scores=2, prediction_scores=4)
    assert four.prediction == pytest.approx(one.prediction / 4)
    none = split_budget(1.0, timedelta(days=1), feature_scores=2, data_scores=2, prediction_scores=0)
    assert none.prediction == one.prediction
