"""The gate: seeded data, exact expectations; wrong promotions stay as rare as the confidence says."""

from __future__ import annotations

import doctest
import math
from typing import Any

import numpy as np
import numpy.typing as npt
import pytest
from scipy import stats

from services.retraining.runs import gate
from services.retraining.runs.gate import GateResult, Reported, compared, digest_of, evaluate_gate, gain_of
from shared.contracts.retraining_spec import Gate

HOUR = 3_600_000_000


def hours(count: int, per_hour: int = 4) -> npt.NDArray[np.int64]:
    return (np.arange(count) * (HOUR // per_hour)).astype(np.int64)


def evaluated(
    champion: Any, challenger: Any, *, latency: float = 1.0, champion_version: str = "old", **gate: Any
) -> GateResult:
    spec = Gate.model_validate({"holdout": "7d", "minimum_rows": 20, **gate})
    return evaluate_gate(
        spec,
        version="new",
        champion=champion_version,
        metric="log_loss",
        timestamps=hours(len(challenger)),
        champion_losses=None if champion is None else np.asarray(champion, float),
        challenger_losses=np.asarray(challenger, float),
        latency_ratio=latency,
    )


def failed(result: GateResult) -> list[str]:
    return [check.name for check in result.checks if not check.passed]


def test_clear_gain_passes() -> None:
    chance = np.random.default_rng(1)
    noise = chance.normal(0, 0.1, 1000)
    result = evaluated(0.6 + noise, 0.5 + noise)
    assert result.passed
    assert result.gain is not None
    assert result.gain.mean == pytest.approx(0.1)
    assert result.gain.lower == pytest.approx(
        0.1
    )  # the same noise in both: paired differences have no spread
    assert (result.gain.blocks, result.gain.block) == (11, "24 h")


def test_equal_challenger_is_refused() -> None:
    losses = np.random.default_rng(2).uniform(0, 1, 500)
    result = evaluated(losses, losses)
    assert failed(result) == ["gain"]
    assert "required more than 0" in result.reason


def test_gain_below_the_minimum_is_refused() -> None:
    noise = np.random.default_rng(3).normal(0, 0.01, 500)
    assert failed(evaluated(0.6 + noise, 0.58 + noise, minimum_gain=0.05)) == ["gain"]
    assert evaluated(0.6 + noise, 0.54 + noise, minimum_gain=0.05).passed


def test_too_few_rows_are_refused() -> None:
    assert failed(evaluated(np.ones(19), np.zeros(19))) == ["rows"]


def test_empty_holdout_is_refused() -> None:
    assert failed(evaluated(np.ones(0), np.zeros(0))) == ["rows"]


def test_slow_challenger_is_refused() -> None:
    slow = evaluated(np.ones(100), np.zeros(100), latency=3.5)
    assert failed(slow) == ["latency"]
    assert slow.reason.startswith("a call of 1 row takes 3.50 times as long as the champion's")
    assert evaluated(np.ones(100), np.zeros(100), latency=2.5).passed


def test_without_comparison_a_person_decides() -> None:
    result = evaluated(None, np.ones(100))
    assert result.passed
    assert result.gain is None
    assert not compared(result.to_json())
    assert "a person must approve" in result.reason


def test_compared_result_has_gain_or_no_champion() -> None:
    assert compared(evaluated(np.ones(100), np.zeros(100)).to_json())
    assert compared(evaluated(np.ones(1), np.zeros(1)).to_json())  # its interval has no end
    assert compared(evaluated(None, np.ones(100), champion_version="").to_json())


def test_correlated_rows_are_not_independent_evidence() -> None:
    """A gain on one day in ten: significant by rows, not by days."""
    difference = np.zeros(24 * 4 * 12)
    difference[: 24 * 4] = 1.0
    difference += np.random.default_rng(4).normal(0, 0.01, len(difference))
    gain = gain_of(difference, np.zeros_like(difference), hours(len(difference)), 0.9)
    by_rows = difference.mean() - stats.t.ppf(0.9, len(difference) - 1) * stats.sem(difference)
    assert by_rows > 0
    assert gain.lower < 0 < gain.mean


@pytest.mark.parametrize("minimum_gain", [0.0, 0.02])
def test_lower_bound_is_compared_with_the_minimum(minimum_gain: float) -> None:
    days = 0.05 * np.array([1, 1, 1, 9, 1, 1, 1, 1, -1, 1, 1, 1]).repeat(24 * 4)
    difference = days - days.mean() + 0.05 + minimum_gain
    result = evaluated(difference, np.zeros_like(difference), minimum_gain=minimum_gain, confidence=0.95)
    assert result.gain is not None
    assert result.gain.lower < minimum_gain < result.gain.mean
    assert not result.passed
    assert failed(result) == ["gain"]
    surer = evaluated(difference + 0.1, np.zeros_like(difference), minimum_gain=minimum_gain, confidence=0.95)
    assert surer.passed


@pytest.mark.parametrize("confidence", [0.8, 0.9, 0.95])
def test_false_pass_rate_of_equal_models(confidence: float) -> None:
    """2,000 pairs of equally good models whose differences err together within each day."""
    chance = np.random.default_rng(5)
    timestamps = hours(24 * 14, per_hour=1)
    wrong = 0
    for _ in range(2000):
        days = chance.normal(0, 0.05, 14).repeat(24)
        difference = days + chance.normal(0, 0.1, len(days))
        wrong += gain_of(difference, np.zeros_like(difference), timestamps, confidence).lower > 0
    expected = 2000 * (1 - confidence)
    assert abs(wrong - expected) < 4 * math.sqrt(expected * confidence)


@pytest.mark.parametrize(
    ("rows", "per_hour", "blocks", "block"),
    [
        (24 * 10, 1, 10, "24 h"),
        (24 * 9, 1, 36, "6 h"),
        (12, 1, 12, "1 h"),
        (40, 100, 10, "4 rows"),
        (7, 100, 7, "1 rows"),
    ],
)
def test_longest_sufficient_blocks_are_used(rows: int, per_hour: int, blocks: int, block: str) -> None:
    gain = gain_of(np.ones(rows), np.zeros(rows), hours(rows, per_hour), 0.9)
    assert (gain.blocks, gain.block) == (blocks, block)


def test_single_row_is_refused() -> None:
    result = evaluated(np.ones(1), np.zeros(1))
    assert result.gain is not None
    assert result.gain.lower == -math.inf
    assert result.to_json()["gain"]["lower"] is None


def test_rmse_gain_is_in_the_outcome_unit() -> None:
    result = gain_of(np.full(480, 4.0), np.full(480, 1.0), hours(480), 0.9, root=True)
    assert result.mean == pytest.approx(1.0)
    assert result.lower == pytest.approx(1.0)


def test_digest_covers_every_number() -> None:
    noise = np.random.default_rng(6).normal(0, 0.1, 100)
    result = evaluated(0.6 + noise, 0.5 + noise)
    kept = result.to_json()
    assert digest_of(kept) == result.digest
    kept["challenger_loss"] += 1e-12
    assert digest_of(kept) != result.digest


def test_gate_formulas_match_their_examples() -> None:
    result = doctest.testmod(gate)
    assert result.attempted >= 12
    assert result.failed == 0


def test_reported_metrics_decide_nothing() -> None:
    losses = np.random.default_rng(4).uniform(0, 1, 500)
    spec = Gate.model_validate({"holdout": "7d", "minimum_rows": 20})
    given: dict[str, Any] = {
        "version": "new",
        "champion": "old",
        "metric": "error_rate",
        "timestamps": hours(500),
        "champion_losses": losses + 0.5,
        "challenger_losses": losses,
        "latency_ratio": None,
    }
    plain = evaluate_gate(spec, **given)
    worse = evaluate_gate(spec, **given, reported=Reported({"accuracy": 0.9}, {"accuracy": 0.1}))
    assert plain.passed
    assert worse.passed
    assert "reported" not in plain.to_json()
    assert worse.to_json()["reported"] == {"champion": {"accuracy": 0.9}, "challenger": {"accuracy": 0.1}}
    assert worse.reason == plain.reason + "; accuracy 0.900 → 0.100"
