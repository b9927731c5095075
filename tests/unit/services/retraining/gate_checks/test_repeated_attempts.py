"""Repeated attempts on the same rows: equal challengers are promoted no more often than stated."""

from __future__ import annotations

import doctest
from datetime import UTC, datetime, timedelta

import numpy as np
import pytest

from services.retraining.gate_checks import repeated_attempts
from services.retraining.gate_checks.gain import gain_of
from services.retraining.gate_checks.repeated_attempts import attempt_confidence, attempt_number

START = datetime(2026, 1, 1, tzinfo=UTC)
HOURS = (np.arange(14 * 24) * 3_600_000_000).astype(np.int64)


def promotions(
    challengers: int, confidence: float, random: np.random.Generator, *, corrected: bool = True
) -> int:
    """Of `challengers` as good as the champion, one after the other on one holdout; a promotion begins a new count."""
    count = attempt = 0
    for _ in range(challengers):
        attempt += 1
        needed = attempt_confidence(confidence, attempt) if corrected else confidence
        difference = random.normal(0, 0.05, 14).repeat(24) + random.normal(0, 0.1, len(HOURS))
        if gain_of(difference, np.zeros_like(difference), HOURS, needed).lower > 0:
            count, attempt = count + 1, 0
    return count


def test_two_hundred_equal_challengers_are_promoted_no_more_often_than_stated() -> None:
    """Stated: a wrong promotion with probability 1.4 (1 - confidence) at most, after which the count begins again."""
    random, sequences, confidence = np.random.default_rng(11), 60, 0.9
    found = sum(promotions(200, confidence, random) for _ in range(sequences))
    bound = 1.4 * (1 - confidence)
    stated = sequences * bound / (1 - bound)
    assert found <= stated + 3 * np.sqrt(stated), (found, stated)
    assert promotions(200, confidence, random, corrected=False) > 10


def test_all_attempts_together_spend_no_more_than_stated() -> None:
    spent = sum(1 - attempt_confidence(0.9, attempt) for attempt in range(1, 100_000))
    assert 0.1 < spent < 0.14


@pytest.mark.parametrize(("days", "expected"), [([], 1), ([-8], 1), ([-7], 2), ([0, 0, 0], 4), ([7, 8], 2)])
def test_overlapping_holdouts_are_counted(days: list[int], expected: int) -> None:
    week = timedelta(days=7)
    earlier = [(START + timedelta(days=day), START + timedelta(days=day) + week) for day in days]
    assert attempt_number((START, START + week), earlier) == expected


def test_holdouts_that_share_the_batch_of_one_moment_overlap() -> None:
    """All rows of a holdout may have one time."""
    assert attempt_number((START, START), [(START, START), (START - timedelta(days=7), START)]) == 3


def test_each_set_of_holdouts_that_share_rows_has_the_bound_for_itself() -> None:
    """Sliding holdouts have no common bound: of daily ones of a week the later all need the same confidence."""
    week = [(START + timedelta(days=day), START + timedelta(days=day + 6.99)) for day in range(100)]
    attempts = [attempt_number(one, week[:number]) for number, one in enumerate(week)]
    assert attempts == [*range(1, 7), *[7] * 94]
    spent = [1 - attempt_confidence(0.9, attempt) for attempt in attempts]
    assert max(sum(spent[day : day + 7]) for day in range(94)) < 0.14
    assert sum(spent) > 0.14


def test_formulas_match_their_examples() -> None:
    assert doctest.testmod(repeated_attempts).failed == 0
