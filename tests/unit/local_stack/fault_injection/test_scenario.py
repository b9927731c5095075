"""What a scenario sends, what it could not send in time, and what it records."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import UTC, datetime
from typing import Any, cast

import numpy as np
import pyarrow as pa
import pytest

from local_stack.fault_injection.labels import LabelSource
from local_stack.fault_injection.requests import ROWS_PER_REQUEST
from local_stack.fault_injection.scenario import Scenario, Workload, has_outcome
from local_stack.fault_injection.target import Target
from shared.contracts.lake_schema import PREDICTION_COLUMNS
from shared.contracts.loop_spec import LoopSpec
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
    service: FakeService,
    workload: Workload,
    *,
    spec: LoopSpec | None = None,
    labels: LabelSource | None = None,
    **columns: pa.Array | None,
) -> tuple[Any, list[tuple[int, datetime, datetime]]]:
    """`columns` replace those of the rows that are made; None leaves one out."""
    recorded: list[tuple[int, datetime, datetime]] = []

    def make(count: int, random: np.random.Generator) -> pa.Table:
        made = dict(zip(reference(count).column_names, reference(count).columns, strict=True))
        return pa.table({name: one for name, one in (made | columns).items() if one is not None})

    with ServiceClient("inference", service.url) as client:
        target = Target("parcels", "ab" * 32, 1, spec or loop(), reference(200), {})
        scenario = Scenario(
            target, client, client, cast(Lake, EmptyLake()), lambda: NOW, lambda *one: recorded.append(one)
        )
        return scenario.run(make, workload, seed=0, labels=labels), recorded


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
        assert "the verdict will be insufficient_data" in warning
        assert scenario.warnings(Workload(rows=199), "reversed") == [warning]
        assert scenario.warnings(Workload(rows=200), None) == []


def test_too_few_reversed_rows_for_a_run_are_warned_about(service: FakeService) -> None:
    with ServiceClient("inference", service.url) as client:
        scenario = scenario_of(client)
        [warning] = scenario.warnings(Workload(), "reversed")
        assert "a run on these rows alone will be abandoned" in warning
        assert scenario.warnings(Workload(), "own") == []
        assert scenario.warnings(Workload(windows=None), "reversed") == []


@pytest.mark.parametrize(("outcome", "expected"), [(1.0, True), (float("nan"), False), (None, False)])
def test_closing_row_without_outcome_is_recognised(outcome: float | None, expected: bool) -> None:
    assert has_outcome(pa.table({"outcome": [0.0, outcome]}), 1) is expected


def test_outcomes_of_several_values_are_sent_by_name(service: FakeService) -> None:
    rows = 2 * ROWS_PER_REQUEST
    answer = [
        {"prediction_id": f"p{place}", "values": {"low": 7.0, "high": 9.0}}
        for place in range(ROWS_PER_REQUEST)
    ]
    service.answers["POST /predict"] = (200, {"predictions": answer})
    service.answers["POST /outcomes"] = (202, {"accepted": rows})
    plain = loop().model_dump(mode="json")
    plain |= {"prediction": {"kind": "values", "names": ["low", "high"]}, "metric": {"name": "mae"}}
    outcomes: list[dict[str, float] | None] = [{"low": 1.0, "high": 2.0}] * (rows + 1)
    outcomes[1] = None
    done, _ = run_scenario(
        service,
        Workload(rows=rows, rate=1000.0, wait_s=0.0),
        spec=LoopSpec.model_validate(plain),
        labels="expected",
        score=None,
        scores=pa.array([[0.5, 2.5]] * (rows + 1), pa.list_(pa.float32())),
        outcome=pa.array(outcomes),
    )
    assert done.failures == []
    [sent] = [body["outcomes"] for request, body in service.asked if request == "POST /outcomes"]
    assert len(sent) == rows - 1
    # The answer moved from (0.5, 2.5) to (7, 9), and the outcome with it.
    assert sent[0]["value"] == {"low": 7.5, "high": 8.5}


def test_model_without_loss_gets_no_outcomes(service: FakeService) -> None:
    kept = ("model", "features", "drift")
    plain = {key: value for key, value in loop().model_dump(mode="json").items() if key in kept}
    spec = LoopSpec.model_validate(plain | {"prediction": {"kind": "embedding", "size": 2}})
    workload = Workload(rows=2 * ROWS_PER_REQUEST, rate=1000.0, wait_s=0.0)
    done, _ = run_scenario(service, workload, spec=spec, labels="own", outcome=None)
    assert (done.answered, done.outcomes, done.failures) == (2 * ROWS_PER_REQUEST, 0, [])
    assert {request for request, _ in service.asked} == {"POST /predict"}
