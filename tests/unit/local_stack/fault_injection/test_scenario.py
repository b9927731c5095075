"""What a scenario sends, what it could not send in time, and what it records."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import UTC, datetime
from typing import Any, cast

import numpy as np
import pyarrow as pa
import pytest

from local_stack.fault_injection.requests import ROWS_PER_REQUEST
from local_stack.fault_injection.scenario import Scenario, Workload, has_outcome
from local_stack.fault_injection.target import Target
from shared.contracts.lake_schema import PREDICTION_COLUMNS
from shared.http.service_client import ServiceClient
from shared.stores.lake import Lake
from shared.stores.lake_scan import empty_rows
from tests.unit.cli.fake_service import FakeService, fake_service
from tests.unit.local_stack.fault_injection.reference import loop, reference

NOW = datetime(2026, 6, 1, tzinfo=UTC)


class EmptyLake:
    """A lake without rows."""

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


def run_scenario(
    service: FakeService, workload: Workload
) -> tuple[Any, list[tuple[int, datetime, datetime]]]:
    recorded: list[tuple[int, datetime, datetime]] = []

    def make(count: int, random: np.random.Generator) -> pa.Table:
        return reference(count)

    with ServiceClient("inference", service.url) as client:
        target = Target("parcels", "ab" * 32, 1, loop(), reference(200), {})
        scenario = Scenario(
            target, client, client, cast(Lake, EmptyLake()), lambda: NOW, lambda *one: recorded.append(one)
        )
        return scenario.run(make, workload, seed=0, labels=None), recorded


def test_default_duration_sends_all_rows(service: FakeService) -> None:
    done, recorded = run_scenario(service, Workload(rows=2 * ROWS_PER_REQUEST, rate=1000.0, wait_s=0.0))
    assert (done.answered, done.unsent, done.failures) == (2 * ROWS_PER_REQUEST, 0, [])
    assert recorded == [(2 * ROWS_PER_REQUEST, done.start, done.end)]
    assert done.start < done.end < NOW


def test_unsent_rows_are_reported(service: FakeService) -> None:
    done, recorded = run_scenario(service, Workload(rows=40, rate=1000.0, seconds=1e-9, wait_s=0.0))
    assert service.asked == []
    assert (done.rows, done.answered, done.failed, done.unsent) == (40, 0, 0, 40)
    assert done.document()["unsent"] == 40
    [failure] = done.failures
    assert "40 rows were not sent" in failure
    assert "--for" in failure
    assert [rows for rows, _, _ in recorded] == [0]


def scenario_of(client: ServiceClient) -> Scenario:
    target = Target("parcels", "ab" * 32, 1, loop(), reference(200), {})
    return Scenario(target, client, client, cast(Lake, EmptyLake()), lambda: NOW)


def test_too_few_rows_for_a_verdict_are_warned_about(service: FakeService) -> None:
    with ServiceClient("inference", service.url) as client:
        scenario = scenario_of(client)
        [warning] = scenario.warnings(Workload(rows=199), None)
        assert "the only possible verdict is insufficient_data" in warning
        assert scenario.warnings(Workload(rows=199), "reversed") == [warning]
        assert scenario.warnings(Workload(rows=200), None) == []


def test_too_few_reversed_rows_for_a_run_are_warned_about(service: FakeService) -> None:
    with ServiceClient("inference", service.url) as client:
        scenario = scenario_of(client)
        [warning] = scenario.warnings(Workload(), "reversed")
        assert "a run on these rows alone is abandoned" in warning
        assert scenario.warnings(Workload(), "own") == []
        assert scenario.warnings(Workload(windows=None), "reversed") == []


@pytest.mark.parametrize(("outcome", "expected"), [(1.0, True), (float("nan"), False), (None, False)])
def test_closing_row_without_outcome_is_recognised(outcome: float | None, expected: bool) -> None:
    assert has_outcome(pa.table({"outcome": [0.0, outcome]}), 1) is expected
