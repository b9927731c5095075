"""Ends a phase: what was decided is recorded first, then the slot is ended, then the run goes on or ends."""

from __future__ import annotations

from collections.abc import Callable
from datetime import datetime
from typing import Final

from services.retraining.ledger.ledger import Ledger
from services.retraining.ledger.phases import Outcome, Phase
from services.retraining.ledger.records import Run
from services.retraining.metrics import RetrainingMetrics
from services.retraining.rollout.release_checks import LOOP
from services.retraining.rollout.releaser import Releaser
from services.retraining.run_states import State, after_shadow
from shared.errors import Conflict
from shared.observability.logs import get_logger

_log = get_logger(__name__)
_ENDS: Final[dict[Outcome, State]] = {
    "operational": "refused",
    "worse": "refused",
    "champion_changed": "refused",
    "slot_taken": "refused",
    "withdrawn": "rejected",
}
STATE_OF: Final[dict[str, State]] = {"shadow": "shadowing", "canary": "canarying"}


class PhaseEnd:
    """Safe to call from several threads and processes: a phase has one outcome, and what follows from it is done once."""

    def __init__(
        self,
        ledger: Ledger,
        releaser: Releaser,
        metrics: RetrainingMetrics,
        clock: Callable[[], datetime],
        wake: Callable[[], None],
    ) -> None:
        """`wake` makes the scheduler poll: a run is to be promoted."""
        self._ledger = ledger
        self._releaser = releaser
        self._metrics = metrics
        self._clock = clock
        self._wake = wake

    def decide(self, run: Run, phase: Phase, outcome: Outcome, reason: str) -> Phase:
        """Record the outcome, unless the phase has one, and carry out the one it has."""
        decided, is_new = self._ledger.phases.decide(phase, outcome, reason, self._clock())
        if is_new:
            self._metrics.phases.labels(run.model, phase.slot, outcome).inc()
            log = _log.info if outcome == "passed" else _log.warning
            log(
                "phase_ended",
                run_id=run.run_id,
                model=run.model,
                slot=phase.slot,
                version=phase.version,
                outcome=outcome,
                reason=reason,
            )
        self.carry_out(run, decided)
        return decided

    def carry_out(self, run: Run, phase: Phase) -> None:
        """1. end the slot, unless a promotion follows at once: it ends the canary   2. change the run's state.

        Called again after a crash in between: what is done already is not done twice.
        """
        if phase.outcome != "passed" or phase.slot == "shadow":
            self._releaser.withdraw(
                run.model,
                phase.slot,
                actor=LOOP,
                note=phase.reason,
                version=phase.version,
                run_id=run.run_id,
                cause_key=run.cause_key,
            )
        to, values = self._following(run, phase)
        try:
            changed = self._ledger.transition(run.run_id, to, self._clock(), **values)
        except Conflict:
            return  # another process has changed it, after the same outcome
        if to in _ENDS.values():
            self._metrics.count_end(changed.model, to, changed.created_at, changed.ended_at)
            _log.info("run_ended", run_id=run.run_id, model=run.model, state=to, reason=phase.reason)
        self._wake()

    def _following(self, run: Run, phase: Phase) -> tuple[State, dict[str, str]]:
        if phase.outcome == "passed":
            to = after_shadow(run.loop.rollout) if phase.slot == "shadow" else "promoting"
            return to, {"reason": f"{run.reason}; {phase.reason}"}
        return _ENDS[phase.outcome], {"reason_code": phase.outcome, "reason": phase.reason}
