"""The release log: promotions once, rollbacks that go back, and nobody's release overwritten."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from services.retraining.rollout.releaser import append, promote, rollback_target
from shared.contracts.release import Release
from shared.errors import Conflict, NotFound
from shared.stores.model_store import ModelStore, open_model_store
from tests.fakes.retraining_world import START


@pytest.fixture
def store(tmp_path: Path) -> ModelStore:
    return open_model_store((tmp_path / "models").as_uri())


def put(store: ModelStore, version: str, reason: str = "deployment") -> Release:
    return append(store, "toy", version=version, reason=reason, actor="ann", note="", now=START)


def promoted(store: ModelStore, *, run: str = "run-1", version: str = "b", champion: str = "a") -> Release:
    return promote(
        store,
        "toy",
        version=version,
        champion=champion,
        actor="loop",
        run_id=run,
        cause_key="k",
        note="",
        now=START,
    )[0]


def versions(store: ModelStore) -> str:
    return "".join(entry.version for entry in store.releases("toy"))


def test_a_promotion_is_the_next_generation(store: ModelStore) -> None:
    put(store, "a")
    done = promoted(store)
    assert (done.generation, done.version, done.previous, done.run_id) == (2, "b", "a", "run-1")


def test_a_run_is_released_once_however_often_it_asks(store: ModelStore) -> None:
    put(store, "a")
    first = promoted(store)
    assert promoted(store) == first
    # Also when somebody took it back meanwhile: a resumed run does not undo a person's rollback.
    put(store, "a", "rollback")
    assert promoted(store) == first
    assert versions(store) == "aba"


def test_a_wish_made_at_another_generation_is_refused(store: ModelStore) -> None:
    """Somebody released between the look at the log and the release: the wish was about another world."""
    put(store, "a")
    put(store, "b")
    put(store, "c")
    with pytest.raises(
        Conflict, match="generation 2 was expected to be served, but it is 3: a deployment by ann"
    ):
        append(store, "toy", version="a", reason="rollback", actor="bob", note="", now=START, after=2)
    assert versions(store) == "abc"
    append(store, "toy", version="b", reason="rollback", actor="bob", note="", now=START, after=3)
    assert versions(store) == "abcb"


def test_a_challenger_that_beat_another_champion_is_refused(store: ModelStore) -> None:
    put(store, "a")
    put(store, "c")
    with pytest.raises(Conflict, match="judged against a, but c is served now"):
        promoted(store)
    assert versions(store) == "ac"


def test_of_many_who_promote_at_once_one_wins(store: ModelStore) -> None:
    put(store, "a")

    def try_one(number: int) -> bool:
        try:
            promoted(store, run=f"run-{number}", version=f"b{number}")
        except Conflict:
            return False
        return True

    with ThreadPoolExecutor(8) as threads:
        assert sum(threads.map(try_one, range(24))) == 1
    assert store.latest_generation("toy") == 2


def log_of(*steps: str) -> list[Release]:
    """`a` deploys, `-a` rolls back to a."""
    return [
        Release(
            model="toy",
            generation=number,
            version=step.removeprefix("-"),
            reason="rollback" if step.startswith("-") else "deployment",
            actor="ann",
            released_at=START,
        )
        for number, step in enumerate(steps, start=1)
    ]


@pytest.mark.parametrize(
    ("steps", "target"),
    [
        ("a b", "a"),
        ("a b c", "b"),
        ("a b c -b", "a"),  # twice back is two steps back
        ("a b c -b d", "b"),
        ("a b -a c", "a"),
        ("a b a", "b"),
        ("a b c -a d", "a"),
        ("a a b", "a"),
    ],
)
def test_a_rollback_goes_to_what_was_good_before(steps: str, target: str) -> None:
    assert rollback_target(log_of(*steps.split()), None).version == target


@pytest.mark.parametrize("steps", ["a", "a b -a", "a a", "a b c -b -a"])
def test_a_rollback_from_the_first_version_is_refused(steps: str) -> None:
    with pytest.raises(Conflict, match="nothing was served before version a"):
        rollback_target(log_of(*steps.split()), None)


def test_a_rollback_to_a_generation() -> None:
    log = log_of("a", "b", "c")
    assert rollback_target(log, 1).version == "a"
    with pytest.raises(Conflict, match="served already"):
        rollback_target(log, 3)
    with pytest.raises(NotFound, match="from 1 to 3"):
        rollback_target(log, 4)
    with pytest.raises(NotFound, match="nothing was released"):
        rollback_target([], None)
