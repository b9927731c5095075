"""Which release a rollback restores."""

from __future__ import annotations

import pytest

from services.retraining.rollout.rollback import default_rollback_generation, rollback_target
from shared.contracts.release import Release
from shared.errors import Conflict, NotFound
from tests.fakes.retraining_installation import START


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
def test_rollback_restores_the_version_before(steps: str, target: str) -> None:
    assert rollback_target(log_of(*steps.split()), None).version == target


@pytest.mark.parametrize("steps", ["a", "a b -a", "a a", "a b c -b -a"])
def test_rollback_from_the_first_version_is_refused(steps: str) -> None:
    with pytest.raises(Conflict, match="nothing was served before version a"):
        rollback_target(log_of(*steps.split()), None)


def test_rollback_to_a_generation() -> None:
    log = log_of("a", "b", "c")
    assert rollback_target(log, 1).version == "a"
    with pytest.raises(Conflict, match="served already"):
        rollback_target(log, 3)
    with pytest.raises(NotFound, match="from 1 to 3"):
        rollback_target(log, 4)
    with pytest.raises(NotFound, match="nothing was released"):
        rollback_target([], None)


@pytest.mark.parametrize(
    ("steps", "generation"), [("", None), ("a", None), ("a b", 1), ("a b c -b", 1), ("a b c", 2)]
)
def test_default_rollback_generation(steps: str, generation: int | None) -> None:
    assert default_rollback_generation(log_of(*steps.split())) == generation
