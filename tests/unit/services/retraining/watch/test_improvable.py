from __future__ import annotations

from datetime import timedelta

import pytest

from services.retraining.watch.blocks import Block
from services.retraining.watch.first_evidence import FirstEvidence
from services.retraining.watch.improvable import KnownVersions
from tests.fakes.retraining_installation import START

THRESHOLD = 2_400.0
HOURS = timedelta(hours=6)


def block(number: int, loss: float, former_loss: float) -> Block:
    return Block(START + number * HOURS, START + (number + 1) * HOURS, 50, loss, former_loss)


def added(losses: list[tuple[float, float]]) -> KnownVersions:
    known = KnownVersions("rmse", "a" * 64, "b" * 64)
    for number, (loss, former_loss) in enumerate(losses):
        known = known.add(block(number, loss, former_loss), 1.02**2, THRESHOLD)
    return known


def noisy(number: int, served: float, former: float) -> tuple[float, float]:
    return served + (0.1 if number % 2 else -0.1), former


def test_a_better_former_champion_is_an_improvement() -> None:
    known = added([noisy(number, 4.0, 1.0) for number in range(40)])
    [found] = known.improvements(FirstEvidence(), THRESHOLD)
    assert (found.known, found.version) == ("former", "b" * 64)
    # Roots of the mean squares.
    assert found.served_loss == pytest.approx(2.0, abs=0.01)
    assert found.loss == 1.0
    assert found.rows == 50 * (40 - round((found.since - START) / HOURS))
    assert found.to_json()["text"] == (
        f"the former champion bbbbbbbbbbbb has lost less since about {found.since:%Y-%m-%d %H:%M} UTC: rmse 1 beside "
        f"{found.served_loss:.4g} on the same {found.rows} rows"
    )


def test_improvement_ends_soon_after_the_served_version_has_recovered() -> None:
    """Without a bound on the evidence it would last for as many blocks as the former champion was better."""
    before = [noisy(number, 4.0, 1.0) for number in range(300)]
    assert added(before).improvements(FirstEvidence(), THRESHOLD)
    after = [noisy(number, 1.0, 4.0) for number in range(30)]
    assert added(before + after).improvements(FirstEvidence(), THRESHOLD) == ()


def test_the_better_of_two_known_versions_comes_first() -> None:
    of_first = FirstEvidence()
    for number in range(40):
        of_first = of_first.add(block(number, *noisy(number, 4.0, 2.0)), 1.02**2)
    known = added([noisy(number, 4.0, 1.0) for number in range(40)])
    assert [one.known for one in known.improvements(of_first, THRESHOLD)] == ["former", "first"]


def test_no_former_champion_is_no_improvement() -> None:
    known = KnownVersions("mae", "a" * 64)
    assert known.improvements(FirstEvidence(), THRESHOLD) == ()


def test_stored_versions_are_read_again() -> None:
    known = added([noisy(number, 4.0, 1.0) for number in range(5)])
    assert KnownVersions.of_json(known.to_json()) == known
