"""Which generations the rollback dialog offers."""

from __future__ import annotations

import random
from datetime import UTC, datetime

from services.console.views.buttons import rollback_choices
from services.retraining.rollout.rollback import rollback_target
from shared.contracts.release import Release
from shared.errors import HomeostatError

NOW = datetime(2026, 3, 1, tzinfo=UTC)


def log_of(chance: random.Random) -> list[Release]:
    log: list[Release] = []
    for generation in range(1, chance.randint(1, 12) + 1):
        reason, version = chance.choice(("deployment", "promotion")), chance.choice("abcde") * 64
        if log and chance.random() < 0.4:
            try:
                version = rollback_target(log, chance.choice((None, chance.randint(1, len(log))))).version
                reason = "rollback"
            except HomeostatError:
                pass
        log.append(
            Release(
                model="m",
                generation=generation,
                version=version,
                reason=reason,
                actor="a",
                released_at=NOW,
            )
        )
    return log


def test_rollback_choices_are_accepted_by_retraining() -> None:
    chance = random.Random(5)
    for _ in range(500):
        log = log_of(chance)
        choices = rollback_choices(log)
        assert len({one.version for one in choices}) == len(choices)
        assert log[-1].version not in {one.version for one in choices}
        for one in choices:
            assert rollback_target(log, one.generation).version == one.version


def test_without_a_release_there_is_no_choice() -> None:
    assert rollback_choices([]) == []


def test_version_of_a_canary_is_no_choice() -> None:
    def entry(generation: int, version: str, slot: str = "live") -> Release:
        reason, share = ("deployment", 1) if slot == "live" else (slot, 0.1)
        return Release.model_validate(
            {"model": "m", "generation": generation, "version": version, "slot": slot, "share": share}
            | {"reason": reason, "actor": "a", "released_at": NOW}
        )

    log = [entry(1, "a"), entry(2, "b"), entry(3, "c", "canary")]
    assert [one.generation for one in rollback_choices(log)] == [1]
