"""All rules about `loop.yaml` and the rows of a deployment, in the order in which their warnings are shown. Pure."""

from __future__ import annotations

from cli.deployment.review.columns import column_warnings
from cli.deployment.review.deployed_rows import DeployedRows
from cli.deployment.review.loss_units import loss_warnings
from cli.deployment.review.row_counts import row_count_warnings
from cli.deployment.review.warning import LoopWarning
from shared.contracts.loop_spec import LoopSpec


def review(loop: LoopSpec, rows: DeployedRows) -> list[LoopWarning]:
    """What is sure to go wrong in service with these settings and rows like these; empty if nothing is."""
    return [*row_count_warnings(loop, rows), *column_warnings(loop, rows), *loss_warnings(loop, rows)]
