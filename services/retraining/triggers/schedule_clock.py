"""The clock of schedules: it finds a schedule that is due although no verdict has come, which is a cause of its own.

Its time is event time, as everywhere in the policy: the newest row in the lake, never later than this machine's clock. Without
new rows no time passes, and a training on the same rows would give the same model.
"""

from __future__ import annotations

import time
from collections.abc import Callable
from threading import Event

from services.retraining.cause import Cause, external_key
from services.retraining.dependencies import Dependencies
from services.retraining.histories import Histories
from services.retraining.ledger.records import Recorded
from services.retraining.policy.decide import decide
from services.retraining.policy.triggers import DueSchedule, due_schedule
from services.retraining.rollout.look_thread import LookThread
from shared.contracts.retraining_spec import ScheduleTrigger

ACTOR = "clock"


class ScheduleClock:
    """Looks at models with a trigger `schedule`. Any number of processes may look: what is due has one key, so one decision."""

    def __init__(
        self,
        deps: Dependencies,
        handle: Callable[[Cause], Recorded],
        monotonic: Callable[[], float] = time.monotonic,
    ) -> None:
        """`handle` decides on a cause."""
        self._deps = deps
        self._handle = handle
        self._monotonic = monotonic
        self._histories = Histories(deps)
        # Since when a schedule of each model has been due. Event time may pass faster than the time that a verdict is given, so
        # that the schedule is due once more: that does not begin anew.
        self._found: dict[str, float] = {}
        self._done: dict[str, str] = {}

    def models(self) -> list[str]:
        """Models with a trigger `schedule`, by name."""
        projects = (self._deps.ledger.project(model) for model in self._deps.ledger.models())
        return [
            owner.model
            for owner in projects
            if owner is not None
            and owner.loop.performance is not None
            and any(isinstance(one, ScheduleTrigger) for one in owner.loop.performance.retraining.triggers)
        ]

    def look(self, model: str) -> Recorded | None:
        """Decide on a due schedule; None if there is nothing to decide. Raises DependencyUnavailable.

        1. find what is due   2. ask the policy: what a limit, an open run or faulty data holds back is looked at again and not
        recorded   3. give the verdict on its window some time of the system's clock   4. decide, once
        """
        cause = self._due(model)
        if cause is None or self._done.get(model) == cause.key:
            self._found.pop(model, None)
            return None
        since = self._found.setdefault(model, self._monotonic())
        if self._monotonic() - since < self._deps.settings.schedule_grace_seconds:
            return None
        decided = self._handle(cause)
        self._done[model] = cause.key
        return decided

    def _due(self, model: str) -> Cause | None:
        found, watermark = self._histories.served_model(model), self._histories.watermark(model)
        if found is None or not found.version or watermark is None:
            return None
        now = min(watermark, self._deps.clock())
        history = self._histories.complete(found, counts_rows=False)
        due = due_schedule(found.loop, history, now)
        if due is None:
            return None
        first = due.since + due.number * due.trigger.every
        cause = Cause(
            key=_key(model, found.version, due),
            model=model,
            source="schedule",
            reason=f"the schedule was due at {first:%Y-%m-%d %H:%M} UTC, and no verdict has come since",
            actor=ACTOR,
            event_time=now,
        )
        decision = decide(cause, found.loop, history, now)
        return cause if decision.action != "wait" or decision.reason_code == "observe_only" else None


def _key(model: str, version: str, due: DueSchedule) -> str:
    every = str(due.trigger.every.total_seconds())
    return external_key(model, "schedule", version, due.since.isoformat(), every, str(due.number))


def schedule_looks(
    deps: Dependencies, handle: Callable[[Cause], Recorded], leads: Callable[[], bool], stop: Event
) -> LookThread:
    """The thread of the clock. `leads`: whether this process is the leader."""
    clock = ScheduleClock(deps, handle)
    pause = deps.settings.schedule_seconds
    return LookThread("schedule", clock.look, clock.models, leads, stop, pause=pause)
