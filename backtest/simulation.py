"""One policy on the whole history, in event time. The code of the running loop decides, trains, compares and releases.

1. the first version answers from the start on
2. move to the event time at which the next window closes, or its outcomes are due
3. drift judges the window; retraining decides on the verdict
4. a run is carried out at once: snapshot, training, gate, release; a released version answers every later row
5. from 2 on, until the history ends

What differs from the running loop: a run takes no event time, promotions need no approval (automation counts as auto), stream
detectors and late outcomes are not replayed, no challenger is tried as shadow or canary, no promotion is watched or rolled
back, and none is compared with the first version. Schedules are checked with verdicts only.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from pathlib import Path

from backtest.first_version import TrainedModel, store_version
from backtest.history import History
from backtest.loop_world import LoopWorld, build_world
from backtest.policy import Policy
from backtest.replayed_lake import Replay, ReplayedLake, Serving
from backtest.scored_models import ScoredModel, ScoredModels
from services.drift.monitoring.inputs_clock import ClockProgress
from services.retraining.cause import Cause
from services.retraining.isolated_models import OpenModel
from services.retraining.launchers.launcher import Launcher
from services.retraining.run_states import WORKING
from services.retraining.runs.training import trained_attempt
from services.retraining.runs.workspace import RunFolder
from services.retraining.settings import RetrainingSettings
from shared.contracts.event_time import from_micros
from shared.contracts.verdict import Verdict
from shared.errors import UnservableModel
from shared.models.training.training_outputs import find_model

# Where a window waits for outcomes that are late, it is looked at this often in its length.
_LOOKS = 50
_SHORTEST = timedelta(milliseconds=1)


@dataclass(frozen=True)
class SimulatedRun:
    """A run: when, why it started and how it ended. `model`: what it trained, None if training failed or never began, or if the
    model cannot answer the rows.

    `first`: number of the first row that the model could have answered.
    """

    event_time: datetime
    trigger: str
    state: str
    reason: str
    trained: bool
    rows: int
    first: int
    model: ScoredModel | None


@dataclass(frozen=True)
class Simulated:
    """What a policy did. `served`: the models that answered, each with the number of the first row that it answered."""

    policy: Policy
    runs: tuple[SimulatedRun, ...]
    served: tuple[tuple[int, ScoredModel], ...]
    verdicts: int


@dataclass(frozen=True)
class Setting:
    """What all policies share. `first`: number of the first served row; `sample_rows`: rows that are compared for drift."""

    project: Path
    history: History
    start: datetime
    first: int
    first_version: TrainedModel
    scored: ScoredModels
    launcher: Launcher
    open_model: OpenModel
    retraining: RetrainingSettings
    sample_rows: int


def simulate(
    setting: Setting, policy: Policy, folder: Path, on_progress: Callable[[datetime], None]
) -> Simulated:
    """Replay the history under a policy, in the empty `folder`. `on_progress` receives the event time as it moves on."""
    at_once = policy.loop.rollout.model_copy(update={"shadow": timedelta(0), "canary": None})
    loop = policy.loop.model_copy(update={"automation": "auto", "rollout": at_once})
    state = Replay(setting.start)
    lake = ReplayedLake("", setting.history, loop.prediction, state, setting.first)
    world = build_world(
        folder,
        lake,
        launcher=setting.launcher,
        open_model=setting.open_model,
        settings=setting.retraining,
        sample_rows=setting.sample_rows,
        now=lambda: state.now,
    )
    try:
        version = store_version(
            setting.first_version, loop, world.store, world.keys, folder / "first"
        ).version
        world.controller.deploy(loop.model, version, str(setting.project), "backtest")
        one = _Simulation(setting, replace(policy, loop=loop), world, state)
        one.serve(1, version, setting.first, setting.scored.of(setting.first_version.model))
        one.run(on_progress)
        return Simulated(policy, tuple(one.runs), tuple(one.served), one.verdicts)
    finally:
        world.close()


class _Simulation:
    """The replay of one policy, at the event time of `state`."""

    def __init__(self, setting: Setting, policy: Policy, world: LoopWorld, state: Replay) -> None:
        self._setting = setting
        self._loop = policy.loop
        self._world = world
        self._state = state
        self.runs: list[SimulatedRun] = []
        self.served: list[tuple[int, ScoredModel]] = []
        self.verdicts = 0
        self._new: list[Verdict] = []

    def serve(self, generation: int, version: str, first: int, model: ScoredModel) -> None:
        """Rows from number `first` on are answered by the model."""
        self._state.serving.append(Serving(generation, version, first, model.scores, self._setting.first))
        self.served.append((first, model))

    def run(self, on_progress: Callable[[datetime], None]) -> None:
        """Until the history ends."""
        while True:
            following = self._judge()
            if following is None:
                return
            self._state.now = following
            on_progress(following)

    def _judge(self) -> datetime | None:
        """Judge and act on what is due now; the event time at which to look again, None at the end of the history."""
        model, world = self._loop.model, self._world
        while True:
            known = {seen.generation for seen in world.verdicts.generations(model)}
            for seen in world.reader.generations(model, max(known, default=0)):
                world.verdicts.put_generation(model, seen)
            marks = world.reader.watermarks(model)
            inputs = world.inputs.judge_due(model, marks, 1, self._judged)
            performance = world.performance.judge_due(model, marks, 1, self._judged, inputs.next_window_end)
            while self._new:
                self._act_on(self._new.pop(0))
            if not inputs.judged and not performance.judged:
                return self._next_look(inputs, performance)

    def _judged(self, verdict: Verdict, _delay: timedelta | None) -> None:
        self._new.append(verdict)

    def _act_on(self, verdict: Verdict) -> None:
        self.verdicts += 1
        done = self._world.controller.handle_cause(Cause.of_verdict(verdict))
        if done.decision.action == "retrain":
            self._carry_out(done.run_id, done.decision.reason_code)

    def _carry_out(self, run_id: str, trigger: str) -> None:
        """Every step of the run; a promoted version answers from the next row on."""
        world = self._world
        while world.pipeline.step(run_id) in WORKING:
            pass
        run, folder = world.ledger.run(run_id), RunFolder(world.runs / run_id)
        done = trained_attempt(folder)
        released = world.store.live_release(self._loop.model)
        is_released = released is not None and released.version == run.version
        model = None
        if done is not None:
            try:
                model = self._setting.scored.of(find_model(folder.attempt(done[0]) / "out"))
            except UnservableModel:
                # The pipeline has ended the run for it, or these rows hold what its holdout did not.
                if is_released:
                    raise
        first = self._setting.history.after_time(self._state.now)
        rows = int(run.snapshot["train_rows"]) if run.snapshot else 0
        self.runs.append(
            SimulatedRun(
                self._state.now, trigger, run.state, run.reason, run.attempts > 0, rows, first, model
            )
        )
        if model is not None and released is not None and is_released:
            self.serve(released.generation, released.version, first, model)

    def _next_look(self, inputs: ClockProgress, performance: ClockProgress) -> datetime | None:
        """The time of the first row from when something may be due."""
        history, now = self._setting.history, self._state.now
        due = [clock.due_at for clock in (inputs, performance) if clock.due_at is not None]
        window = self._loop.drift.window
        if window.every is not None:
            wait = max(_SHORTEST, window.every / _LOOKS)
        else:
            # A window of rows: its end is known only when they are there.
            ahead = min(len(history) - 1, history.after_time(now) + max(1, (window.rows or 1) // _LOOKS))
            wait = max(_SHORTEST, from_micros(int(history.times[ahead])) - now)
        # What was due and is not judged waits for outcomes that are late.
        number = history.from_time(min([moment for moment in due if moment > now], default=now + wait))
        if any(moment <= now for moment in due) or not due:
            number = min(number, history.from_time(now + wait))
        number = max(number, history.after_time(now))
        return from_micros(int(history.times[number])) if number < len(history) else None
