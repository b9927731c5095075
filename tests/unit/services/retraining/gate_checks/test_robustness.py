"""Robustness: the rise of the loss is compared with the champion's."""

from __future__ import annotations

import pytest

from services.retraining.gate_checks.robustness import Rise, check_robustness
from shared.contracts.gate.challenger_checks import Robustness


@pytest.mark.parametrize(
    ("champion", "challenger", "maximum_rise", "passed"),
    [
        (0.52, 0.53, 0.25, True),  # rises by 0.13; allowed are 0.02 + 0.25 * 0.5
        (0.52, 0.55, 0.25, False),
        (0.52, 0.50, 0.10, True),  # rises by more than 0.07, and is better on these rows too
        (0.45, 0.46, 0.25, True),  # the champion's loss fell
    ],
)
def test_rise_is_bounded_by_that_of_the_champion(
    champion: float, challenger: float, maximum_rise: float, passed: bool
) -> None:
    found = check_robustness(
        Robustness(maximum_rise=maximum_rise),
        champion_loss=0.5,
        challenger_loss=0.4,
        perturbed={"noise": Rise(champion, challenger)},
    )
    assert found is not None
    assert found.check is not None
    assert found.check.passed is passed


def test_failing_perturbations_are_named() -> None:
    found = check_robustness(
        Robustness(),
        champion_loss=0.5,
        challenger_loss=0.4,
        perturbed={
            "noise": Rise(0.5, 0.9),
            "missing values": Rise(0.5, 0.4),
            "categories outside training": Rise(0.5, 0.4, "the model failed"),
        },
    )
    assert found is not None
    assert found.check is not None
    assert found.check.reason == (
        "the loss rises too much on perturbed rows (gate.robustness.maximum_rise is 0.25): noise: its loss rises by 0.50000, "
        "the champion's by 0.00000; categories outside training: the model failed"
    )
    assert found.numbers["perturbations"][2]["challenger_rise"] is None


def test_without_a_perturbation_there_is_no_check() -> None:
    assert check_robustness(Robustness(), champion_loss=0.5, challenger_loss=0.4, perturbed={}) is None
