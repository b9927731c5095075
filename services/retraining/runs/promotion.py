"""Whether a run may be promoted: its gate passed for these bytes, and a person approved them where one must."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from services.retraining.dependencies import Dependencies
from services.retraining.ledger.records import Run
from services.retraining.runs.gate import compared, digest_of
from shared.contracts.manifest import short
from shared.contracts.release import Release
from shared.errors import IntegrityError


def promoted_by(run: Run, answers: Sequence[Mapping[str, Any]]) -> str:
    """The actor of the promotion: `loop`, or who approved the gate result. `answers`: the run's, oldest first. Pure.

    Raises IntegrityError where the gate or the approval is not about this version.
    """
    if run.gate is None or not run.gate["passed"] or run.gate["version"] != run.version:
        raise IntegrityError(f"run {run.run_id} has no passed gate for version {short(run.version)}")
    if digest_of(run.gate) != run.gate_digest:
        raise IntegrityError(f"the gate result of run {run.run_id} was changed after it was recorded")
    if run.loop.automation == "auto" and compared(run.gate):
        return "loop"
    approvals = [one for one in answers if one["about"] == "promotion" and one["answer"] == "yes"]
    if not approvals or approvals[-1]["gate_digest"] != run.gate_digest:
        raise IntegrityError(f"run {run.run_id} has no approval of its gate result")
    return str(approvals[-1]["actor"])


def foreclose(deps: Dependencies, run: Run, reason: str) -> Release | None:
    """Before a run ends unpromoted: see `Releaser.foreclose`."""
    return deps.releaser.foreclose(
        run.model, version=run.version, run_id=run.run_id, cause_key=run.cause_key, note=reason
    )
