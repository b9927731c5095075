"""The losses of many windows add up to what none of them shows; exactly once, whatever restarts come between."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field
from datetime import timedelta
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import pytest
from prometheus_client import CollectorRegistry
from structlog.testing import capture_logs

from services.drift.evaluation.columns import Rows
from services.drift.evaluation.evaluator import Evaluator
from services.drift.evaluation.performance import loss_threshold, measure_loss
from services.drift.evaluation.reference_profile import Reference
from services.drift.metrics import DriftMetrics
from services.drift.monitoring.realised_errors import RealisedErrors
from services.drift.monitoring.window_evaluation import WindowEvaluation
from services.drift.thresholds.alarm_budget import split_budget
from services.drift.verdicts.positions import Generation
from services.drift.verdicts.store import VerdictStore
from services.drift.windows import Span
from shared.contracts.event_time import to_micros
from shared.contracts.verdict import State, Verdict, cause_key
from shared.errors import IntegrityError
from tests.unit.services.drift.distances import ScipyDistances
from tests.unit.services.drift.world import loop, minutes

VERSION, LATER = "ab" * 32, "cd" * 32
Losses = npt.NDArray[np.float64]
ROWS = 2000  # of a window of an hour
MEAN = 0.571


def losses(count: int, seed: int, rise: float = 1.0) -> Losses:
    """Skewed, as log-losses are: mean 0.571, standard deviation 0.5."""
    shape = (MEAN / 0.5) ** 2
    return np.random.default_rng(seed).gamma(shape, rise * MEAN / shape, count)


def rows_of(values: Losses, start: float, step: timedelta) -> Rows:
    times = to_micros(minutes(start)) + np.arange(values.size) * (step // timedelta(microseconds=1))
    return Rows(times, {}, {}, np.where(np.isnan(values), np.nan, 1.0), values)


def reference(values: Losses, *, held_out: bool = True) -> Reference:
    step = timedelta(hours=1) / ROWS
    before = minutes(-60 * values.size / ROWS)
    rows = rows_of(values, (before - minutes(0)) / timedelta(minutes=1), step)
    loss = measure_loss("log_loss", values)
    until = to_micros(before) - 1 if held_out else None
    return Reference(VERSION, loop(), rows, (), {}, loss, "held out" if held_out else "all", until)


@dataclass
class World:
    """Judged windows, their rows, and the store; `restart` forgets what is in memory."""

    home: Path
    reference: Reference
    windows: list[Losses] = field(default_factory=list)
    announced: list[Verdict] = field(default_factory=list)
    lost: set[str] = field(default_factory=set)

    def __post_init__(self) -> None:
        self.restart()
        self.store.put_generation("toy", Generation(1, VERSION, minutes(0), minutes(0), minutes(0)))

    def restart(self) -> None:
        self.store = VerdictStore(self.home / "verdicts.sqlite")
        self.metrics = DriftMetrics(CollectorRegistry())
        evaluation = WindowEvaluation(
            self, self, Evaluator(ScipyDistances()), self.store, self.metrics, lambda: minutes(9e5),  # type: ignore[arg-type]
            on_evaluation=self.announced.append,
        )  # fmt: skip
        self.errors = RealisedErrors(self, self, evaluation, self.store)  # type: ignore[arg-type]

    def get(self, model: str, version: str) -> Reference:
        if version in self.lost:
            raise IntegrityError("the version was signed with a key that is gone")
        return self.reference

    def rows(self, model: str, spec: object, span: Span, generation: int, read: str) -> Rows:
        number = round((span.start - minutes(0)) / timedelta(hours=1))
        return rows_of(self.windows[number], 60 * number, timedelta(hours=1) / ROWS)

    def judge(self, values: Losses, state: State = "ok", generation: int = 1) -> None:
        """As the clock of performance does: a verdict, and the position behind it."""
        start, end = minutes(60 * len(self.windows)), minutes(60 * len(self.windows) + 60)
        self.windows.append(values)
        version = VERSION if generation == 1 else LATER
        measured: dict[str, Any] = {
            "rows": values.size,
            "outcomes": values.size,
            "loss": float(np.nanmean(values)) if np.isfinite(values).any() else None,
            "drifted": ("performance",) if state == "drift" else (),
        }
        self.store.put(
            Verdict(
                verdict_id=cause_key("toy", "performance", version, end),
                model="toy",
                version=version,
                generation=generation,
                detector="performance",
                window_start=start,
                window_end=end,
                state=state,
                reached_at=end,
                **measured,
            )
        )
        self.store.advance("toy", generation, "inputs", end)
        self.store.advance("toy", generation, "performance", end)

    def alarms(self) -> list[Verdict]:
        return [
            verdict for verdict in reversed(self.store.latest("toy", 1000)) if verdict.detector == "stream"
        ]


@pytest.fixture
def world(tmp_path: Path) -> Iterator[World]:
    world = World(tmp_path, reference(losses(20_000, 1)))
    yield world
    world.store.close()


def test_lasting_rise_of_seven_per_cent_is_found_though_no_window_shows_it(world: World) -> None:
    before, loss = world.reference.loop.drift, world.reference.loss
    assert loss is not None
    rates = split_budget(before.false_alarms_per_30_days, timedelta(hours=1), feature_scores=2, data_scores=6)
    for number in range(71):
        window = losses(ROWS, 100 + number, rise=1.07)
        measured = measure_loss("log_loss", window)
        assert measured is not None
        limit = loss_threshold(measured, loss, before.loss_increase, rates.performance)
        assert measured.value <= limit, "judged one by one, each window is within its threshold"
        world.judge(window)
        assert world.errors.add_up("toy", 4) == 1
    first = world.alarms()[0]
    assert first.window_end <= minutes(60 * 30)
    assert (first.state, first.drifted, first.detector) == ("drift", ("performance",), "stream")
    assert first.has_own_id
    assert world.announced == world.alarms()
    [score] = first.scores
    assert (score.signal, score.method, score.exceeded) == ("performance", "log_loss_evidence", True)
    assert first.onset is not None
    assert minutes(0) <= first.onset <= minutes(60 * 10)
    assert first.rows == 1 + round((first.window_end - first.onset) / timedelta(hours=1) * ROWS)
    assert first.explanation.startswith(
        "Compared with the reference of version abababababab, log_loss has been higher: the losses of "
        f"{first.rows} outcomes since about "
    )
    assert len(world.alarms()) >= 2, "while it lasts it is reported again"


@pytest.mark.parametrize("seed", range(3))
def test_losses_like_those_of_the_reference_raise_nothing(tmp_path: Path, seed: int) -> None:
    """Also with serial correlation: hours are easier and harder than others by a tenth."""
    random = np.random.default_rng(seed)

    def hours(count: int) -> Losses:
        level = np.repeat(random.normal(1.0, 0.1, count), ROWS)
        return losses(count * ROWS, int(random.integers(10**6))) * level

    world = World(tmp_path, reference(hours(40)))
    for _ in range(100):
        world.judge(hours(1))
    while world.errors.add_up("toy", 20):
        pass
    assert world.alarms() == []
    world.store.close()


def test_restarts_change_nothing(tmp_path: Path) -> None:
    """The process is killed before or after a window is counted, and while its state is stored."""
    found = []
    for name in ("undisturbed", "killed"):
        world = World(tmp_path / name, reference(losses(20_000, 1)))
        for number in range(40):
            world.judge(losses(ROWS, 100 + number, rise=1.1))
            if name == "killed" and number % 3 == 0:
                put = world.errors._states.store.insert

                def die(*_: object, **__: object) -> bool:
                    raise SystemExit("killed")

                world.store.insert = die  # type: ignore[method-assign]
                try:
                    world.errors.add_up("toy", 1)
                except SystemExit:
                    assert number > 0
                world.store.insert = put  # type: ignore[method-assign]
                world.store.close()
                world.restart()
            while world.errors.add_up("toy", 1):
                pass
        state = world.errors._states.get("toy", 1, 6)
        assert state is not None
        found.append(([alarm.model_copy() for alarm in world.alarms()], state.until, state.arrays))
        assert world.errors.add_up("toy", 10) == 0
        world.store.close()
    (alarms, until, arrays), (again, later, others) = found
    assert alarms == again
    assert len(alarms) >= 2
    assert until == later
    assert all(np.array_equal(array, others[name]) for name, array in arrays.items())


def test_windows_with_faulty_data_do_not_count(world: World) -> None:
    for number in range(30):
        world.judge(losses(ROWS, 100 + number, rise=3.0), "data_fault")
    while world.errors.add_up("toy", 20):
        pass
    assert world.alarms() == []
    world.judge(losses(ROWS, 7, rise=3.0))
    world.errors.add_up("toy", 20)
    assert len(world.alarms()) == 1


def test_rows_without_outcome_do_not_count(world: World) -> None:
    for number in range(10):
        window = losses(ROWS, 100 + number)
        window[::2] = np.nan
        world.judge(window)
    world.judge(np.full(ROWS, np.nan))
    while world.errors.add_up("toy", 20):
        pass
    state = world.errors._states.get("toy", 1, 6)
    assert state is not None
    assert int(state.arrays["rows"][0]) == 10 * ROWS // 2


def test_version_without_rows_held_out_has_no_standard(tmp_path: Path) -> None:
    """A model fits the rows it was trained on: their loss is lower than in service, and evidence of that adds up."""
    world = World(tmp_path, reference(losses(20_000, 1), held_out=False))
    for number in range(20):
        world.judge(losses(ROWS, 100 + number, rise=1.5))
    assert world.errors.add_up("toy", 100) == 20
    assert world.alarms() == []
    world.store.close()


def test_counting_goes_back_with_the_positions(world: World) -> None:
    for number in range(4):
        world.judge(losses(ROWS, 100 + number))
    world.errors.add_up("toy", 10)
    world.store.go_back("toy", 1, minutes(0), minutes(300))
    assert world.errors.add_up("toy", 10) == 0
    assert rows_counted(world) == 4 * ROWS, "what was counted is before that time"
    world.store.go_back("toy", 1, minutes(0), minutes(120))
    assert world.errors.add_up("toy", 10) == 0
    assert rows_counted(world) == 0, "the evidence begins with the next window"
    world.store.advance("toy", 1, "performance", minutes(180))
    assert world.errors.add_up("toy", 10) == 1, "not the window behind the clock, though it has a verdict"
    world.store.advance("toy", 1, "performance", minutes(240))
    assert world.errors.add_up("toy", 10) == 1
    assert rows_counted(world) == 2 * ROWS


def test_corrected_watermark_gives_no_other_alarms_about_the_past(world: World) -> None:
    """Late outcomes came meanwhile: counted again, the losses would alarm at other rows."""
    complete = [losses(ROWS, 100 + number, rise=1.15) for number in range(12)]
    for number, window in enumerate(complete):
        late = np.random.default_rng(number).random(ROWS) < 0.1
        world.judge(np.where(late, np.nan, window))
        world.errors.add_up("toy", 4)
    before = world.alarms()
    assert len(before) >= 2
    world.windows[:] = complete
    world.store.go_back("toy", 1, minutes(0), minutes(60 * 11 + 30))
    world.errors.add_up("toy", 20)
    world.store.advance("toy", 1, "performance", minutes(60 * 12))
    while world.errors.add_up("toy", 20):
        pass
    assert world.alarms() == before
    assert world.announced == before


def rows_counted(world: World) -> int:
    state = world.errors._states.get("toy", 1, 6)
    assert state is not None
    return int(state.arrays["rows"][0]) if state.arrays else 0


@pytest.mark.parametrize("restarted", [False, True])
def test_one_bad_window_has_one_verdict(world: World, restarted: bool) -> None:
    for number in range(10):
        bad = number == 5
        world.judge(losses(ROWS, 50 + number, rise=1.5 if bad else 1.0), "drift" if bad else "ok")
        if restarted:
            world.store.close()
            world.restart()
        world.errors.add_up("toy", 4)
    assert world.alarms() == []
    assert rows_counted(world) == 10 * ROWS, "its losses count all the same"


def test_rise_within_a_window_without_a_verdict_of_its_own_is_reported(world: World) -> None:
    for number in range(10):
        world.judge(losses(ROWS, 50 + number, rise=1.5 if number == 5 else 1.0))
        world.errors.add_up("toy", 4)
    assert world.alarms()[0].rows < ROWS


def test_rise_over_windows_is_reported_though_the_last_one_has_drift(world: World) -> None:
    for number in range(30):
        world.judge(losses(ROWS, 100 + number, rise=1.07), "drift")
        world.errors.add_up("toy", 4)
    assert world.alarms()
    for alarm in world.alarms():
        assert alarm.window_end - alarm.window_start > timedelta(hours=1)


def test_finished_generation_needs_no_reference(world: World) -> None:
    world.judge(losses(ROWS, 1))
    world.errors.add_up("toy", 10)
    world.store.advance("toy", 1, "performance", minutes(90))
    world.store.put_generation("toy", Generation(2, LATER, minutes(90), minutes(90), minutes(90)))
    world.lost.add(VERSION)
    world.store.close()
    world.restart()
    with capture_logs() as logs:
        assert world.errors.add_up("toy", 10) == 0
    assert logs == []
    state = world.errors._states.get("toy", 1, 6)
    assert state is not None
    assert state.until == minutes(90)
    assert rows_counted(world) == ROWS


def test_replaced_generation_whose_reference_is_lost_stops_no_other(world: World) -> None:
    world.judge(losses(ROWS, 1))
    world.store.put_generation("toy", Generation(2, LATER, minutes(60), minutes(60), minutes(60)))
    world.judge(losses(ROWS, 2), generation=2)
    world.lost.add(VERSION)
    with capture_logs() as logs:
        assert world.errors.add_up("toy", 10) == 1, "that of the served generation"
        world.judge(losses(ROWS, 3), generation=2)
        assert world.errors.add_up("toy", 10) == 1
    found = [line for line in logs if line["event"] == "losses_not_added_up"]
    assert [(line["generation"], line["model"]) for line in found] == [(1, "toy")], "logged once"
    world.lost.add(LATER)
    world.judge(losses(ROWS, 4), generation=2)
    world.store.close()
    world.restart()
    with pytest.raises(IntegrityError):
        world.errors.add_up("toy", 10)
    world.lost.clear()
    assert world.errors.add_up("toy", 10) == 1, "given up until the next start, but not the served one"


def test_evidence_is_shown(world: World) -> None:
    for number in range(6):
        world.judge(losses(ROWS, 100 + number, rise=1.07))
    world.errors.add_up("toy", 10)
    shown = world.metrics.registry.get_sample_value("homeostat_drift_error_evidence_ratio", {"model": "toy"})
    assert shown is not None
    assert 0 < shown < 1
