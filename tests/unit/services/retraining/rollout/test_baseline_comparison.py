"""Frozen against served: both losses exact and on the same rows, nothing shown that is not known, and nobody waits."""

from __future__ import annotations

import math
import time
import warnings
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from dataclasses import dataclass, field, replace
from datetime import timedelta
from pathlib import Path
from threading import Event
from typing import Any

import numpy as np
import pyarrow as pa
import pytest
import structlog

from services.retraining.bootstrap import Service, build
from services.retraining.cause import Cause
from services.retraining.metrics import RetrainingMetrics
from services.retraining.rollout.baseline_comparison import Comparison, compare_with_first, first_version
from services.retraining.rollout.baseline_watch import BaselineWatch
from services.retraining.settings import RetrainingSettings
from shared.contracts.loop_spec import LoopSpec
from shared.contracts.release import Release
from shared.contracts.verdict import Verdict
from shared.errors import DependencyUnavailable, IntegrityError, UnservableModel
from shared.stores.lake import Lake
from tests.fakes.retraining_service import wait_for
from tests.fakes.retraining_world import MODEL, START, World, loop_with, make_world, package_poor_champion

with warnings.catch_warnings():
    warnings.simplefilter("ignore")
    from fastapi.testclient import TestClient

SETTINGS = RetrainingSettings(listen=False, mlflow=False, latency_calls=5)


@pytest.fixture
def world(tmp_path: Path) -> World:
    """A first version that is worse than a coin, and a better one released after it."""
    made = make_world(tmp_path, days=4)
    better = package_poor_champion(tmp_path, made.spec, made.store, made.keys, slope=2.0)
    for generation, version in enumerate((made.champion, better), 1):
        made.store.add_release(
            Release(
                model=MODEL,
                generation=generation,
                version=version,
                reason="deployment",
                actor="ann",
                released_at=START,
            )
        )
    return made


def served(world: World) -> Verdict:
    """About what was released last; its rows were answered with 0.5 throughout."""
    return world.verdict(3, version=world.store.releases(MODEL)[-1].version)


def rows_of(world: World, verdict: Verdict, newest: int = 1000) -> tuple[Any, Any]:
    rows = world.lake.read_joined(MODEL, verdict.window_start, verdict.window_end, with_outcome=True)
    x = np.nan_to_num(rows["f_x"].to_numpy().astype(np.float32))[-newest:]
    return x, rows["outcome"].to_numpy()[-newest:]


def log_loss(p: Any, outcomes: Any) -> float:
    return float(-(outcomes * np.log(p) + (1 - outcomes) * np.log(1 - p)).mean())


def compare(world: World, verdict: Verdict, max_rows: int = 1000, **changes: Any) -> Comparison | None:
    first = replace(first_version(world.store, world.keys, MODEL), **changes)
    return compare_with_first(world.lake, first, world.spec, verdict, max_rows=max_rows)


@pytest.mark.parametrize("newest", [1000, 10])
def test_both_losses_are_those_of_the_same_newest_rows(world: World, newest: int) -> None:
    verdict = served(world)
    x, outcomes = rows_of(world, verdict, newest)
    found = compare(world, verdict, newest)
    assert found is not None
    assert found.baseline_loss == pytest.approx(log_loss(1 / (1 + np.exp(0.5 * x)), outcomes), abs=1e-6)
    assert found.served_loss == pytest.approx(math.log(2), abs=1e-12)
    assert (found.rows, found.metric) == (min(96, newest), "log_loss")
    assert (found.window_start, found.window_end) == (verdict.window_start, verdict.window_end)


class OneMoment(Lake):
    """A lake whose rows all came at one moment, as a batch does."""

    def read_joined(self, *args: Any, **more: Any) -> pa.Table:
        rows = super().read_joined(*args, **more)
        place = rows.schema.get_field_index("event_time")
        same = pa.array([START + timedelta(days=2)] * rows.num_rows, rows.schema.field(place).type)
        return rows.set_column(place, "event_time", same)


def test_rows_of_one_moment_are_bounded_too(world: World) -> None:
    first = first_version(world.store, world.keys, MODEL)
    found = compare_with_first(OneMoment(world.lake.root), first, world.spec, served(world), max_rows=10)
    assert found is not None
    assert found.rows == 10


def test_rows_of_another_generation_are_not_the_windows(world: World) -> None:
    assert compare(world, served(world).model_copy(update={"generation": 2})) is None


def test_the_root_is_taken_where_the_metric_is_one(world: World) -> None:
    spec = LoopSpec.model_validate(
        loop_with(prediction={"kind": "value"}, metric={"name": "rmse", "floor": 1})
    )
    first = first_version(world.store, world.keys, MODEL)
    found = compare_with_first(world.lake, first, spec, served(world), max_rows=1000)
    assert found is not None
    assert found.served_loss == pytest.approx(0.5, abs=1e-12)


def test_what_the_first_version_cannot_answer_is_not_guessed(world: World) -> None:
    spec = loop_with(
        features=[{"name": "x", "type": "number"}, {"name": "color", "type": "category", "values": ["red"]}]
    )
    strict = LoopSpec.model_validate(spec)
    with pytest.raises(UnservableModel, match="feature x has missing values"):
        compare(world, served(world), spec=strict)
    fewer = LoopSpec.model_validate(loop_with(features=[{"name": "x", "type": "number", "nullable": True}]))
    first = first_version(world.store, world.keys, MODEL)
    with pytest.raises(UnservableModel, match="takes color, which the loop no longer has"):
        compare_with_first(world.lake, first, fewer, served(world), max_rows=10)


def tamper(world: World) -> None:
    stored = world.home / "models" / MODEL / "versions" / world.champion / "model.onnx"
    stored.write_bytes(stored.read_bytes() + b"\0")


def test_the_first_version_is_verified_before_it_is_loaded(world: World) -> None:
    tamper(world)
    with pytest.raises(IntegrityError, match="another digest"):
        first_version(world.store, world.keys, MODEL)


@dataclass(frozen=True)
class MoodyLake(Lake):
    """A lake that may be away, or let its readers hang."""

    away: Event = field(default_factory=Event)
    open_again: Event | None = None
    asked: Event = field(default_factory=Event)

    def read_joined(self, *args: Any, **more: Any) -> pa.Table:
        self.asked.set()
        if self.away.is_set():
            raise DependencyUnavailable("the lake is away")
        if self.open_again is not None:
            self.open_again.wait(30)
        return super().read_joined(*args, **more)


class Room:
    """A watch that a test drives."""

    def __init__(self, world: World, lake: Lake | None = None) -> None:
        self.metrics = RetrainingMetrics()
        self.watch = BaselineWatch(
            world.store, lake or world.lake, world.keys, self.metrics, list, Event(), pause=0.01
        )

    def losses(self) -> tuple[float | None, float | None]:
        baseline, served = (
            self.metrics.registry.get_sample_value(f"homeostat_retraining_{name}_loss", {"model": MODEL})
            for name in ("baseline", "served")
        )
        return baseline, served


def test_the_newest_waiting_verdict_is_compared_and_no_older_one_after_it(world: World) -> None:
    room = Room(world)
    version = served(world).version
    for day in (1, 3, 2):
        room.watch.observe(world.verdict(day, version=version))
    assert (room.watch.compare_once(), room.watch.compare_once()) == (True, False)
    assert room.watch.comparisons()[MODEL].window_end == START + timedelta(days=3)
    found = room.watch.comparisons()[MODEL]
    assert room.losses() == (found.baseline_loss, found.served_loss)
    room.watch.observe(world.verdict(2, version=version))
    room.watch.observe(world.verdict(3, version=version))
    assert not room.watch.compare_once()


@pytest.mark.parametrize("changes", [{"loss": None}, {"outcomes": 0}, {"detector": "request"}])
def test_a_verdict_without_realised_performance_or_that_a_person_asked_for_is_not_compared(
    world: World, changes: dict[str, Any]
) -> None:
    room = Room(world)
    room.watch.observe(served(world).model_copy(update=changes))
    assert not room.watch.compare_once()


@pytest.mark.parametrize("how", ["changed", "gone"])
def test_a_first_version_that_cannot_be_loaded_is_told_once_and_shows_no_number(
    world: World, how: str
) -> None:
    if how == "changed":
        tamper(world)
    else:
        (world.home / "models" / MODEL / "versions" / world.champion / "manifest.json").unlink()
    room = Room(world)
    with structlog.testing.capture_logs() as logs:
        for day in (2, 3):
            room.watch.observe(world.verdict(day, version=served(world).version))
            assert room.watch.compare_once()
    assert [entry["event"] for entry in logs] == ["baseline_loss_unavailable"]
    assert (room.losses(), dict(room.watch.comparisons())) == ((None, None), {})


def test_a_number_that_is_no_longer_known_is_taken_back(world: World) -> None:
    room = Room(world)
    room.watch.observe(served(world))
    room.watch.compare_once()
    assert room.losses()[0] is not None
    # A window no row of which has an outcome in the lake.
    room.watch.observe(
        served(world).model_copy(update={"generation": 9, "window_end": START + timedelta(days=4)})
    )
    room.watch.compare_once()
    assert room.losses() == (None, None)


def test_a_lake_that_is_away_is_asked_again(world: World) -> None:
    lake = MoodyLake(world.lake.root, away=Event())
    lake.away.set()
    room = Room(world, lake)
    room.watch.observe(served(world))
    with pytest.raises(DependencyUnavailable):
        room.watch.compare_once()
    lake.away.clear()
    assert room.watch.compare_once()
    assert room.losses()[1] == pytest.approx(math.log(2))


def test_nothing_waits_for_a_comparison_that_hangs(world: World) -> None:
    lake = MoodyLake(world.lake.root, open_again=Event(), asked=Event())
    room, stop = Room(world), Event()
    watch = BaselineWatch(world.store, lake, world.keys, room.metrics, list, stop)
    watch.start()
    watch.observe(world.verdict(2, version=served(world).version))
    assert lake.asked.wait(20)
    began = time.monotonic()
    watch.observe(served(world))
    assert time.monotonic() - began < 1
    assert dict(watch.comparisons()) == {}
    assert lake.open_again is not None
    lake.open_again.set()
    wait_for(
        lambda: (
            MODEL in watch.comparisons() and watch.comparisons()[MODEL].window_end == served(world).window_end
        ),
        20,
        "both",
    )
    stop.set()
    watch.wake()


def test_what_another_service_heard_is_caught_up_with(world: World) -> None:
    """Of several services one hears a verdict; the others find it in the ledger, and all show the same."""
    ledger: list[Verdict] = [world.verdict(1, version=served(world).version)]
    metrics, stop = RetrainingMetrics(), Event()
    watch = BaselineWatch(
        world.store, world.lake, world.keys, metrics, lambda: list(ledger), stop, pause=0.01
    )
    watch.start()

    def shows(day: int) -> bool:
        return MODEL in watch.comparisons() and watch.comparisons()[MODEL].window_end == START + timedelta(
            days=day
        )

    wait_for(lambda: shows(1), 20, "what the ledger held at the start")
    ledger[:] = [served(world)]
    wait_for(lambda: watch.comparisons()[MODEL].window_end == served(world).window_end, 20, "what came since")
    stop.set()
    watch.wake()


Opened = tuple[Service, TestClient]


@pytest.fixture
def open_service(world: World) -> Iterator[Callable[[], Opened]]:
    """The whole service at the world's home; opened again, the one before has ended."""
    with ExitStack() as stack:

        def open_one() -> Opened:
            stack.close()
            service = build(world.settings, SETTINGS)
            return service, stack.enter_context(TestClient(service.app, base_url="http://127.0.0.1"))

        yield open_one


def test_a_restart_shows_what_was_shown_before(world: World, open_service: Callable[[], Opened]) -> None:
    service, client = open_service()
    verdict = served(world)
    service.controller.deploy(MODEL, verdict.version, str(world.project), "ann")
    service.controller.handle_cause(Cause.of_verdict(verdict))
    before = shown(client)
    assert (before["rows"], before["metric"]) == (96, "log_loss")
    assert before["window"] == {
        "start": verdict.window_start.isoformat(),
        "end": verdict.window_end.isoformat(),
    }
    _, again = open_service()
    assert shown(again) == before


def shown(client: TestClient) -> dict[str, Any]:
    """What `/status` says about the model, once it has compared; and `/metrics` says the same."""

    def entry() -> dict[str, Any]:
        [found] = client.get("/status").json()["models"]
        return dict(found)

    wait_for(lambda: entry()["baseline_loss"] is not None, 30, "the comparison")
    told, text = entry(), client.get("/metrics").text
    for name in ("baseline_loss", "served_loss"):
        assert f'homeostat_retraining_{name}{{model="toy"}} {told[name]}' in text
    return told
