"""A watched release: taken back if it is worse, kept otherwise, decided once whatever happens in between."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import AbstractContextManager, ExitStack, contextmanager
from datetime import timedelta
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from services.retraining.ledger_gauges import update_gauges
from services.retraining.rollout.releaser import Releaser
from shared.contracts.loop_spec import LoopSpec
from shared.contracts.manifest import short
from shared.contracts.release import Release
from shared.errors import DependencyUnavailable, UnservableModel
from shared.models.runners.model_runner import ModelRunner
from shared.stores.lake import Lake
from tests.fakes.in_process_models import open_in_process
from tests.fakes.retraining_installation import MODEL, START, fill_lake
from tests.fakes.watched_installation import RELEASED_AT, Watched, delete_version, watched

END = 56 + 2  # hours after the release: the watch, and the outcomes' delay


@pytest.fixture
def open_watched(tmp_path: Path) -> Iterator[Callable[..., Watched]]:
    with ExitStack() as stack:
        yield lambda **how: stack.enter_context(watched(tmp_path, **how))


def test_a_worse_promotion_is_rolled_back_once(open_watched: Callable[..., Watched]) -> None:
    one = open_watched(slope=-2.0)
    one.answer(60, -2.0)
    ended = one.look(40)
    assert ended is not None
    assert (ended.state, ended.reason_code, ended.rollback_generation) == ("rolled_back", "worse", 3)
    assert one.log() == [(1, "deployment", "ann"), (2, "promotion", "loop"), (3, "rollback", "loop")]
    rollback = one.installation.store.releases(MODEL)[-1]
    assert rollback.version == ended.former
    assert f"worse than version {short(ended.former)} since its release: log_loss 1." in rollback.note
    assert "evidence that it is worse" in rollback.note
    assert one.verified == 1
    assert one.annotated == ["annotated"]
    assert one.metrics.watches.labels(MODEL, "rolled_back")._value.get() == 1
    assert one.look(41) is None
    assert one.look(END + 100) is None
    assert len(one.log()) == 3


def test_rows_that_come_during_a_look_end_no_watch(
    open_watched: Callable[..., Watched], monkeypatch: pytest.MonkeyPatch
) -> None:
    """They were not measured: the release was kept for what the first rows showed."""
    one = open_watched(slope=-2.0)
    one.answer(60, -2.0)
    moments = iter([RELEASED_AT + timedelta(hours=12), RELEASED_AT + timedelta(hours=60)])
    latest = Lake.latest_event_time
    monkeypatch.setattr(Lake, "latest_event_time", lambda *_: next(moments))
    found = one.look(END)
    assert found is not None
    assert (found.state, len(found.blocks)) == ("watching", 5)
    monkeypatch.setattr(Lake, "latest_event_time", latest)
    ended = one.look(END)
    assert ended is not None
    assert ended.state == "rolled_back"


def test_losses_are_of_the_same_rows(open_watched: Callable[..., Watched]) -> None:
    one = open_watched(slope=-2.0)
    one.answer(60, -2.0)
    found = one.look(10)
    assert found is not None
    assert found.state == "watching"
    # Blocks of two hours; outcomes are due two hours after the newest row, which the clock limits to now.
    assert [block.rows for block in found.blocks] == [48] * 4
    rows = one.installation.lake.read_joined(
        MODEL, RELEASED_AT, RELEASED_AT + timedelta(hours=8), with_outcome=True
    )
    x, outcome = np.nan_to_num(rows["f_x"].to_numpy()), rows["outcome"].to_numpy()
    expected = [
        float(-np.log(np.where(outcome == 1, p, 1 - p)).mean())
        for p in (1 / (1 + np.exp(2 * x)), 1 / (1 + np.exp(-2 * x)))
    ]
    assert found.losses == pytest.approx(expected, abs=1e-6)


def test_metrics_are_those_of_the_ledger(open_watched: Callable[..., Watched]) -> None:
    one = open_watched(slope=-2.0)
    one.answer(60, -2.0)
    one.look(10)
    assert gauges(one) == {
        "state": {"watching": 1.0},
        "rows": 192.0,
        "own_rollback": None,
    }
    one.look(40)
    assert gauges(one) == {
        "state": {"rolled_back": 1.0},
        "rows": 912.0,
        "own_rollback": (RELEASED_AT + timedelta(hours=40)).timestamp(),
    }
    read = one.metrics.registry.get_sample_value
    assert (read("homeostat_retraining_watch_evidence", {"model": MODEL}) or 0) >= 20
    loss, former = (
        read("homeostat_retraining_watch_loss", {"model": MODEL, "version": which}) or 0
        for which in ("released", "former")
    )
    assert loss > 2 * former > 0


def gauges(one: Watched) -> dict[str, Any]:
    update_gauges(one.metrics, one.ledger.metrics_snapshot(), one.now)
    (states,) = one.metrics.watch_state.collect()
    read = one.metrics.registry.get_sample_value
    return {
        "state": {sample.labels["state"]: sample.value for sample in states.samples},
        "rows": read("homeostat_retraining_watch_rows", {"model": MODEL}),
        "own_rollback": read("homeostat_retraining_last_own_rollback_timestamp_seconds", {"model": MODEL}),
    }


@pytest.mark.parametrize("former", [0.5, 1.95])
def test_a_version_that_is_not_worse_is_kept_when_its_time_is_over(
    open_watched: Callable[..., Watched], former: float
) -> None:
    one = open_watched(slope=2.0, former_slope=former)
    one.answer(60, 2.0)
    before = one.look(END - 1)
    assert before is not None
    assert before.state == "watching"
    ended = one.look(END)
    assert ended is not None
    assert (ended.state, ended.reason_code, len(ended.blocks)) == ("kept", "not_worse", 28)
    assert ended.reason.startswith("log_loss 0.")
    assert len(one.log()) == 2


def test_many_looks_and_one_find_the_same(open_watched: Callable[..., Watched], tmp_path: Path) -> None:
    one = open_watched(slope=1.95)
    one.answer(60, 1.95)
    for hours in range(1, END + 1, 5):
        one.look(hours)
    with watched(tmp_path / "other", slope=1.95) as other:
        other.answer(60, 1.95)
        one_look, many = other.look(END), one.look(END)
    assert one_look is not None
    assert many is not None
    assert (many.blocks, many.state) == (one_look.blocks, one_look.state)


def test_without_outcomes_the_version_stays_and_says_why(open_watched: Callable[..., Watched]) -> None:
    one = open_watched(slope=-2.0)
    one.answer(60, -2.0, outcomes_of=0.0)
    ended = one.look(END)
    assert ended is not None
    assert (ended.state, ended.reason_code) == ("kept", "no_outcomes")
    assert ended.reason == (
        "fewer than 30 rows with outcomes in 56h: it was not compared with the version before it"
    )
    assert len(one.log()) == 2


def test_without_any_row_the_clock_ends_the_watch(open_watched: Callable[..., Watched]) -> None:
    one = open_watched(slope=-2.0)
    one.look(0)
    waiting = one.look(END + 23)
    assert waiting is not None
    assert waiting.state == "watching"
    ended = one.look(END + 25)
    assert ended is not None
    assert (ended.state, ended.reason_code) == ("kept", "no_outcomes")


def test_a_small_difference_within_the_tolerance_is_kept(open_watched: Callable[..., Watched]) -> None:
    one = open_watched(slope=-2.0, rollout={"watch": "56h", "tolerance": 10.0})
    one.answer(60, -2.0)
    ended = one.look(END)
    assert ended is not None
    assert ended.state == "kept"
    assert "tolerance 10" in ended.reason


def test_a_deployment_is_not_taken_back(open_watched: Callable[..., Watched]) -> None:
    one = open_watched(slope=-2.0, reason="deployment")
    one.answer(60, -2.0)
    ended = one.look(40)
    assert ended is not None
    assert ended.state == "worse"
    assert "a person released version" in ended.reason
    assert len(one.log()) == 2
    assert one.look(41) == ended
    assert one.ledger.watches.newest() == [ended]
    one.releaser.roll_back(MODEL, "bob", "", None, None, lambda *_: None)
    one.look(42)
    # Nobody is alerted to a version that is no longer live; its watch stays in the ledger.
    assert one.ledger.watches.newest() == []
    assert one.ledger.watches.of_model(MODEL) == [ended]


class DyingReleaser(Releaser):
    """Its process dies before or after the entry of the release log is written."""

    after = False

    def roll_back(self, *args: Any) -> Release:
        if self.after:
            super().roll_back(*args)
        raise RuntimeError("killed")


@pytest.mark.parametrize("after", [False, True])
def test_a_process_that_dies_in_a_rollback_leaves_one(
    open_watched: Callable[..., Watched], after: bool
) -> None:
    one = open_watched(slope=-2.0)
    one.answer(60, -2.0)
    dying = one.releaser
    dying.__class__ = type("Dying", (DyingReleaser,), {"after": after})
    with pytest.raises(RuntimeError):
        one.look(40, releaser=dying)
    stored = one.ledger.watches.find(MODEL, 2)
    assert stored is not None
    assert stored.state == "rolling_back"
    one.look(40)
    ended = one.ledger.watches.find(MODEL, 2)
    assert ended is not None
    assert (ended.state, ended.rollback_generation) == ("rolled_back", 3)
    assert len(one.log()) == 3


def test_two_services_roll_back_once(open_watched: Callable[..., Watched]) -> None:
    one = open_watched(slope=-2.0)
    one.answer(60, -2.0)
    one.now = RELEASED_AT + timedelta(hours=40)
    watchers = [one.watcher() for _ in range(4)]
    with ThreadPoolExecutor(4) as pool:
        list(pool.map(lambda watcher: watcher.look(MODEL), watchers))
    assert one.log()[2:] == [(3, "rollback", "loop")]
    ended = one.ledger.watches.find(MODEL, 2)
    assert ended is not None
    assert ended.state == "rolled_back"
    assert one.metrics.watches.labels(MODEL, "rolled_back")._value.get() == 1


def release_third(one: Watched, version: str, reason: Any, actor: str) -> None:
    one.installation.store.add_release(
        Release(
            model=MODEL,
            generation=3,
            version=version,
            reason=reason,
            actor=actor,
            released_at=RELEASED_AT + timedelta(hours=11),
        )
    )


def test_a_release_made_during_scoring_is_not_taken_back(open_watched: Callable[..., Watched]) -> None:
    one = open_watched(slope=-2.0)
    one.answer(60, -2.0)

    @contextmanager
    def open_late(path: Path, spec: LoopSpec, doing: str) -> Iterator[ModelRunner]:
        release_third(one, one.installation.champion, "deployment", "bob")
        with open_in_process(path, spec, doing) as opened:
            yield opened

    ended = one.look(40, open_model=open_late)
    assert ended is not None
    assert (ended.state, ended.evidence.is_worse) == ("superseded", True)
    assert one.log()[2:] == [(3, "deployment", "bob")]


@pytest.mark.parametrize(("actor", "to_former"), [("bob", True), ("loop", False)])
def test_another_rollback_is_not_recorded_as_the_decided_one(
    open_watched: Callable[..., Watched], actor: str, to_former: bool
) -> None:
    one = open_watched(slope=-2.0)
    one.answer(60, -2.0)
    dying = one.releaser
    dying.__class__ = DyingReleaser
    with pytest.raises(RuntimeError):
        one.look(40, releaser=dying)
    former = one.installation.store.releases(MODEL)[0].version
    release_third(one, former if to_former else one.installation.champion, "rollback", actor)
    one.look(41)
    ended = one.ledger.watches.find(MODEL, 2)
    assert ended is not None
    assert (ended.state, ended.rollback_generation) == ("superseded", None)
    assert ended.reason == f"generation 3 was released meanwhile: a rollback by {actor}"


@pytest.mark.parametrize("reason", ["rollback", "deployment"])
def test_another_release_ends_the_watch(open_watched: Callable[..., Watched], reason: Any) -> None:
    one = open_watched(slope=-2.0)
    one.answer(60, -2.0)
    one.look(10)
    log = one.installation.store.releases(MODEL)
    version = log[0].version if reason == "rollback" else one.installation.champion
    release_third(one, version, reason, "bob")
    one.look(40)
    ended = one.ledger.watches.find(MODEL, 2)
    assert ended is not None
    assert ended.state == "superseded"
    assert ended.reason == f"generation 3 was released meanwhile: a {reason} by bob"
    assert len(one.log()) == 3


def test_a_clock_that_is_set_back_changes_nothing(open_watched: Callable[..., Watched]) -> None:
    one = open_watched(slope=-2.0)
    one.answer(60, -2.0)
    before = one.look(20)
    assert one.look(-1000) == before
    ended = one.look(40)
    assert ended is not None
    assert ended.state == "rolled_back"


def test_rows_dated_back_or_ahead_change_nothing(open_watched: Callable[..., Watched]) -> None:
    one = open_watched(slope=-2.0)
    one.answer(60, -2.0)
    for days in (-1, 300):
        fill_lake(
            one.installation.lake,
            RELEASED_AT + timedelta(days=days),
            1 / 24,
            2,
            20 + days,
            generation=2,
        )
    found = one.look(10)
    assert found is not None
    assert found.state == "watching"
    assert found.rows_from is not None
    assert abs(found.rows_from - RELEASED_AT) < timedelta(minutes=5)
    assert len(found.blocks) == 4


def test_versions_that_cannot_be_compared_are_kept(open_watched: Callable[..., Watched]) -> None:
    one = open_watched(slope=-2.0)
    one.answer(60, -2.0)
    delete_version(one, one.installation.store.releases(MODEL)[0].version)
    ended = one.look(40)
    assert ended is not None
    assert (ended.state, ended.reason_code) == ("kept", "not_compared")
    assert "the versions cannot be compared" in ended.reason


def open_slowly(path: Path, spec: LoopSpec, doing: str) -> AbstractContextManager[ModelRunner]:
    """A machine under load."""
    raise UnservableModel("the former version took longer than 600 s")


class SlowModel(ModelRunner):
    """Opens, but runs out of time with rows."""

    def score(self, rows: Any) -> Any:
        raise UnservableModel("the former version took longer than 600 s")


@contextmanager
def score_slowly(path: Path, spec: LoopSpec, doing: str) -> Iterator[ModelRunner]:
    with open_in_process(path, spec, doing) as opened:
        opened.__class__ = SlowModel
        yield opened


@pytest.mark.parametrize("slow", [open_slowly, score_slowly])
@pytest.mark.parametrize("hours", [10, END + 1])
def test_a_former_version_that_fails_for_a_moment_delays_the_decision(
    open_watched: Callable[..., Watched], slow: Any, hours: float
) -> None:
    one = open_watched(slope=-2.0)
    one.answer(60, -2.0)
    one.look(0)
    with pytest.raises(UnservableModel, match="took longer"):
        one.look(hours, open_model=slow)
    delayed = one.ledger.watches.find(MODEL, 2)
    assert delayed is not None
    assert delayed.state == "watching"
    ended = one.look(max(40, hours))
    assert ended is not None
    assert ended.state == "rolled_back"


def test_a_former_version_that_fails_until_the_end_is_said(open_watched: Callable[..., Watched]) -> None:
    one = open_watched(slope=-2.0)
    one.answer(60, -2.0)
    one.look(0)
    ended = one.look(END + 25, open_model=open_slowly)
    assert ended is not None
    assert (ended.state, ended.reason_code) == ("kept", "not_compared")
    assert ended.reason == (
        f"version {short(ended.former)} could not be scored before the watch's time was over: "
        "the former version took longer than 600 s"
    )
    assert len(one.log()) == 2


def test_versions_of_other_features_are_kept_at_once(open_watched: Callable[..., Watched]) -> None:
    one = open_watched(slope=-2.0)
    one.answer(60, -2.0)
    ended = one.look(40, store=OtherFeatures(one.installation.store))
    assert ended is not None
    assert (ended.state, ended.reason_code) == ("kept", "not_compared")
    assert "takes size, which loop.yaml no longer has" in ended.reason


class OtherFeatures:
    """A store in which the former version takes one more feature."""

    def __init__(self, store: Any) -> None:
        self._store = store

    def __getattr__(self, name: str) -> Any:
        return getattr(self._store, name)

    def manifest(self, model: str, version: str) -> Any:
        found = self._store.manifest(model, version)
        if version != self._store.releases(model)[0].version:
            return found
        size = found.loop.features[0].model_copy(update={"name": "size"})
        loop = found.loop.model_copy(update={"features": [*found.loop.features, size]})
        return found.model_copy(update={"loop": loop})


def test_a_former_version_that_is_gone_is_reported(open_watched: Callable[..., Watched]) -> None:
    one = open_watched(slope=-2.0)
    one.answer(60, -2.0)

    def missing(model: str, version: str) -> None:
        one.installation.store.get_version(model, "f" * 64, one.installation.home / "x")

    ended = one.look(40, verify=missing)
    assert ended is not None
    assert (ended.state, ended.reason_code) == ("failed", "former_unavailable")
    assert "cannot be released again" in ended.reason
    assert len(one.log()) == 2


class AbsentLake(Lake):
    """A lake that does not answer."""

    def read_joined(self, *args: Any, **more: Any) -> Any:
        raise DependencyUnavailable("the lake does not respond")


def test_a_lake_that_is_away_delays_the_decision(open_watched: Callable[..., Watched]) -> None:
    one = open_watched(slope=-2.0)
    one.answer(60, -2.0)
    with pytest.raises(DependencyUnavailable):
        one.look(40, lake=AbsentLake(one.installation.lake.root))
    ended = one.look(40)
    assert ended is not None
    assert ended.state == "rolled_back"


def test_what_is_not_watched(open_watched: Callable[..., Watched]) -> None:
    one = open_watched(slope=-2.0, rollout={"watch": 0})
    one.answer(60, -2.0)
    assert one.look(40) is None
    assert one.watcher().look("unknown") is None


def test_an_old_release_is_not_watched_after_an_upgrade(open_watched: Callable[..., Watched]) -> None:
    one = open_watched(slope=-2.0)
    assert one.look(24 * 30) is None
    assert one.ledger.watches.of_model(MODEL) == []
    assert START < RELEASED_AT
