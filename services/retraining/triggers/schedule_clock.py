"""The clock of schedules: it finds a schedule that is due, or enough new rows, although no verdict has come. That is a cause.

Its time is event time, as everywhere in the policy: the newest row in the lake, never later than this machine's clock. Without
new rows no time passes, and a training on the same rows would give the same model.
"""

from __future__ import annotations

import time
from collections.abc import Callable
from datetime import datetime
from threading import Event

from services.retraining.cause import Cause, external_key
from services.retraining.dependencies import Dependencies
from services.retraining.histories import Histories, ServedModel
from services.retraining.ledger.records import Recorded
from services.retraining.policy.decide import decide
from services.retraining.policy.decision import History
from services.retraining.policy.triggers import awaits_rows, due_schedule, last_training
from services.retraining.rollout.look_thread import LookThread
from shared.contracts.retraining_spec import NewRowsTrigger, ScheduleTrigger
from shared.errors import DependencyUnavailable

ACTOR = "clock"


class ScheduleClock:
    """Looks at models with a trigger `schedule` or `new_rows`. Any number of processes may look: what is due has one key, and so
    one decision."""

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
        # Causes on which a decision was interrupted: decided again, which repeats nothing.
        self._unfinished: dict[str, Cause] = {}

    def models(self) -> list[str]:
        """Models with such a trigger, by name."""
        projects = (self._deps.ledger.project(model) for model in self._deps.ledger.models())
        return [
            owner.model
            for owner in projects
            if owner is not None
            and owner.loop.performance is not None
            and any(
                isinstance(one, (ScheduleTrigger, NewRowsTrigger))
                for one in owner.loop.performance.retraining.triggers
            )
        ]

    def look(self, model: str) -> Recorded | None:
        """Decide on a due schedule or on enough new rows; None if there is nothing to decide. Raises DependencyUnavailable.

        1. find what is due   2. ask the policy: what a limit, an open run or faulty data holds back is looked at again and not
        recorded   3. give the verdict on its window some time of the system's clock   4. decide, once
        """
        unfinished = self._unfinished.get(model)
        if unfinished is not None:
            return self._decide(model, unfinished)
        cause = self._due(model)
        if cause is None or self._done.get(model) == cause.key:
            self._found.pop(model, None)
            return None
        since = self._found.setdefault(model, self._monotonic())
        if self._monotonic() - since < self._deps.settings.schedule_grace_seconds:
            return None
        return self._decide(model, cause)

    def _decide(self, model: str, cause: Cause) -> Recorded:
        try:
            decided = self._handle(cause)
        except DependencyUnavailable:
            # The armed policy may have decided, and then nothing is due any more; shadow policies have not.
            self._unfinished[model] = cause
            raise
        self._unfinished.pop(model, None)
        self._done[model] = cause.key
        return decided

    def _due(self, model: str) -> Cause | None:
        found, watermark = self._histories.served_model(model), self._histories.watermark(model)
        if found is None or not found.version or watermark is None:
            return None
        now = min(watermark, self._deps.clock())
        history = self._histories.complete(found, counts_rows=False)
        cause = self._due_schedule(found, history, now)
        if cause is None and awaits_rows(found.loop, history, now) is not None:
            # Rows are counted only now, because that reads the lake.
            history = self._histories.complete(found)
            cause = self._enough_rows(found, history, now)
        if cause is None:
            return None
        decision = decide(cause, found.loop, history, now)
        return cause if decision.action != "wait" or decision.reason_code == "observe_only" else None

    def _due_schedule(self, found: ServedModel, history: History, now: datetime) -> Cause | None:
        due = due_schedule(found.loop, history, now)
        if due is None:
            return None
        first, every = due.since + due.number * due.trigger.every, str(due.trigger.every.total_seconds())
        return _cause(
            found,
            ("schedule", found.version, due.since.isoformat(), every, str(due.number)),
            f"the schedule was due at {first:%Y-%m-%d %H:%M} UTC, and no verdict has come since",
            now,
        )

    def _enough_rows(self, found: ServedModel, history: History, now: datetime) -> Cause | None:
        trigger, since = awaits_rows(found.loop, history, now), last_training(history)
        rows = history.rows_since
        if trigger is None or since is None or rows is None or rows < trigger.rows:
            return None
        # Without a training it is due again after as many further rows.
        number = str(rows // trigger.rows)
        return _cause(
            found,
            ("new_rows", found.version, since.isoformat(), str(trigger.rows), number),
            f"{rows} new rows with outcomes have come, and no verdict with them",
            now,
        )


def _cause(found: ServedModel, key: tuple[str, ...], reason: str, now: datetime) -> Cause:
    return Cause(
        key=external_key(found.model, *key),
        model=found.model,
        source="schedule",
        reason=reason,
        actor=ACTOR,
        event_time=now,
    )


def schedule_looks(
    deps: Dependencies, handle: Callable[[Cause], Recorded], leads: Callable[[], bool], stop: Event
) -> LookThread:
    """The thread of the clock. `leads`: whether this process is the leader."""
    clock = ScheduleClock(deps, handle)
    pause = deps.settings.schedule_seconds
    return LookThread("schedule", clock.look, clock.models, leads, stop, pause=pause)
