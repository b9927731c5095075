"""The test of paired losses: its error over all looks, its power, and what it does with differences without a bound."""

from __future__ import annotations

import numpy as np
import pytest

from services.retraining.watch.paired_test import ERROR, Floats, evidence_of, shortest


def draws(law: str, random: np.random.Generator) -> Floats:
    if law == "normal":
        return random.normal(size=100)
    if law == "heavy":
        return random.standard_cauchy(100)
    return random.choice(np.array([-1.0, 0.0, 1.0]), 100, p=[0.01, 0.98, 0.01])


@pytest.mark.parametrize("law", ["normal", "heavy", "rare"])
def test_equal_versions_are_seldom_judged_worse(law: str) -> None:
    random = np.random.default_rng(3)
    worse = sum(evidence_of(draws(law, random)).is_worse for _ in range(400))
    assert worse <= 400 * ERROR


def test_evidence_never_falls_with_more_blocks() -> None:
    differences = np.random.default_rng(4).normal(0.3, 1.0, 60)
    values = [evidence_of(differences[:count]).value for count in range(61)]
    assert values == sorted(values)
    assert values[0] == values[1] == 1.0


def test_no_difference_is_no_evidence() -> None:
    assert evidence_of([0.0] * 100).value == 1.0
    assert evidence_of([-1.0] * 100).value == 1.0


def test_scale_changes_nothing() -> None:
    differences = np.random.default_rng(5).normal(0.3, 1.0, 60)
    assert evidence_of(differences * 1e12).value == pytest.approx(evidence_of(differences).value)


def test_one_extreme_block_decides_nothing() -> None:
    assert not evidence_of([1.0, -1.0, 1.0, -1.0, 1e30]).is_worse


def test_a_decision_takes_a_number_of_blocks() -> None:
    assert not evidence_of([5.0] * (shortest() - 1)).is_worse
    assert evidence_of([5.0] * shortest()).is_worse
