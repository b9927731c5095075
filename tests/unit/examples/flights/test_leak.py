"""The demo's bad challenger: a feature that knows the outcome until a run is promoted, and the wait for its rollback."""

from __future__ import annotations

from typing import Any

import httpx
import numpy as np
import pytest

from examples.flights.leak import DEFAULT, FEATURE, Leak, leaked, wait_for_rollback
from examples.loop.poller import LoopView
from tests.unit.examples.flights.rows import made_flights


def test_values_are_the_same_and_know_the_outcome() -> None:
    random = np.random.default_rng(1)
    values, outcomes = random.normal(size=1000), (random.random(1000) < 0.3).astype(float)
    made = leaked(values, outcomes, random)
    assert sorted(made) == sorted(values)
    assert abs(np.corrcoef(values, outcomes)[0, 1]) < 0.1
    assert np.corrcoef(made, outcomes)[0, 1] > 0.4


def test_rows_leak_after_a_while_and_until_a_run_is_promoted() -> None:
    flights = made_flights(5000)
    view = LoopView()
    one = Leak(flights, view, seed=0)
    rows = flights[[FEATURE, "hour"]].to_dict("records")
    assert one.alter(0, rows[:10]) == rows[:10]
    altered = one.alter(4000, rows[4000:4100])
    assert altered != rows[4000:4100]
    assert [row["hour"] for row in altered] == [row["hour"] for row in rows[4000:4100]]
    view.runs = [{"state": "refused"}]
    assert one.alter(4000, rows[4000:4100]) == altered
    view.runs = [{"state": "promoted"}, {"state": "refused"}]
    assert one.alter(0, rows[:10]) == rows[:10]
    default = [{**row, FEATURE: DEFAULT} for row in rows[4000:4100]]
    assert one.alter(4000, rows[4000:4100]) == default


def loop(state: str, ended: bool, served: str) -> httpx.Client:
    """Retraining whose first promotion was watched, and inference that serves a version."""
    watches: list[dict[str, Any]] = [
        {"release_reason": "deployment", "ended_at": "2013", "state": "kept"},
        {
            "release_reason": "promotion",
            "ended_at": "2013" if ended else None,
            "state": state,
            "generation": 2,
            "reason": "log_loss 0.6",
            "former": "first",
        },
    ]

    def answer(request: httpx.Request) -> httpx.Response:
        if request.url.path == "/status.json":
            return httpx.Response(200, json={"models": [{"name": "flights", "version": served}]})
        return httpx.Response(200, json={"watches": watches})

    return httpx.Client(transport=httpx.MockTransport(answer))


@pytest.mark.parametrize(
    ("state", "ended", "served", "problems"),
    [
        ("rolled_back", True, "first", []),
        ("rolled_back", True, "second", ["version first was released again and is not served"]),
        ("kept", True, "second", ["the bad challenger was kept"]),
        ("watching", False, "second", ["the bad challenger was not promoted and watched"]),
    ],
)
def test_a_demo_whose_bad_challenger_stays_has_a_problem(
    state: str, ended: bool, served: str, problems: list[str]
) -> None:
    with loop(state, ended, served) as client:
        text, found = wait_for_rollback(client, "http://r", "http://i", "flights", timeout_s=0.5)
    assert found == problems
    if ended:
        assert text == f"generation 2 was {state.replace('_', ' ')}: log_loss 0.6"
