"""The loss on perturbed rows may not rise much more than that of the champion does. Pure."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from services.retraining.gate_checks.check import Check, Measured
from shared.contracts.gate.challenger_checks import Robustness

ROBUSTNESS = "robustness"


@dataclass(frozen=True)
class Rise:
    """The loss of both models on perturbed rows. `problem`: why the challenger did not answer them; empty if it did."""

    champion: float
    challenger: float
    problem: str = ""


def check_robustness(
    settings: Robustness, *, champion_loss: float, challenger_loss: float, perturbed: Mapping[str, Rise]
) -> Measured | None:
    """The rise of the loss on perturbed rows, in the metric's unit; None if no perturbation applies.

    The challenger's rise may exceed the champion's by `maximum_rise` of the champion's loss. A challenger whose loss on
    perturbed rows is below the champion's passes: what it lost is more than what it gained.
    """
    if not perturbed:
        return None
    allowed = settings.maximum_rise * champion_loss
    numbers, failed = [], []
    for name, rise in perturbed.items():
        before, after = rise.champion - champion_loss, rise.challenger - challenger_loss
        numbers.append(
            {
                "perturbation": name,
                "champion_loss": rise.champion,
                "challenger_loss": rise.challenger if not rise.problem else None,
                "champion_rise": before,
                "challenger_rise": after if not rise.problem else None,
                "maximum_rise": before + allowed,
                "problem": rise.problem,
            }
        )
        if rise.problem:
            failed.append(f"{name}: {rise.problem}")
        elif after > before + allowed and rise.challenger > rise.champion:
            failed.append(f"{name}: its loss rises by {after:.5f}, the champion's by {before:.5f}")
    if failed:
        reason = (
            f"the loss rises too much on perturbed rows (gate.robustness.maximum_rise is {settings.maximum_rise:g}): "
            + "; ".join(failed)
        )
    else:
        reason = f"the loss does not rise much more than the champion's with {', '.join(perturbed)}"
    return Measured(ROBUSTNESS, Check(ROBUSTNESS, not failed, reason), {"perturbations": numbers})
