"""Rows as a client sends them: paced, bounded in time, failures counted, never sent twice."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import timedelta

import numpy as np
import pytest

from local_stack.fault_injection.requests import as_rows, ask, tell
from shared.errors import CallerError
from shared.http.service_client import ServiceClient
from tests.unit.cli.fake_service import FakeService, fake_service
from tests.unit.local_stack.fault_injection.reference import START, loop, reference

MOMENTS = [START + timedelta(hours=hour) for hour in range(100)]


@pytest.fixture
def service() -> Iterator[FakeService]:
    with fake_service() as fake:
        fake.answers["POST /predict"] = (
            200,
            {"predictions": [{"prediction_id": f"p{place}", "score": 0.5} for place in range(10)]},
        )
        yield fake


class Clock:
    """Time that passes only while somebody sleeps."""

    def __init__(self) -> None:
        self.now = 0.0
        self.slept: list[float] = []

    def __call__(self) -> float:
        return self.now

    def sleep(self, seconds: float) -> None:
        self.slept.append(seconds)
        self.now += seconds


def test_rows_have_the_form_the_door_takes() -> None:
    row = as_rows(reference(5), loop())[0]
    assert list(row) == ["service", "distance_km", "weight_kg", "parcels_today", "fragile", "picture"]
    assert isinstance(row["parcels_today"], int)
    assert isinstance(row["fragile"], bool)
    assert np.array(row["picture"]).shape == (2, 2)


def test_rows_are_sent_in_time_order_at_the_rate(service: FakeService) -> None:
    clock = Clock()
    heard: list[int] = []
    rows = [{"x": place} for place in range(40)]
    with ServiceClient("inference", service.url) as door:
        answers = ask(
            *(door, "parcels", rows, MOMENTS[:40]),
            rate=10.0,
            seconds=60.0,
            on_progress=heard.append,
            clock=clock,
            pause=clock.sleep,
        )
    assert answers.answered == 40
    assert heard == [10, 10, 10, 10]
    assert clock.now == pytest.approx(3.0)
    bodies = [body for _, body in service.asked]
    assert [body["event_time"] for body in bodies] == [
        MOMENTS[place].isoformat() for place in (0, 10, 20, 30)
    ]
    assert [row["x"] for body in bodies for row in body["rows"]] == list(range(40))
    assert answers.moments[:11] == [MOMENTS[0]] * 10 + [MOMENTS[10]]


def test_time_is_up_when_it_is_up(service: FakeService) -> None:
    clock = Clock()
    with ServiceClient("inference", service.url) as door:
        answers = ask(
            *(door, "parcels", [{}] * 100, MOMENTS),
            rate=10.0,
            seconds=2.5,
            clock=clock,
            pause=clock.sleep,
        )
    assert answers.answered == 30


def test_a_failed_request_is_counted_and_not_sent_again(service: FakeService) -> None:
    service.answers["POST /predict"] = (503, {"error": "too much at once"})
    with ServiceClient("inference", service.url) as door:
        answers = ask(door, "parcels", [{}] * 20, MOMENTS[:20], rate=1e4, seconds=5.0)
    assert (answers.answered, answers.failed, len(service.asked)) == (0, 20, 2)
    assert "too much at once" in answers.failures[0]


def test_rows_that_are_refused_end_it_at_once(service: FakeService) -> None:
    service.answers["POST /predict"] = (422, {"error": "feature x of row 0 is missing"})
    with ServiceClient("inference", service.url) as door, pytest.raises(CallerError, match="feature x"):
        ask(door, "parcels", [{}] * 20, MOMENTS[:20], rate=1e4, seconds=5.0)
    assert len(service.asked) == 1


def test_outcomes_are_told_in_requests_the_door_takes(service: FakeService) -> None:
    service.answers["POST /outcomes"] = (202, {"accepted": 1})
    with ServiceClient("inference", service.url) as door:
        assert tell(door, [{"prediction_id": str(place)} for place in range(7000)]) == 7000
    assert [len(body["outcomes"]) for _, body in service.asked] == [5000, 2000]
