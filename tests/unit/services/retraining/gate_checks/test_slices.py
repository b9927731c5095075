"""Slices: one that loses more than its bound refuses, chance does not."""

from __future__ import annotations

from typing import Any

import numpy as np

from services.retraining.gate_checks.check import Check
from services.retraining.gate_checks.comparison import Comparison
from services.retraining.gate_checks.slices import check_slices

SLICES = {"slices": [{"feature": "color"}, {"where": "x > 3.5", "name": "extreme"}]}


def result(compared: Comparison) -> tuple[Check, dict[str, Any]]:
    """The check, and the numbers by slice."""
    found = check_slices(compared.spec.require_performance().gate.slices, compared)
    assert found is not None
    assert found.check is not None
    return found.check, {one["name"]: one for one in found.numbers["slices"]}


def blunt(p: Any, red: Any) -> Any:
    return np.full_like(p, 0.5)


def true(p: Any, red: Any) -> Any:
    return p


def bad_for_red(p: Any, red: Any) -> Any:
    return np.where(red, 0.75 - p / 2, p)


def test_slice_that_loses_refuses_a_better_challenger(compare: Any) -> None:
    compared = compare(blunt, bad_for_red, **SLICES)
    assert compared.challenger.losses.mean() < compared.champion.losses.mean()
    check, by_name = result(compared)
    assert not check.passed
    assert check.reason.startswith(
        "1 of 2 slices lose more than 10% of the champion's loss (gate.slices.maximum_increase): color=red 0.69315 → "
    )
    assert set(by_name) == {"color=red", "color=blue", "extreme"}
    assert by_name["color=red"]["judged"]
    assert by_name["color=red"]["increase_lower"] > by_name["color=red"]["maximum_increase"]


def test_slice_with_few_rows_is_reported_only(compare: Any) -> None:
    compared = compare(blunt, bad_for_red, gate={"slices": {"minimum_rows": 2000}}, **SLICES)
    check, by_name = result(compared)
    assert check.passed
    assert check.reason == "none of 1 slices with 2000 rows or more is known to lose more than 10%"
    assert {name: one["judged"] for name, one in by_name.items()} == {
        "color=red": False,
        "color=blue": True,
        "extreme": False,
    }


def test_chance_does_not_refuse_an_equal_challenger(compare: Any) -> None:
    """Bound 0, 100 challengers whose errors differ at random: at most 5 % are refused over all slices together."""
    refused = 0
    for seed in range(100):
        random = np.random.default_rng(1000 + seed)

        def noisy(p: Any, red: Any, random: np.random.Generator = random) -> Any:
            return np.clip(p + random.normal(0, 0.1, len(p)), 0.02, 0.98)

        gate = {"slices": {"maximum_increase": 0.0}}
        refused += not result(compare(noisy, noisy, rows=2000, seed=seed, gate=gate, **SLICES))[0].passed
    assert refused <= 5 + 3 * np.sqrt(5)


def test_without_declared_slices_there_is_no_check(compare: Any) -> None:
    compared = compare(blunt, true)
    assert check_slices(compared.spec.require_performance().gate.slices, compared) is None
