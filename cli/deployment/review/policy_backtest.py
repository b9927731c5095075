"""Whether the policy of loop.yaml was back-tested: with `automation: auto` it acts without an approval."""

from __future__ import annotations

from pathlib import Path

from backtest.policy import policy_digest
from backtest.record import RECORD, recorded
from cli.deployment.review.warning import LoopWarning
from shared.contracts.loop_spec import LoopSpec


def backtest_warnings(loop: LoopSpec, project: Path) -> list[LoopWarning]:
    """A warning if runs start and are promoted by themselves, under a policy without a back-test on record in the project."""
    performance = loop.performance
    if performance is None or loop.automation != "auto" or not performance.retraining.triggers:
        return []
    if recorded(project, policy_digest(loop)) is not None:
        return []
    return [
        LoopWarning(
            "automation",
            f"auto, and {project / RECORD} has no back-test of this policy",
            f"try it on past rows: homeostat backtest {project}",
        )
    ]
