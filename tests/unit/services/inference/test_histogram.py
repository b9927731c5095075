from __future__ import annotations

from services.inference.histogram import Histogram


def test_buckets_are_cumulative_and_inclusive() -> None:
    histogram = Histogram((0.1, 1.0))
    for value in (0.05, 0.1, 0.5, 7.0):
        histogram.observe(value)
    assert histogram.buckets() == [("0.1", 2.0), ("1.0", 3.0), ("+Inf", 4.0)]
    assert histogram.sum == 7.65


def test_values_together_are_those_one_by_one() -> None:
    for values in ((0.05, 0.1), (0.05, 0.5, 7.0), (2.0,)):
        together, alone = Histogram((0.1, 1.0)), Histogram((0.1, 1.0))
        together.observe_all(values)
        for value in values:
            alone.observe(value)
        assert together.counts == alone.counts
        assert together.sum == alone.sum
