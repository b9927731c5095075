"""The rehearsal: a run learns a leak, passes the gate and is served; what comes live makes it bad; the loop takes it back."""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import asdict, dataclass, field, replace
from datetime import timedelta
from typing import Any

from local_stack.fault_injection.bad_challenger.leaked_rows import LiveFault, leaked_rows, live_rows
from local_stack.fault_injection.bad_challenger.observed_run import (
    PHASES,
    ObservedRun,
    start_run,
    wait_until,
)
from local_stack.fault_injection.drifted_rows import sample_rows
from local_stack.fault_injection.lake_checks import read_event_range
from local_stack.fault_injection.requests import as_rows
from local_stack.fault_injection.row_counts import MAX_RUN_ROWS, rows_for_run
from local_stack.fault_injection.scenario import Scenario, Workload
from local_stack.fault_injection.timeline import window_length
from shared.contracts.duration import duration_text
from shared.contracts.feature import Feature
from shared.contracts.loop_spec import LoopSpec
from shared.errors import CallerError
from shared.http.service_client import ServiceClient

# A watch, and a phase, are judged in 28 blocks of at least 30 rows each.
BLOCKS, ROWS_PER_BLOCK = 28, 60
# For a version to be loaded by the server, and for the last answer.
SERVED_S = 90.0
# Beside the time limit of the training.
GATE_S = 180.0
LEVELS = ("suggest", "approve", "auto")


@dataclass
class RehearsalResult:
    """What became of the challenger. `stages`: where it was served, and how many rows were sent meanwhile.

    `outcome`: `rolled_back` after its promotion, `refused` in a phase before it, else the state in which it stayed. `answers`:
    the version that answers requests at the end.
    """

    model: str
    run_id: str
    feature: str
    fault: LiveFault
    former: str
    challenger: str = ""
    stages: list[dict[str, Any]] = field(default_factory=list)
    outcome: str = ""
    reason: str = ""
    answers: str = ""

    @property
    def taken_back(self) -> bool:
        """Whether the loop has taken the challenger back, and the version before it answers."""
        return self.outcome in ("rolled_back", "refused") and self.answers == self.former

    @property
    def as_expected(self) -> bool:
        """Whether it was taken back; without a fault, whether it was kept and answers."""
        kept = self.outcome == "kept" and self.answers == self.challenger
        return kept if self.fault == "none" else self.taken_back

    def document(self) -> dict[str, Any]:
        """The same for programs."""
        return {**asdict(self), "taken_back": self.taken_back}


@dataclass(frozen=True)
class Rehearsal:
    """Sends rows with `scenario`, whose target is the version that is live before; asks `retraining` for a run as `actor`."""

    scenario: Scenario
    retraining: ServiceClient
    actor: str
    step: Callable[[str], None] = lambda text: None
    progress: Callable[[int], None] = lambda rows: None

    def check(self) -> None:
        """Raises CallerError if the model cannot be promoted, is not watched, or has no room for the rows in event time."""
        loop = self.scenario.target.loop
        if loop.performance is None:
            raise CallerError(
                f"predictions of kind {loop.prediction.kind} have no loss, so nothing retrains {loop.model}",
                hint="rehearse with a model that has outcomes",
            )
        if loop.automation not in LEVELS:
            raise CallerError(
                f"automation of {loop.model} is {loop.automation}, so no run is promoted",
                hint=f"set automation to one of {', '.join(LEVELS)} in loop.yaml and deploy the model again",
            )
        if not loop.rollout.watch and loop.rollout.canary is None and not loop.rollout.shadow:
            raise CallerError(
                f"rollout of {loop.model} has no watch, canary or shadow, so nothing would take a version back",
                hint="set rollout.watch in loop.yaml, and deploy the model again",
            )
        event_range = read_event_range(self.scenario.lake, self.scenario.target)
        needed = rows_for_run(loop, event_range)
        if needed is None:
            raise CallerError(
                f"a run of {loop.model} needs more than {MAX_RUN_ROWS} rows, or a longer gate.holdout",
                hint="rehearse with another model, such as that of `homeostat init`",
            )
        length = window_length(loop.drift.window, event_range)
        spare = 3 * (length + loop.performance.outcome.delay)
        wanted = length * needed.windows + loop.rollout.watch + _phases(loop) + 3 * spare
        if event_range.newest is not None and event_range.newest + wanted > self.scenario.now():
            raise CallerError(
                f"the newest row of {loop.model} is of {event_range.newest:%Y-%m-%d %H:%M}, and the rows of a rehearsal take "
                f"{duration_text(timedelta(days=math.ceil(wanted / timedelta(days=1))))} of event time after it",
                hint="rehearse in a --home that you can delete, before other rows of today are sent",
            )

    def run(
        self, feature: Feature, fault: LiveFault, *, rate: float, seed: int, wait_s: float
    ) -> RehearsalResult:
        """1. rows in which `feature` knows the outcome, enough for training and holdout   2. a run, approved where it must be
        3. while its version is served, rows as they come live: in shadow, canary and watch, each to its end
        4. what became of it, and which version answers a request
        """
        scenario, target = self.scenario, self.scenario.target
        self.check()
        self.step(f"sending rows in which {feature.name} knows the outcome")
        taught = scenario.run(
            lambda count, random: leaked_rows(
                target.reference, feature, target.loop.prediction, count, random
            ),
            Workload(None, None, rate, None, wait_s),
            seed=seed,
            labels="own",
            on_progress=self.progress,
        )
        if taught.answered < taught.rows:
            raise CallerError(
                f"{taught.rows - taught.answered} of {taught.rows} rows were not answered",
                hint="; ".join(taught.failures),
            )
        run_id = start_run(self.retraining, target.model, "rehearsal of a bad challenger", self.actor)
        run = ObservedRun(self.retraining, target.model, run_id, self.actor)
        result = RehearsalResult(target.model, run_id, feature.name, fault, former=target.version)
        self.step("waiting for the run and its gate")
        limit = target.loop.require_performance().retraining.time_limit.total_seconds() + GATE_S
        for number in range(1, 4):
            state = run.after_work(within_s=limit)
            result.challenger = str(state["version"])
            if not self._stage(run, state, result, feature, fault, rate, seed + number, wait_s):
                break
        result.answers = self._answering_version(result.challenger if fault == "none" else result.former)
        return result

    def _stage(
        self,
        run: ObservedRun,
        state: dict[str, Any],
        result: RehearsalResult,
        feature: Feature,
        fault: LiveFault,
        rate: float,
        seed: int,
        wait_s: float,
    ) -> bool:
        """Send what comes live while the challenger is in one slot; whether it goes on to another one."""
        loop = self.scenario.target.loop
        slot, length, share = _slot(loop, state["state"])
        if not length:
            result.outcome, result.reason = "promoted", "the release is not watched: rollout.watch is 0"
            return False
        self.step(f"waiting until {result.challenger[:12]} is served as {slot}")
        generation = wait_until(lambda: self._generation(result.challenger, slot), SERVED_S)
        if generation is None:
            result.outcome, result.reason = (
                "not_served",
                f"the server did not load it as {slot} within {SERVED_S:g} s",
            )
            return False
        target = replace(self.scenario.target, version=result.challenger, generation=generation)
        live = replace(self.scenario, target=target)
        windows = math.ceil(length / window_length(loop.drift.window, read_event_range(live.lake, target)))
        rows = math.ceil(BLOCKS * ROWS_PER_BLOCK / share)
        self.step(f"sending {rows} rows as they come live, while it is {slot}")
        sent = live.run(
            lambda count, random: live_rows(target.reference, feature, fault, loop.prediction, count, random),
            Workload(rows, windows, rate, None, wait_s),
            seed=seed,
            labels="own",
            on_progress=self.progress,
            with_verdict=False,
        )
        result.stages.append(
            {"slot": slot, "rows": sent.answered, "outcomes": sent.outcomes, "failed": sent.failed}
        )
        self.step("waiting for what the loop concludes")
        if slot != "live":
            ended = wait_until(lambda: _left(run.state(), state["state"]), wait_s)
            if ended is None or ended["state"] in ("refused", "rejected", "failed"):
                last = ended or run.state()
                result.outcome, result.reason = last["state"], last["reason"]
                return False
            return True
        watch = wait_until(run.ended_watch, wait_s) or run.watch()
        result.outcome = str(watch["state"]) if watch is not None else "not_watched"
        result.reason = str(watch["reason"]) if watch is not None else "the release is not watched"
        return False

    def _generation(self, version: str, slot: str) -> int | None:
        """The generation in which the server serves the version in that slot; None while it does not."""
        releases = self.retraining.get(f"/models/{self.scenario.target.model}/releases")["releases"]
        mine = [one for one in releases if one["version"] == version and one.get("slot", "live") == slot]
        report = self.scenario.inference.get("/status.json")
        served = [one for one in report["models"] if one["name"] == self.scenario.target.model]
        if slot == "live":
            served = [one for one in served if one["version"] == version]
        loaded = served and version in str(served)
        return int(mine[-1]["generation"]) if mine and loaded else None

    def _answering_version(self, expected: str) -> str:
        """The version that answers a request: `expected` as soon as it does."""
        target = self.scenario.target
        import numpy as np

        row = sample_rows(target.reference, 1, np.random.default_rng(0))
        newest = read_event_range(self.scenario.lake, target).newest or self.scenario.now()
        body: dict[str, object] = {
            "model": target.model,
            "event_time": newest.isoformat(),
            "rows": as_rows(row, target.loop, [newest]),
        }
        answered: list[str] = []

        def look() -> str | None:
            answered.append(str(self.scenario.inference.post("/predict", body)["version"]))
            return answered[-1] if answered[-1] == expected else None

        return wait_until(look, SERVED_S) or answered[-1]


def _left(run: dict[str, Any], state: str) -> dict[str, Any] | None:
    return run if run["state"] != state else None


def _slot(loop: LoopSpec, state: str) -> tuple[str, timedelta, float]:
    """The slot of a run's state, how long it lasts in event time, and the share of requests that it answers."""
    slot = PHASES.get(state, "live")
    canary = loop.rollout.canary
    if slot == "canary" and canary is not None:
        return slot, canary.duration, canary.share
    return slot, loop.rollout.shadow if slot == "shadow" else loop.rollout.watch, 1.0


def _phases(loop: LoopSpec) -> timedelta:
    return loop.rollout.shadow + (
        loop.rollout.canary.duration if loop.rollout.canary is not None else timedelta(0)
    )
