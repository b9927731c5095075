"""The short form of `make bench-rollout`: equal versions stay, bad challengers are taken back, and the bars are checked."""

from __future__ import annotations

import math
from dataclasses import replace
from pathlib import Path

import pytest

from loadtests.bench_rollout import (
    SHORT,
    BadChallengers,
    Canaries,
    EqualPairs,
    measure_bad,
    measure_canaries,
    measure_equal,
    missed_bars,
)

EQUAL = EqualPairs(pairs=40, taken_back=2, by_repeated_t_test=9)
CANARIES = Canaries(equal=20, refused=1, found={"ten times as slow": (9.0, 15.0)})
BAD = BadChallengers(challengers=9, passed_gate=9, taken_back=9, rows=700.0, planned_rows=158.0)


def test_bars_hold(tmp_path: Path) -> None:
    # Half of the pairs take half of the time. A t-test at every block would take back a fifth of them, against one allowed.
    equal = measure_equal(tmp_path / "equal", replace(SHORT, equal=20))
    bad = measure_bad(tmp_path / "bad", SHORT)
    assert missed_bars(equal, bad, measure_canaries(SHORT)) == []
    # The rows of the shortest decision, and of the longest.
    assert 13 * 50 <= bad.rows <= 28 * 50


@pytest.mark.parametrize(
    ("equal", "bad", "canaries", "missed"),
    [
        (EQUAL, BAD, CANARIES, []),
        (replace(EQUAL, taken_back=3), BAD, CANARIES, ["3 of 40 equal versions were taken back"]),
        (EQUAL, replace(BAD, passed_gate=8), CANARIES, ["1 challengers were not good offline"]),
        (EQUAL, replace(BAD, taken_back=7), CANARIES, ["2 bad challengers stayed"]),
        (EQUAL, BAD, replace(CANARIES, refused=2), ["2 of 20 equal canaries were refused"]),
        (
            EQUAL,
            BAD,
            replace(CANARIES, found={"every request fails": (4.0, math.inf)}),
            ["every request fails: refused after inf s, bar 10"],
        ),
    ],
)
def test_missed_bars_are_named(
    equal: EqualPairs, bad: BadChallengers, canaries: Canaries, missed: list[str]
) -> None:
    assert missed_bars(equal, bad, canaries) == missed
