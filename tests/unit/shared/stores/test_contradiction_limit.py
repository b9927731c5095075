from __future__ import annotations

import pytest

from shared.stores.contradiction_limit import contradiction_limit


@pytest.mark.parametrize(("outcomes", "tolerated", "expected"), [(0, 0.05, 1.0), (1000, 1.0, 1.0)])
def test_limit_without_rows_or_bound_is_never_exceeded(
    outcomes: int, tolerated: float, expected: float
) -> None:
    assert contradiction_limit(outcomes, tolerated, 1e-4) == expected


def test_limit_leaves_room_for_chance() -> None:
    assert 0.05 < contradiction_limit(10_000, 0.05, 1e-4) < contradiction_limit(100, 0.05, 1e-4) < 0.2
