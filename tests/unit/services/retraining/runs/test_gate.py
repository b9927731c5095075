"""The gate: seeded data, exact expectations; wrong promotions stay as rare as the confidence says."""

from __future__ import annotations

import doctest
import json
import math
from typing import Any

import numpy as np
import numpy.typing as npt
import pytest

from services.retraining.gate_checks.check import Check, Measured
from services.retraining.runs import gate
from services.retraining.runs.gate import GateResult, Reported, compared, digest_of, evaluate_gate
from shared.contracts.retraining_spec import Gate

HOUR = 3_600_000_000


def hours(count: int, per_hour: int = 4) -> npt.NDArray[np.int64]:
    return (np.arange(count) * (HOUR // per_hour)).astype(np.int64)


def evaluated(
    champion: Any,
    challenger: Any,
    *,
    latency: float = 1.0,
    champion_version: str = "old",
    attempt: int = 1,
    **gate: Any,
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
        attempt=attempt,
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


def test_single_row_is_refused() -> None:
    result = evaluated(np.ones(1), np.zeros(1))
    assert result.gain is not None
    assert result.gain.lower == -math.inf
    assert result.to_json()["gain"]["lower"] is None


def test_digest_covers_every_number() -> None:
    noise = np.random.default_rng(6).normal(0, 0.1, 100)
    result = evaluated(0.6 + noise, 0.5 + noise)
    kept = result.to_json()
    assert digest_of(kept) == result.digest
    kept["challenger_loss"] += 1e-12
    assert digest_of(kept) != result.digest


def test_gate_formulas_match_their_examples() -> None:
    result = doctest.testmod(gate)
    assert result.attempted >= 2
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


def test_later_attempt_needs_more_confidence() -> None:
    days = np.random.default_rng(8).normal(0, 1, 14)
    # The mean of 14 days is two standard errors above 0: one attempt needs 1.35, the fifth 3.4.
    days = (days - days.mean() + 2 * days.std(ddof=1) / math.sqrt(14)).repeat(24 * 4)
    first = evaluated(days, np.zeros_like(days))
    fifth = evaluated(days, np.zeros_like(days), attempt=5)
    assert first.passed
    assert failed(fifth) == ["gain"]
    assert "with 99.75% confidence (attempt 5 against this champion on overlapping holdouts)" in fifth.reason
    assert (first.measures["attempt"], fifth.measures["attempt"]) == (1, 5)


def test_measured_checks_decide_and_their_numbers_are_kept() -> None:
    losses = np.random.default_rng(4).uniform(0, 1, 500)
    spec = Gate.model_validate({"holdout": "7d", "minimum_rows": 20})
    measured = [
        Measured("slices", Check("slices", False, "origin=JFK loses"), {"slices": [1]}),
        Measured("size", None, {"b": 2}),
    ]
    result = evaluate_gate(
        spec,
        version="new",
        champion="old",
        metric="log_loss",
        timestamps=hours(500),
        champion_losses=losses + 0.5,
        challenger_losses=losses,
        latency_ratio=None,
        measured=measured,
    )
    assert (result.passed, result.reason) == (False, "origin=JFK loses")
    kept = result.to_json()["measures"]
    assert (kept["slices"], kept["size"]) == ({"slices": [1]}, {"b": 2})
    assert len(kept["curve"]) == 100
    assert kept["curve"][-1][1] == pytest.approx(0.5)
    assert digest_of(json.loads(json.dumps(result.to_json()))) == result.digest
