"""What a scenario sends, what it had no time for, and what it leaves."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import UTC, datetime
from typing import Any, cast

import numpy as np
import pyarrow as pa
import pytest

from local_stack.fault_injection.requests import ROWS_PER_REQUEST
from local_stack.fault_injection.scenario import Pace, Scenario
from local_stack.fault_injection.target import Served
from shared.contracts.lake_schema import PREDICTION_COLUMNS
from shared.http.service_client import ServiceClient
from shared.stores.lake import Lake
from shared.stores.lake_scan import empty_rows
from tests.unit.cli.fake_service import FakeService, fake_service
from tests.unit.local_stack.fault_injection.reference import loop, reference

NOW = datetime(2026, 6, 1, tzinfo=UTC)


class NoTable:
    """A lake to which nothing has come yet."""

    def read_event_times(self, model: str) -> pa.Table:
        return empty_rows(PREDICTION_COLUMNS, ["generation", "event_time"])


@pytest.fixture
def service() -> Iterator[FakeService]:
    with fake_service() as fake:
        fake.answers["POST /predict"] = (
            200,
            {
                "predictions": [
                    {"prediction_id": f"p{place}", "score": 0.5} for place in range(ROWS_PER_REQUEST)
                ]
            },
        )
        yield fake


def rehearse(service: FakeService, pace: Pace) -> tuple[Any, list[tuple[int, datetime, datetime]]]:
    noted: list[tuple[int, datetime, datetime]] = []

    def make(count: int, random: np.random.Generator) -> pa.Table:
        return reference(count)

    with ServiceClient("inference", service.url) as door:
        served = Served("parcels", "ab" * 32, 1, loop(), reference(200), {})
        scenario = Scenario(
            served, door, door, cast(Lake, NoTable()), lambda: NOW, lambda *one: noted.append(one)
        )
        return scenario.run(make, pace, seed=0, truth=None), noted


def test_rows_have_the_time_they_need_unless_somebody_says_less(service: FakeService) -> None:
    done, noted = rehearse(service, Pace(rows=2 * ROWS_PER_REQUEST, rate=1000.0, wait_s=0.0))
    assert (done.answered, done.unsent, done.failures) == (2 * ROWS_PER_REQUEST, 0, [])
    assert noted == [(2 * ROWS_PER_REQUEST, done.start, done.end)]
    assert done.start < done.end < NOW


def test_rows_that_were_not_sent_are_told(service: FakeService) -> None:
    done, noted = rehearse(service, Pace(rows=40, rate=1000.0, seconds=1e-9, wait_s=0.0))
    assert service.asked == []
    assert (done.asked, done.answered, done.failed, done.unsent) == (40, 0, 0, 40)
    assert done.document()["unsent"] == 40
    [told] = done.failures
    assert "40 rows were not sent" in told
    assert "--for" in told
    assert [rows for rows, _, _ in noted] == [0]
