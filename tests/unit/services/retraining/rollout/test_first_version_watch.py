"""The comparison with the first version: found once, of judged rows without data faults, a cause with a trigger of its own."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import ExitStack
from dataclasses import dataclass, field, replace
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest

from services.retraining.cause import Cause
from services.retraining.ledger.records import Recorded
from services.retraining.ledger_gauges import update_gauges
from services.retraining.policy.decide import decide
from services.retraining.policy.decision import Decision, History, ReasonCode
from services.retraining.rollout.first_version_watch import FirstVersionWatch
from shared.contracts.manifest import short
from shared.contracts.release import Release
from shared.errors import DependencyUnavailable, NotFound, UnservableModel
from shared.stores.lake import Lake
from tests.fakes.in_process_models import open_in_process
from tests.fakes.retraining_installation import MODEL, fill_lake, package_poor_champion
from tests.fakes.watched_installation import PER_HOUR, RELEASED_AT, Watched, delete_version, watched

TRIGGER = {"retraining": {"triggers": [{"when": "worse_than_first"}]}}


@dataclass
class Compared:
    """A first version of slope 2, as the outcomes follow it, and a released one; blocks of two hours, 48 rows each."""

    one: Watched
    causes: list[Cause] = field(default_factory=list)

    @property
    def served(self) -> str:
        return self.one.installation.store.releases(MODEL)[-1].version

    def judge(self, first: float, hours: float, **more: Any) -> None:
        """The verdict on the rows between two times after the release."""
        start = RELEASED_AT + timedelta(hours=first)
        verdict = self.one.installation.verdict(
            1,
            version=self.served,
            **{
                "state": "ok",
                "generation": 2,
                "window_start": start,
                "window_end": RELEASED_AT + timedelta(hours=hours),
                **more,
            },
        )
        key = f"{first}-{hours}".rjust(32, "0")
        self._record(Cause.of_verdict(verdict.model_copy(update={"verdict_id": key})))

    def watch(self, **changes: Any) -> FirstVersionWatch:
        """A new process's, on the same stores."""
        made = self.one.installation
        parts = {"store": made.store, "lake": made.lake, "keys": made.keys, "ledger": self.one.ledger}
        parts |= {"handle": self._handle, "open_model": open_in_process}
        return FirstVersionWatch(**{**parts, **changes})

    def _handle(self, cause: Cause) -> Recorded:
        self.causes.append(cause)
        return self._record(cause)

    def _record(self, cause: Cause) -> Recorded:
        spec = self.one.installation.spec

        def policy(accepted: Cause, runs: Any, verdicts: Any) -> Decision:
            past = History(self.served, trained_at=RELEASED_AT, runs=runs, verdicts=verdicts)
            return decide(accepted, spec, past, RELEASED_AT)

        return self.one.ledger.record_cause(
            cause,
            version=self.served,
            event_time=RELEASED_AT,
            now=RELEASED_AT,
            owner=None,
            decide=policy,
        )


@pytest.fixture
def open_compared(tmp_path: Path) -> Iterator[Callable[..., Compared]]:
    with ExitStack() as stack:
        yield lambda **how: Compared(stack.enter_context(watched(tmp_path, **how)))


def test_a_version_worse_than_the_first_is_a_cause_once(open_compared: Callable[..., Compared]) -> None:
    made = open_compared(slope=0.5, **TRIGGER)
    made.one.answer(70, 0.5)
    made.judge(0, 24)
    assert made.watch().look(MODEL) == []
    assert ratio(made) == pytest.approx(0.55597, abs=1e-5)
    made.judge(24, 70)
    [done] = made.watch().look(MODEL)
    assert (done.decision.action, done.decision.reason_code) == ("retrain", "worse_than_first")
    assert done.decision.change_since == RELEASED_AT + timedelta(hours=2)
    [cause] = made.causes
    assert (cause.source, cause.event_time) == ("comparison", RELEASED_AT + timedelta(hours=52))
    first = made.one.installation.store.release(MODEL, 1).version
    assert cause.reason.startswith(
        f"since about 2013-01-03 02:00 UTC the served version {short(made.served)} has been worse than the first version "
        f"{short(first)}: log_loss 0.5"
    )
    assert cause.reason.endswith("on the same 1200 rows in 25 blocks")
    assert made.watch().look(MODEL) == []
    assert len(made.causes) == 1


def ratio(made: Compared) -> float | None:
    made.one.releaser.record_releases()
    update_gauges(made.one.metrics, made.one.ledger.metrics_snapshot(), RELEASED_AT)
    return made.one.metrics.registry.get_sample_value(
        "homeostat_retraining_first_version_evidence_ratio", {"model": MODEL}
    )


@pytest.mark.parametrize(
    ("code", "causes"),
    [
        ("run_in_progress", 10),
        ("suggestion_open", 10),
        ("cooling_down", 10),
        ("budget_spent", 10),
        ("observe_only", 1),
    ],
)
def test_alarm_that_a_limit_holds_back_is_raised_again(
    open_compared: Callable[..., Compared], code: ReasonCode, causes: int
) -> None:
    """With each block of two hours after the one that ends at 52 h."""
    made, found = open_compared(slope=0.5, **TRIGGER), list[Cause]()

    def wait(cause: Cause) -> Recorded:
        found.append(cause)
        return Recorded(cause.key, Decision("wait", code, "not now"), "", new=True)

    made.one.answer(70, 0.5)
    made.judge(0, 70)
    for _ in range(2):
        made.watch(handle=wait).look(MODEL)
    assert len({cause.key for cause in found}) == len(found) == causes
    assert {cause.event_time for cause in found} == {
        RELEASED_AT + timedelta(hours=52 + 2 * number) for number in range(causes)
    }
    assert ((ratio(made) or 0.0) >= 1) == (causes > 1)


def test_looks_in_pieces_find_the_same(open_compared: Callable[..., Compared]) -> None:
    made = open_compared(slope=0.5, **TRIGGER)
    made.one.answer(70, 0.5)
    for hour in range(0, 70, 5):
        made.judge(hour, hour + 5)
        made.watch().look(MODEL)
    assert [cause.event_time for cause in made.causes] == [RELEASED_AT + timedelta(hours=52)]


def test_without_the_trigger_a_person_is_told(open_compared: Callable[..., Compared]) -> None:
    made = open_compared(slope=0.5)
    made.one.answer(70, 0.5)
    made.judge(0, 70)
    watch = made.watch()
    [done] = watch.look(MODEL)
    assert (done.decision.action, done.decision.reason_code) == ("wait", "no_trigger")
    assert done.decision.reason.endswith("but loop.yaml has no trigger worse_than_first")
    assert made.one.ledger.metrics_snapshot().unacknowledged == {MODEL: 1}


def test_a_version_as_good_as_the_first_raises_nothing(open_compared: Callable[..., Compared]) -> None:
    made = open_compared(slope=1.9, **TRIGGER)
    made.one.answer(200, 1.9)
    made.judge(0, 200)
    watch = made.watch()
    for _ in range(5):
        assert watch.look(MODEL) == []
    found = made.one.ledger.first_comparisons.find(MODEL, 2)
    assert found is not None
    assert found.rows_until == RELEASED_AT + timedelta(hours=200)


def test_rows_of_a_data_fault_are_left_out(open_compared: Callable[..., Compared]) -> None:
    made = open_compared(slope=0.5, **TRIGGER)
    made.one.answer(70, 0.5)
    made.judge(8, 60, state="data_fault", detector="inputs", loss=None)
    made.judge(0, 70)
    watch = made.watch()
    for _ in range(3):
        assert watch.look(MODEL) == []
    found = made.one.ledger.first_comparisons.find(MODEL, 2)
    assert found is not None
    hours = [
        [(edge - RELEASED_AT) / timedelta(hours=1) for edge in (block.start, block.end)]
        for block in found.evidence.blocks
    ]
    assert hours == [[0, 2], [2, 4], [4, 6], [6, 8], [8, 62], [62, 64], [64, 66], [66, 68], [68, 70]]
    assert {block.rows for block in found.evidence.blocks} == {48}


def test_only_rows_whose_outcomes_are_due_count(open_compared: Callable[..., Compared]) -> None:
    made = open_compared(slope=0.5)
    made.one.answer(70, 0.5)
    assert made.watch().look(MODEL) == []
    made.judge(0, 30, generation=1)
    assert made.watch().look(MODEL) == []
    assert made.one.ledger.first_comparisons.find(MODEL, 2) is None


def test_few_rows_wait_for_more(open_compared: Callable[..., Compared]) -> None:
    made = open_compared(slope=0.5)
    fill_lake(made.one.installation.lake, RELEASED_AT, 2, 3, 12, generation=2, slope=0.5)
    made.judge(0, 9)
    watch = made.watch()
    assert watch.look(MODEL) == watch.look(MODEL) == []
    made.judge(9, 18)
    watch.look(MODEL)
    found = made.one.ledger.first_comparisons.find(MODEL, 2)
    assert found is not None
    assert [block.rows for block in found.evidence.blocks] == [30]


def release_third(made: Compared, slope: float) -> None:
    """Promoted after a former champion, and better than the first version."""
    one = made.one.installation
    version = package_poor_champion(one.home.parent, one.spec, one.store, one.keys, slope=slope)
    one.store.add_release(
        Release(
            model=MODEL,
            generation=3,
            version=version,
            reason="promotion",
            actor="loop",
            run_id="run-3",
            released_at=RELEASED_AT,
        )
    )
    fill_lake(one.lake, RELEASED_AT, 3, PER_HOUR, 11, generation=3, slope=slope)


def gauge(made: Compared, name: str) -> float | None:
    ratio(made)
    return made.one.metrics.registry.get_sample_value(
        f"homeostat_retraining_{name}_version_evidence_ratio", {"model": MODEL}
    )


def test_a_better_former_champion_is_told_and_starts_nothing(open_compared: Callable[..., Compared]) -> None:
    """The served version is better than the first one, so no verdict and no trigger says that better is possible."""
    made = open_compared(slope=2.0, former_slope=-1.0, **TRIGGER)
    former = made.served
    release_third(made, 0.5)
    for hour in range(0, 70, 14):
        made.judge(hour, hour + 14, generation=3)
        assert made.watch().look(MODEL) == []
    assert made.causes == []
    assert (gauge(made, "former") or 0.0) >= 1
    assert (gauge(made, "first") or 0.0) < 0.5
    [found] = made.one.ledger.first_comparisons.current()
    [better] = found.improvements
    assert (better.known, better.version) == ("former", former)
    assert better.loss < better.served_loss - 0.05
    assert f"the former champion {short(former)} has lost less since about" in better.text


def test_a_worse_former_champion_is_no_improvement(open_compared: Callable[..., Compared]) -> None:
    made = open_compared(slope=0.5, former_slope=-1.0, **TRIGGER)
    release_third(made, 2.0)
    made.judge(0, 70, generation=3)
    made.watch().look(MODEL)
    assert (gauge(made, "former") or 0.0) < 0.5
    [found] = made.one.ledger.first_comparisons.current()
    assert found.improvements == ()


def test_a_former_champion_that_is_missing_does_not_end_the_comparison(
    open_compared: Callable[..., Compared],
) -> None:
    made = open_compared(slope=1.9, **TRIGGER)
    former = made.served
    release_third(made, 0.5)
    delete_version(made.one, former)
    made.judge(0, 70, generation=3)
    [done] = made.watch().look(MODEL)
    assert done.decision.reason_code == "worse_than_first"
    assert gauge(made, "former") == 0.0


@dataclass(frozen=True)
class FailingLake(Lake):
    """A lake that does not respond."""

    def read_joined(self, *_: Any, **__: Any) -> Any:
        raise DependencyUnavailable("the lake does not respond")


def test_what_fails_is_looked_at_again(open_compared: Callable[..., Compared]) -> None:
    made = open_compared(slope=0.5)
    made.one.answer(70, 0.5)
    made.judge(0, 24)
    lake = made.one.installation.lake
    watch = made.watch(lake=FailingLake(lake.root))
    for _ in range(2):
        with pytest.raises(DependencyUnavailable):
            watch.look(MODEL)
    delete_version(made.one, made.one.installation.store.release(MODEL, 1).version)
    watch = made.watch()
    with pytest.raises((NotFound, UnservableModel)):
        watch.look(MODEL)
    assert watch.look(MODEL) == []  # not before more rows are judged
    made.judge(24, 70)
    with pytest.raises((NotFound, UnservableModel)):
        watch.look(MODEL)
    found = made.one.ledger.first_comparisons.find(MODEL, 2)
    assert found is not None
    assert (found.rows_until, found.evidence.blocks) == (RELEASED_AT + timedelta(hours=56), ())


def test_what_another_process_wrote_counts(open_compared: Callable[..., Compared]) -> None:
    made = open_compared(slope=0.5)
    made.one.answer(PER_HOUR, 0.5)
    made.judge(0, 12)
    made.watch().look(MODEL)
    comparisons = made.one.ledger.first_comparisons
    stored = comparisons.find(MODEL, 2)
    assert stored is not None
    later = replace(stored, rows_until=RELEASED_AT + timedelta(hours=20))
    assert comparisons.put(stored, later)
    assert not comparisons.put(stored, replace(stored, rows_until=RELEASED_AT + timedelta(hours=30)))
    assert comparisons.find(MODEL, 2) == later


def test_a_look_without_news_reads_no_store(
    open_compared: Callable[..., Compared], monkeypatch: pytest.MonkeyPatch
) -> None:
    made = open_compared(slope=0.5)
    made.one.answer(24, 0.5)
    made.judge(0, 24)
    store, reads = made.one.installation.store, list[str]()

    def live_release(model: str) -> Any:
        reads.append(model)
        return read(model)

    read = store.live_release
    monkeypatch.setattr(store, "live_release", live_release)
    watch = made.watch()
    for _ in range(3):
        watch.look(MODEL)
    assert len(reads) == 1
    made.judge(24, 30)
    watch.look(MODEL)
    assert len(reads) == 2
