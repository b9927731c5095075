"""When a count of false alarms shows that the stated rate is not kept."""

from __future__ import annotations

from scipy import stats

from loadtests.drift.errors import CHANCE, CLEAN_ROWS, SHORT_CLEAN_ROWS, most_false_alarms


def test_false_alarms_at_the_stated_rate_rarely_miss_the_bar() -> None:
    for rows, most in ((SHORT_CLEAN_ROWS, 9), (CLEAN_ROWS, 28)):
        assert most_false_alarms(rows) == most
        assert stats.poisson.sf(most, rows / 1e6) <= CHANCE < stats.poisson.sf(most - 1, rows / 1e6)


def test_rate_twice_as_high_misses_the_bar() -> None:
    assert stats.poisson.sf(most_false_alarms(CLEAN_ROWS), 2 * CLEAN_ROWS / 1e6) > 0.95
