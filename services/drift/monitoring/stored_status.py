"""What the verdict store says of a model: after a restart, and of models that other processes judge."""

from __future__ import annotations

from services.drift.model_state import clock_of, is_newer
from services.drift.monitoring.model_status import ClockStatus, ModelStatus
from services.drift.verdicts.store import VerdictStore
from shared.contracts.verdict import SCHEDULED, Verdict


def stored_status(verdicts: VerdictStore, model: str) -> ModelStatus:
    """The last verdict of each clock, and the last alarm."""
    clocks: dict[str, ClockStatus] = {}
    for detector in SCHEDULED:
        last = verdicts.last_of(model, detector)
        if last is not None:
            clocks[detector] = ClockStatus(last.state, last.window_end, last_verdict=last)
    return ModelStatus(model, alarm=alarm_of(verdicts, model), **clocks)  # type: ignore[arg-type]


def alarm_of(verdicts: VerdictStore, model: str) -> Verdict | None:
    """The last alarm of the generation that answers, if it is newer than the last verdict of its clock."""
    known = verdicts.generations(model)
    if not known:
        return None
    last = {clock: verdicts.last_of(model, clock) for clock in SCHEDULED}
    since = min((found.window_start for found in last.values() if found), default=known[-1].first)
    alarms = verdicts.stream_verdicts(model, known[-1].generation, since)
    return next((alarm for alarm in alarms if is_newer(alarm, last[clock_of(alarm)])), None)
