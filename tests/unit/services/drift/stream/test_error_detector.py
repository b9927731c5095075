from __future__ import annotations

import doctest

import numpy as np
import pytest

from services.drift.stream import error_detector
from services.drift.stream.error_detector import ErrorDetector, null_of


def errors(seed: int, *parts: tuple[float, int]) -> np.ndarray:
    random = np.random.default_rng(seed)
    return np.concatenate([random.random(rows) < rate for rate, rows in parts]).astype(float)


def test_docstring_examples() -> None:
    results = doctest.testmod(error_detector)
    assert results.attempted > 0
    assert results.failed == 0


def test_blocks_equal_row_by_row() -> None:
    losses = errors(3, (0.1, 500), (0.3, 200))
    whole, single = ErrorDetector(0.1, 1e6), ErrorDetector(0.1, 1e6)
    alarm = whole.add(losses)
    one = next(found for loss in losses if (found := single.add(np.array([loss]))))
    assert alarm is not None
    assert (alarm.row, alarm.onset) == (one.row, one.onset)
    assert alarm.evidence == pytest.approx(one.evidence)
    assert abs(alarm.onset - 500) < 40


def test_rising_error_rates_are_found_soon() -> None:
    # The medians of thousands of runs are about 670 and 197; that of 60 has a standard error of 5 to 8 %.
    for rate, most in ((0.15, 800), (0.2, 220)):
        delays = []
        for seed in range(60):
            alarm = ErrorDetector(0.1, 1e6, errors=True).add(errors(seed, (0.1, 500), (rate, 8_000)))
            assert alarm is not None
            delays.append(alarm.row - 499)
        assert np.median(delays) <= most


def test_false_alarms_are_rarer_than_stated() -> None:
    detector, alarms, left = ErrorDetector(0.1, 2_000), 0, errors(5, (0.1, 200_000))
    while left.size:
        before = detector.state()["rows"][0]
        alarm = detector.add(left)
        if alarm is None:
            break
        alarms += 1
        left = left[alarm.row + 1 - before :]
    assert 0 < alarms <= 100


def alarms_of(detector: ErrorDetector, losses: np.ndarray) -> int:
    alarms = 0
    while losses.size:
        before = detector.rows
        alarm = detector.add(losses)
        if alarm is None:
            break
        alarms += 1
        losses = losses[alarm.row + 1 - before :]
    return alarms


def test_errors_use_what_the_threshold_would_cut_off() -> None:
    """Their mean time between false alarms is the stated one; for losses of any shape it is longer."""
    losses = errors(5, (0.1, 150_000))
    stated = losses.size / 200
    assert alarms_of(ErrorDetector(0.1, 200, errors=True), losses) == pytest.approx(stated, rel=0.1)
    assert alarms_of(ErrorDetector(0.1, 200), losses) < 0.87 * stated
    # What is unknown about the past's influence is not used up.
    correlated = (ErrorDetector(0.1, 200, 2.0, errors=each) for each in (False, True))
    assert len({alarms_of(each, losses[:50_000]) for each in correlated}) == 1


def test_blocks_of_errors_equal_row_by_row() -> None:
    losses = errors(3, (0.1, 500), (0.3, 200))
    whole, single = (ErrorDetector(0.1, 1e6, errors=True) for _ in range(2))
    alarm = whole.add(losses)
    one = next(found for loss in losses if (found := single.add(np.array([loss]))))
    assert alarm is not None
    assert (alarm.row, alarm.onset) == (one.row, one.onset)
    assert alarm.evidence == pytest.approx(one.evidence)
    general = ErrorDetector(0.1, 1e6).add(losses)
    assert general is not None
    assert alarm.row <= general.row


def test_first_row_of_a_part_is_as_any_other() -> None:
    """After twelve errors the next one would cross the threshold; the row without one gets what would be cut off."""
    losses = np.array([1.0] * 12 + [0.0])
    whole, parts = (ErrorDetector(0.1, 2.4e6, errors=True) for _ in range(2))
    assert whole.add(losses) is None
    assert parts.add(losses[:12]) is None
    assert parts.add(losses[12:]) is None
    assert parts.evidence == pytest.approx(whole.evidence)


def test_errors_are_zero_or_one() -> None:
    with pytest.raises(ValueError, match="0 or 1"):
        ErrorDetector(0.1, 1e6, errors=True).add(np.array([0.0, 0.5]))


def test_losses_of_any_shape_count_by_their_mean() -> None:
    random = np.random.default_rng(3)
    assert ErrorDetector(0.2, 1e6).add(random.beta(2, 8, 20_000)) is None
    assert ErrorDetector(0.2, 1e6).add(random.beta(4, 8, 2_000)) is not None


def test_restored_detector_continues_exactly() -> None:
    losses = errors(3, (0.1, 500), (0.3, 300))
    whole, first, second = (ErrorDetector(0.1, 1e6) for _ in range(3))
    assert first.add(losses[:333]) is None
    second.restore(first.state())
    alarm, other = whole.add(losses), second.add(losses[333:])
    assert alarm is not None
    assert other is not None
    assert (alarm.row, alarm.onset) == (other.row, other.onset)


@pytest.mark.parametrize("null", [0.0, 1.0, -0.1])
def test_null_outside_zero_and_one_is_refused(null: float) -> None:
    with pytest.raises(ValueError, match="between 0 and 1"):
        ErrorDetector(null, 1e6)


def test_losses_outside_zero_and_one_are_refused() -> None:
    with pytest.raises(ValueError, match="between 0 and 1"):
        ErrorDetector(0.1, 1e6).add(np.array([0.5, 1.5]))


def test_null_is_above_the_reference_mean_and_nears_it() -> None:
    few, many = (null_of(errors(3, (0.1, rows))) for rows in (1_000, 100_000))
    assert 0.1 < many < few
    assert null_of(np.zeros(1_000)) > 0
