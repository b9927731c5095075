"""Releases: one promotion per run, compare-and-swap on the generation, and what each release is recorded in."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any, Literal, cast

import pytest

from services.retraining.ledger.engine import LeaseLost, open_engine
from services.retraining.ledger.ledger import Ledger
from services.retraining.metrics import RetrainingMetrics
from services.retraining.rollout.releaser import Releaser
from shared.contracts.release import Release
from shared.errors import Conflict, NotFound
from shared.grafana.annotator import NoAnnotator
from shared.models.signed_versions.installation_keys import ensure_keys
from shared.stores.model_store import ModelStore, open_model_store
from tests.fakes.retraining_installation import START


@pytest.fixture
def store(tmp_path: Path) -> ModelStore:
    return open_model_store((tmp_path / "models").as_uri(), ensure_keys(tmp_path))


@pytest.fixture
def ledger(tmp_path: Path) -> Iterator[Ledger]:
    opened = Ledger(open_engine(f"sqlite:///{tmp_path / 'ledger.sqlite'}"))
    yield opened
    opened.close()


@pytest.fixture
def annotated() -> list[str]:
    return []


@pytest.fixture
def releaser(store: ModelStore, ledger: Ledger, annotated: list[str]) -> Releaser:
    annotator = NoAnnotator(annotated.append, "annotated")
    return Releaser(store, ledger, RetrainingMetrics(), annotator, lambda: START)


def promoted(releaser: Releaser, *, run: str = "run-1", version: str = "b", champion: str = "a") -> Release:
    return releaser.promote(
        "toy", version=version, champion=champion, actor="loop", run_id=run, cause_key="k", note=""
    )


def roll_back(releaser: Releaser, to: int, expected: int | None = None) -> Release:
    return releaser.roll_back("toy", "bob", "", to, expected, lambda *_: None)


def versions(store: ModelStore) -> str:
    return "".join(entry.version for entry in store.releases("toy"))


def test_releaser_of_a_former_leader_appends_nothing(
    store: ModelStore, ledger: Ledger, releaser: Releaser
) -> None:
    releaser.deploy("toy", "a", "ann")

    def fence(_: object) -> None:
        raise LeaseLost("another service is the leader now", hint="none")

    leaders = Ledger(ledger._engine.execution_options(fence=fence))
    former = Releaser(store, leaders, RetrainingMetrics(), NoAnnotator(), lambda: START)
    with pytest.raises(LeaseLost):
        promoted(former)
    assert versions(store) == "a"


class StoppedStore:
    """A store in which `meanwhile` happens after the releaser has checked its lease, and before it appends."""

    def __init__(self, store: ModelStore, meanwhile: Callable[[], object]) -> None:
        self._store = store
        self._meanwhile: Callable[[], object] | None = meanwhile

    def __getattr__(self, name: str) -> Any:
        return getattr(self._store, name)

    def add_release(self, release: Release) -> Release:
        meanwhile, self._meanwhile = self._meanwhile, None
        if meanwhile is not None:
            meanwhile()
        return self._store.add_release(release)


class Fence:
    """The lease of a leader until another process takes it."""

    lost = False

    def check(self, _: object) -> None:
        if self.lost:
            raise LeaseLost("another service is the leader now", hint="none")


def fenced(ledger: Ledger, store: ModelStore, fence: Fence) -> Releaser:
    leaders = Ledger(ledger._engine.execution_options(fence=fence.check))
    return Releaser(store, leaders, RetrainingMetrics(), NoAnnotator(), lambda: START)


@pytest.mark.parametrize("beside", [(), ("canary",), ("canary", "shadow")])
def test_leader_that_was_stopped_before_its_append_promotes_nothing(
    store: ModelStore, ledger: Ledger, releaser: Releaser, beside: tuple[Literal["canary", "shadow"], ...]
) -> None:
    """Whatever a person serves beside the live version, which stays as it is."""
    releaser.deploy("toy", "a", "ann")
    for slot in beside:
        releaser.start("toy", slot, version="c", share=0.2, actor="ann")
    before, fence = served(store), Fence()

    def next_leader() -> None:
        fence.lost = True
        heir = fenced(ledger, store, Fence())
        done = heir.foreclose("toy", version="b", run_id="run-1", cause_key="k", note="tampered")
        assert done is None

    stopped = fenced(ledger, cast(ModelStore, StoppedStore(store, next_leader)), fence)
    with pytest.raises(LeaseLost):
        promoted(stopped)
    assert served(store) == before
    assert store.slots("toy").get("canary", store.slots("toy")["live"]).share in (0.2, 1.0)


def test_leader_that_was_stopped_starts_no_canary_of_an_ended_run(
    store: ModelStore, ledger: Ledger, releaser: Releaser
) -> None:
    releaser.deploy("toy", "a", "ann")
    fence = Fence()

    def next_leader() -> None:
        fence.lost = True
        heir = fenced(ledger, store, Fence())
        for _ in range(2):  # also after a crash
            assert heir.withdraw("toy", "canary", actor="loop", version="b", run_id="run-1") is None

    stopped = fenced(ledger, cast(ModelStore, StoppedStore(store, next_leader)), fence)
    with pytest.raises(LeaseLost):
        start(stopped, "b")
    assert served(store) == {"live": "a"}
    assert store.latest_generation("toy") == 2


def test_promotion_that_came_first_is_the_end_of_the_run(
    store: ModelStore, ledger: Ledger, releaser: Releaser
) -> None:
    releaser.deploy("toy", "a", "ann")
    leader = fenced(ledger, store, Fence())
    done = promoted(leader)
    assert leader.foreclose("toy", version="b", run_id="run-1", cause_key="k", note="tampered") == done
    assert store.latest_generation("toy") == 2


def test_ended_run_adds_no_entry_where_no_other_process_can_lead(
    store: ModelStore, releaser: Releaser
) -> None:
    releaser.deploy("toy", "a", "ann")
    assert releaser.foreclose("toy", version="b", run_id="run-1", cause_key="k", note="") is None
    assert releaser.withdraw("toy", "canary", actor="loop", version="b", run_id="run-1") is None
    assert store.latest_generation("toy") == 1


def test_promotion_is_the_next_generation(releaser: Releaser) -> None:
    releaser.deploy("toy", "a", "ann")
    release = promoted(releaser)
    assert (release.generation, release.version, release.previous, release.run_id) == (2, "b", "a", "run-1")


def test_every_release_is_recorded_counted_and_annotated_once(
    releaser: Releaser, ledger: Ledger, annotated: list[str]
) -> None:
    releaser.deploy("toy", "a", "ann")
    promoted(releaser)
    promoted(releaser)
    roll_back(releaser, 1)
    assert [len(ledger.releases_of_version(version)) for version in "ab"] == [2, 1]
    value = releaser._metrics.registry.get_sample_value
    for reason in ("deployment", "promotion", "rollback"):
        assert value("homeostat_retraining_releases_total", {"model": "toy", "reason": reason}) == 1
    assert value("homeostat_retraining_generation", {"model": "toy"}) == 3
    assert annotated == ["annotated"] * 3


def test_run_is_released_once_even_after_a_rollback(releaser: Releaser, store: ModelStore) -> None:
    releaser.deploy("toy", "a", "ann")
    first = promoted(releaser)
    assert promoted(releaser) == first
    # A resumed run must not undo a person's rollback.
    roll_back(releaser, 1)
    assert promoted(releaser) == first
    assert versions(store) == "aba"


def test_rollback_requires_the_expected_generation(releaser: Releaser, store: ModelStore) -> None:
    for version in "abc":
        releaser.deploy("toy", version, "ann")
    with pytest.raises(
        Conflict, match="generation 2 was expected to be served, but generation 3 is: a deployment by ann"
    ):
        roll_back(releaser, 1, expected=2)
    assert versions(store) == "abc"
    roll_back(releaser, 2, expected=3)
    assert versions(store) == "abcb"


def test_release_during_rollback_verification_is_a_conflict(releaser: Releaser, store: ModelStore) -> None:
    releaser.deploy("toy", "a", "ann")
    releaser.deploy("toy", "b", "ann")
    with pytest.raises(Conflict, match="generation 2 was expected to be served, but generation 3 is"):
        releaser.roll_back("toy", "bob", "", None, None, lambda *_: void(releaser.deploy("toy", "c", "ann")))
    assert versions(store) == "abc"


def void(_: object) -> None:
    """Drop a value where a callback must return nothing."""


def test_challenger_that_beat_another_champion_is_refused(releaser: Releaser, store: ModelStore) -> None:
    releaser.deploy("toy", "a", "ann")
    releaser.deploy("toy", "c", "ann")
    with pytest.raises(Conflict, match="compared with a, but c is served now"):
        promoted(releaser)
    assert versions(store) == "ac"


def test_deployment_that_was_compared_with_another_version_is_refused(
    releaser: Releaser, store: ModelStore
) -> None:
    releaser.deploy("toy", "a", "ann", champion="")
    releaser.deploy("toy", "c", "ann", champion="a")
    for champion in ("a", ""):
        with pytest.raises(Conflict, match="but c is served now"):
            releaser.deploy("toy", "b", "ann", champion=champion)
    assert versions(store) == "ac"


def test_one_of_many_concurrent_promotions_wins(releaser: Releaser, store: ModelStore) -> None:
    releaser.deploy("toy", "a", "ann")

    def try_one(number: int) -> bool:
        try:
            promoted(releaser, run=f"run-{number}", version=f"b{number}")
        except Conflict:
            return False
        return True

    with ThreadPoolExecutor(8) as threads:
        assert sum(threads.map(try_one, range(24))) == 1
    assert store.latest_generation("toy") == 2


def test_record_releases_repairs_the_ledger(releaser: Releaser, store: ModelStore, ledger: Ledger) -> None:
    store.add_release(
        Release(model="toy", generation=1, version="a", reason="deployment", actor="ann", released_at=START)
    )
    assert ledger.releases_of_version("a") == []
    releaser.record_releases()
    assert [entry["generation"] for entry in ledger.releases_of_version("a")] == [1]


def test_unreadable_log_of_one_model_stops_no_other(
    releaser: Releaser, store: ModelStore, ledger: Ledger, tmp_path: Path
) -> None:
    releaser.deploy("zebras", "b", "ada")
    damaged = tmp_path / "models" / "apes" / "releases"
    damaged.mkdir(parents=True)
    (damaged / "000001.json").write_text("{")
    ledger_before = ledger.releases_of_version("b")
    store.add_release(store.release("zebras", 1).model_copy(update={"generation": 2}))
    releaser.record_releases()
    assert store.models() == ["apes", "zebras"]
    assert len(ledger.releases_of_version("b")) == len(ledger_before) + 1


def start(releaser: Releaser, version: str, share: float = 0.1, run: str = "run-1") -> Release:
    return releaser.start("toy", "canary", version=version, share=share, actor="loop", run_id=run)


def served(store: ModelStore) -> dict[str, str]:
    return {slot: entry.version for slot, entry in store.slots("toy").items()}


def test_canary_of_a_run_is_started_once_and_promoted(releaser: Releaser, store: ModelStore) -> None:
    releaser.deploy("toy", "a", "ann")
    first = start(releaser, "b")
    assert (first.generation, first.slot, first.share, first.previous) == (2, "canary", 0.1, "")
    assert start(releaser, "b") == first
    assert start(releaser, "b", share=0.5).previous == "b"
    assert served(store) == {"live": "a", "canary": "b"}
    release = promoted(releaser)
    assert (release.generation, release.slot, release.previous) == (4, "live", "a")
    assert served(store) == {"live": "b"}


def test_canary_needs_another_live_version(releaser: Releaser) -> None:
    with pytest.raises(NotFound, match="toy has no live version"):
        start(releaser, "b")
    releaser.deploy("toy", "a", "ann")
    with pytest.raises(Conflict, match="version a is live already, so it cannot be a canary"):
        start(releaser, "a")
    with pytest.raises(Conflict, match="compared with c, but a is served now"):
        releaser.start("toy", "shadow", version="b", share=1, actor="loop", champion="c")


def test_slot_of_another_run_is_no_slot_of_a_person(releaser: Releaser) -> None:
    releaser.deploy("toy", "a", "ann")
    start(releaser, "b")
    with pytest.raises(Conflict, match="run run-1 serves b as canary .* replaces no canary of another run"):
        start(releaser, "c", run="run-2")
    releaser.withdraw("toy", "canary", actor="loop")
    releaser.start("toy", "canary", version="b", share=0.1, actor="ann")
    with pytest.raises(Conflict, match="ann serves b as canary .* replaces no canary of a person"):
        start(releaser, "c", run="run-2")


def test_canary_is_withdrawn_once(releaser: Releaser, store: ModelStore) -> None:
    releaser.deploy("toy", "a", "ann")
    start(releaser, "b")
    assert releaser.withdraw("toy", "canary", actor="loop", version="c") is None
    ended = releaser.withdraw("toy", "canary", actor="loop", note="errors", version="b")
    assert ended is not None
    assert (ended.version, ended.reason, ended.share) == ("b", "withdrawal", 0)
    assert releaser.withdraw("toy", "canary", actor="loop", version="b") is None
    assert served(store) == {"live": "a"}


def test_rollback_withdraws_a_running_canary_first(releaser: Releaser, store: ModelStore) -> None:
    releaser.deploy("toy", "a", "ann")
    releaser.deploy("toy", "b", "ann")
    start(releaser, "c")
    taken_back = releaser.roll_back("toy", "bob", "", None, 3, lambda *_: None)
    assert (taken_back.reason, served(store)) == ("withdrawal", {"live": "b"})
    # A repetition after a lost response names the generation that it saw, and rolls nothing back.
    with pytest.raises(Conflict, match="generation 3 was expected"):
        releaser.roll_back("toy", "bob", "", None, 3, lambda *_: None)
    assert releaser.roll_back("toy", "bob", "", None, 4, lambda *_: None).version == "a"


def test_rollback_to_a_generation_ends_the_canary(releaser: Releaser, store: ModelStore) -> None:
    releaser.deploy("toy", "a", "ann")
    releaser.deploy("toy", "b", "ann")
    start(releaser, "c")
    with pytest.raises(Conflict, match="generation 3 was a canary, not live"):
        roll_back(releaser, 3)
    roll_back(releaser, 1)
    assert served(store) == {"live": "a"}


def test_gauge_and_ledger_follow_the_live_generation(releaser: Releaser, ledger: Ledger) -> None:
    releaser.deploy("toy", "a", "ann")
    start(releaser, "b")
    value = releaser._metrics.registry.get_sample_value
    assert value("homeostat_retraining_generation", {"model": "toy"}) == 1
    assert ledger.metrics_snapshot().releases["toy"].generation == 1
    assert ledger.releases_of_version("b")[0]["reason"] == "canary"
