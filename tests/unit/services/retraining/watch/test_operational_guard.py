"""The guard's bookkeeping: increases per server, restarts, shares of the error, and what it says."""

from __future__ import annotations

import math

import pytest

from services.retraining.watch.operational_guard import Guard, describe, latency_bounds, observe
from services.retraining.watch.slot_test import ODDS

BOUNDS = ("0.01", "0.05", "0.25", "+Inf")


def counters(side: dict[str, float], live: dict[str, float]) -> dict[str, float]:
    return {f"side.{name}": value for name, value in side.items()} | {
        f"live.{name}": value for name, value in live.items()
    }


def look(guard: Guard, *servers: dict[str, float], slot: str = "canary") -> Guard:
    return observe(
        guard,
        {f"s{number}": one for number, one in enumerate(servers)},
        slot=slot,
        latency_ratio=3.0,
    )


def test_only_increases_of_known_servers_count() -> None:
    first = counters({"answered": 100, "failed": 90}, {"answered": 900})
    guard = look(Guard(), first)
    assert (guard.counted, guard.evidence) == ({}, 1.0)
    guard = look(guard, counters({"answered": 101, "failed": 94}, {"answered": 949}))
    assert (guard.count("side", "answered"), guard.count("side", "failed")) == (1, 4)
    restarted = look(guard, counters({"answered": 2, "failed": 0}, {"answered": 40}))
    assert (restarted.count("side", "answered"), restarted.count("side", "failed")) == (3, 4)


def test_counters_that_another_worker_knows_less_of_are_no_restart() -> None:
    """Several processes share a port: each knows the others as they were a moment ago, longer ago under load."""
    before = counters({"answered": 100, "failed": 90}, {"answered": 9000})  # of a canary before the run
    guard = look(look(Guard(), before), counters({"answered": 110, "failed": 90}, {"answered": 9090}))
    older = look(guard, counters({"answered": 104, "failed": 90}, {"answered": 9095}))
    assert (older.count("side", "answered"), older.count("side", "failed")) == (10, 0)
    newer = look(older, counters({"answered": 112, "failed": 91}, {"answered": 9110}))
    assert (newer.count("side", "answered"), newer.count("side", "failed")) == (12, 1)
    assert newer.count("live", "answered") == 110


def test_answers_of_live_to_what_the_canary_failed_are_not_its_own() -> None:
    # All requests went to the canary, and live answered what it failed: nothing to compare with.
    before = look(Guard(), counters({"answered": 0, "failed": 0}, {"answered": 0}))
    guard = look(before, counters({"answered": 0, "failed": 5}, {"answered": 5}))
    assert guard.evidence == 1.0


def test_a_look_counts_once_whatever_the_number_of_servers() -> None:
    empty = counters({"answered": 0, "failed": 0}, {"answered": 0})
    bad = counters({"answered": 0, "failed": 50}, {"answered": 500})
    guard = look(look(Guard(), empty, empty), bad, bad)
    assert max(guard.wealth["failures"]) == pytest.approx(math.log(5))
    assert not guard.is_bad


def test_the_highest_evidence_decides_and_stays() -> None:
    guard, side, live = Guard(), {"answered": 0.0, "failed": 0.0}, {"answered": 0.0}
    guard = look(guard, counters(side, live))
    for _ in range(4):
        side["failed"] += 5
        live["answered"] += 50
        guard = look(guard, counters(side, live))
    assert guard.is_bad
    highest = guard.evidence
    for _ in range(50):
        side["answered"] += 50
        live["answered"] += 45
        live["failed"] = live.get("failed", 0.0) + 5
        guard = look(guard, counters(side, live))
    assert guard.evidence == highest
    assert Guard.of_json(guard.to_json()) == guard


def test_failures_and_times_share_the_error() -> None:
    zero = {"answered": 0.0, **{f"within.{bound}": 0.0 for bound in BOUNDS}}
    slow = {"answered": 5.0, "within.0.01": 0.0, "within.0.05": 0.0, "within.0.25": 0.0, "within.+Inf": 5.0}
    quick = {"answered": 45.0, **{f"within.{bound}": 45.0 for bound in BOUNDS}}
    guard = look(look(Guard(), counters(zero, zero)), counters(slow, quick))
    assert set(guard.wealth) == {"failures", "within.0.05 0.01", "within.0.25 0.05"}
    # Both bounds have five of five against none of 45, cut at 5; failures prove nothing.
    assert guard.evidence == pytest.approx(0.5 * 1 + 0.5 * 5)
    assert describe(guard, "canary").startswith("5 of 5 answers of the canary took longer than 0.05 s")
    assert len(guard.wealth["failures"]) == len(ODDS)


def test_of_a_shadow_no_times_are_judged() -> None:
    zero = {"answered": 0.0, "within.0.01": 0.0, "within.0.05": 0.0}
    slow = {"answered": 50.0, "within.0.01": 0.0, "within.0.05": 0.0}
    quick = {"answered": 50.0, "within.0.01": 50.0, "within.0.05": 50.0}
    guard = look(look(Guard(), counters(zero, zero), slot="shadow"), counters(slow, quick), slot="shadow")
    assert set(guard.wealth) == {"failures"}


def test_bounds_are_at_least_the_ratio_apart() -> None:
    names = [f"live.within.{bound}" for bound in ("1.0", "5e-05", "0.0001", "0.00025", "+Inf")]
    assert latency_bounds(names, 3.0) == [("5e-05", "0.00025"), ("0.0001", "1.0"), ("0.00025", "1.0")]
