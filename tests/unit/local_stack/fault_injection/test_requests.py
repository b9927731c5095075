"""Rows are sent at a rate and for a bounded time; failed requests are counted and not repeated."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import datetime, timedelta

import numpy as np
import pyarrow as pa
import pytest

from local_stack.fault_injection.requests import as_rows, send_outcomes, send_rows
from shared.contracts.feature import Feature
from shared.errors import CallerError
from shared.http.service_client import ServiceClient
from tests.unit.cli.fake_service import FakeService, fake_service
from tests.unit.local_stack.fault_injection.reference import START, loop, reference

EVENT_TIMES = [START + timedelta(hours=hour) for hour in range(100)]


@pytest.fixture
def service() -> Iterator[FakeService]:
    with fake_service() as fake:
        fake.answers["POST /predict"] = (
            200,
            {"predictions": [{"prediction_id": f"p{place}", "score": 0.5} for place in range(10)]},
        )
        yield fake


class Clock:
    """A clock that advances only in `sleep`."""

    def __init__(self) -> None:
        self.now = 0.0
        self.slept: list[float] = []

    def __call__(self) -> float:
        return self.now

    def sleep(self, seconds: float) -> None:
        self.slept.append(seconds)
        self.now += seconds


def test_rows_have_the_form_of_predict() -> None:
    row = as_rows(reference(5), loop(), EVENT_TIMES[:5])[0]
    assert list(row) == ["service", "distance_km", "weight_kg", "parcels_today", "fragile", "picture"]
    assert isinstance(row["parcels_today"], int)
    assert isinstance(row["fragile"], bool)
    assert np.array(row["picture"]).shape == (2, 2)


def test_rows_are_sent_in_order_at_the_rate(service: FakeService) -> None:
    clock = Clock()
    sent: list[int] = []
    rows = [{"x": place} for place in range(40)]
    with ServiceClient("inference", service.url) as client:
        responses = send_rows(
            *(client, "parcels", rows, EVENT_TIMES[:40]),
            rate=10.0,
            seconds=60.0,
            on_progress=sent.append,
            clock=clock,
            pause=clock.sleep,
        )
    assert responses.answered == 40
    assert sent == [10, 10, 10, 10]
    assert clock.now == pytest.approx(3.0)
    bodies = [body for _, body in service.asked]
    assert [body["event_time"] for body in bodies] == [
        EVENT_TIMES[place].isoformat() for place in (0, 10, 20, 30)
    ]
    assert [row["x"] for body in bodies for row in body["rows"]] == list(range(40))
    assert responses.event_times[:11] == [EVENT_TIMES[0]] * 10 + [EVENT_TIMES[10]]


def test_sending_stops_after_the_duration(service: FakeService) -> None:
    clock = Clock()
    with ServiceClient("inference", service.url) as client:
        responses = send_rows(
            *(client, "parcels", [{}] * 100, EVENT_TIMES),
            rate=10.0,
            seconds=2.5,
            clock=clock,
            pause=clock.sleep,
        )
    assert responses.answered == 30


def test_failed_request_is_counted_and_not_repeated(service: FakeService) -> None:
    service.answers["POST /predict"] = (503, {"error": "too much at once"})
    with ServiceClient("inference", service.url) as client:
        responses = send_rows(client, "parcels", [{}] * 20, EVENT_TIMES[:20], rate=1e4, seconds=5.0)
    assert (responses.answered, responses.failed, len(service.asked)) == (0, 20, 2)
    assert "too much at once" in responses.failures[0]


def test_rejected_rows_end_the_scenario(service: FakeService) -> None:
    service.answers["POST /predict"] = (422, {"error": "feature x of row 0 is missing"})
    with ServiceClient("inference", service.url) as client, pytest.raises(CallerError, match="feature x"):
        send_rows(client, "parcels", [{}] * 20, EVENT_TIMES[:20], rate=1e4, seconds=5.0)
    assert len(service.asked) == 1


def test_outcomes_are_sent_in_batches(service: FakeService) -> None:
    service.answers["POST /outcomes"] = (202, {"accepted": 1})
    with ServiceClient("inference", service.url) as client:
        assert send_outcomes(client, [{"prediction_id": str(place)} for place in range(7000)]) == 7000
    assert [len(body["outcomes"]) for _, body in service.asked] == [5000, 2000]


def test_timestamps_keep_their_age() -> None:
    rows, spec = reference(4), loop()
    spec = spec.model_copy(
        update={"features": (*spec.features, Feature(name="ordered_at", type="timestamp"))}
    )
    happened = rows.column("event_time").to_pylist()
    ages = [timedelta(minutes=5), timedelta(days=9000), timedelta(microseconds=1), timedelta(days=-3)]
    ordered = [moment - age for moment, age in zip(happened, ages, strict=True)]
    rows = rows.append_column("ordered_at", pa.array(ordered, pa.timestamp("us", "UTC")))
    sent = as_rows(rows, spec, EVENT_TIMES[:4])
    assert [datetime.fromisoformat(row["ordered_at"]) for row in sent] == [
        moment - age for moment, age in zip(EVENT_TIMES, ages, strict=False)
    ]
