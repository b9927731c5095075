from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import pyarrow as pa
import pytest

from services.drift.evaluation.columns import Rows, rows_from_table
from services.drift.evaluation.reference_profile import Reference, build_reference
from services.drift.slice_search import search
from services.drift.slice_search.conditions import candidates
from services.drift.slice_search.search import find_slice_of_loss, find_slice_of_rows
from shared.contracts.verdict import FoundSlice
from tests.unit.services.drift.world import loop

FEATURES = [
    *({"name": f"x{place}", "type": "number"} for place in range(6)),
    {"name": "origin", "type": "category", "values": ["EWR", "JFK", "LGA"]},
    {"name": "carrier", "type": "category", "values": [f"c{place}" for place in range(8)]},
]
SPEC = loop(features=FEATURES)
Columns = dict[str, np.ndarray]
Planted = Callable[[Columns], np.ndarray]


def columns(count: int, seed: int) -> Columns:
    random = np.random.default_rng(seed)
    score = np.clip(random.beta(2, 5, count), 0.01, 0.99)
    return {
        **{f"x{place}": random.normal(size=count) for place in range(6)},
        "origin": random.choice(["EWR", "JFK", "LGA"], count),
        "carrier": random.choice([f"c{place}" for place in range(8)], count),
        "score": score,
        "outcome": (random.random(count) < score).astype(float),
    }


def rows(made: Columns) -> Rows:
    times = pa.array(np.arange(made["score"].size) * 1_000_000, pa.timestamp("us", tz="UTC"))
    return rows_from_table(pa.table({"event_time": times, **made}), SPEC)


def flipped(seed: int, planted: Planted, count: int = 3_000, share: float = 0.5) -> Rows:
    """A share of the outcomes of the planted rows is wrong."""
    made = columns(count, seed)
    wrong = planted(made) & (np.random.default_rng(seed).random(count) < share)
    made["outcome"] = np.where(wrong, 1 - made["outcome"], made["outcome"])
    return rows(made)


@pytest.fixture(scope="module")
def reference() -> Reference:
    return build_reference("0" * 64, SPEC, rows(columns(8_000, 1)))


def words(found: FoundSlice | None) -> list[str]:
    """The conditions without their numbers."""
    parts = found.where.split(" and ") if found else []
    return sorted(part if '"' in part else part.rsplit(" ", 1)[0] for part in parts)


@pytest.mark.parametrize(
    ("planted", "share", "expected"),
    [
        (lambda one: one["origin"] == "EWR", 0.5, ['origin == "EWR"']),
        (lambda one: (one["origin"] == "EWR") & (one["x2"] > 0), 0.5, ['origin == "EWR"', "x2 >"]),
        # A sixteenth of the rows.
        (lambda one: (one["x1"] <= -0.6745) & (one["x4"] > 0.6745), 1.0, ["x1 <=", "x4 >"]),
        (lambda one: np.abs(one["x3"]) < 0.6745, 0.5, ["x3 <=", "x3 >"]),
    ],
)
def test_planted_slice_of_a_rise_is_found(
    reference: Reference, planted: Planted, share: float, expected: list[str]
) -> None:
    found = [find_slice_of_loss(flipped(seed, planted, share=share), reference) for seed in range(10, 18)]
    assert sum(words(one) == expected for one in found) >= 7
    [one, *_] = [one for one in found if words(one) == expected]
    assert one is not None
    assert one.value is not None
    assert one.reference is not None
    assert one.share_of_change is not None
    assert one.value > one.reference + 0.2
    assert one.share_of_change > 0.8
    assert abs(one.share - one.reference_share) < 0.05


def test_rise_in_all_rows_names_no_slice(reference: Reference) -> None:
    everywhere = [
        find_slice_of_loss(flipped(seed, lambda one: one["score"] >= 0), reference) for seed in range(12)
    ]
    assert sum(one is not None for one in everywhere) <= 1


def test_rise_that_is_a_little_larger_in_a_slice_names_none(reference: Reference) -> None:
    """Of 9,000 rows the difference is beyond chance, but most of the rise is elsewhere."""
    made = columns(9_000, 3)
    share = np.where(made["origin"] == "EWR", 0.55, 0.35)
    wrong = np.random.default_rng(3).random(9_000) < share
    made["outcome"] = np.where(wrong, 1 - made["outcome"], made["outcome"])
    assert find_slice_of_loss(rows(made), reference) is None


def test_rows_without_a_change_name_no_slice(reference: Reference) -> None:
    calm = [rows(columns(3_000, seed)) for seed in range(100, 108)]
    assert [find_slice_of_loss(one, reference) for one in calm] == [None] * 8
    assert [find_slice_of_rows(one, reference) for one in calm] == [None] * 8


def test_slice_with_more_rows_is_found(reference: Reference) -> None:
    made = columns(3_000, 5)
    more = np.arange(3_000) % 3 == 0
    made["origin"][more] = "LGA"
    made["x0"][more] = np.abs(made["x0"][more]) + 1
    found = find_slice_of_rows(rows(made), reference)
    assert found is not None
    assert (words(found), found.signal) == (['origin == "LGA"', "x0 >"], "feature")
    assert found.share > 0.35
    assert found.reference_share < 0.1
    assert (found.share_of_change, found.value, found.reference) == (None, None, None)


def test_few_rows_are_not_searched(reference: Reference) -> None:
    few = flipped(1, lambda one: one["origin"] == "EWR", count=100)
    assert find_slice_of_loss(few, reference) is None
    assert find_slice_of_rows(few, reference) is None


def test_large_windows_are_searched_in_an_evenly_spread_part(
    reference: Reference, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A candidate has a byte per row in memory."""
    searched: list[int] = []

    def counted(*arguments: Any, **options: Any) -> Any:
        searched.extend(len(one) for one in arguments[1:3])
        return candidates(*arguments, **options)

    monkeypatch.setattr(search, "MAX_ROWS", 2_000)
    monkeypatch.setattr(search, "candidates", counted)
    found = find_slice_of_loss(flipped(3, lambda one: one["origin"] == "EWR"), reference)
    assert words(found) == ['origin == "EWR"']
    find_slice_of_rows(rows(columns(3_000, 4)), reference)
    assert searched == [2_000] * 4
