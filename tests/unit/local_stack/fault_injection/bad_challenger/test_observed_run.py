"""A run as retraining tells of it: started or found, approved where it waits, and its end."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from local_stack.fault_injection.bad_challenger import observed_run
from local_stack.fault_injection.bad_challenger.observed_run import ObservedRun, start_run
from shared.errors import CallerError, DependencyUnavailable
from shared.http.service_client import ServiceClient
from tests.unit.cli.fake_service import FakeService, fake_service


@pytest.fixture(autouse=True)
def quickly(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(observed_run, "PAUSE_S", 0.0)


@pytest.fixture
def service() -> Iterator[FakeService]:
    with fake_service() as fake:
        yield fake


def observed(service: FakeService) -> ObservedRun:
    return ObservedRun(ServiceClient("retraining", service.url), "parcels", "run-1", "ann")


def cause(**changes: object) -> tuple[int, dict[str, object]]:
    decided = {"action": "retrain", "run_id": "run-1", "reason_code": "request", "reason": "requested"}
    return 202, {"causes": [decided | changes]}


def test_run_is_requested_or_found(service: FakeService) -> None:
    client = ServiceClient("retraining", service.url)
    service.answers["POST /triggers"] = cause()
    assert start_run(client, "parcels", "please", "ann") == "run-1"
    service.answers["POST /triggers"] = cause(action="wait", run_id="", reason_code="run_in_progress")
    service.answers["GET /runs"] = (
        200,
        {"runs": [{"run_id": "run-3", "state": "suggested"}, {"run_id": "run-2", "state": "training"}]},
    )
    assert start_run(client, "parcels", "please", "ann") == "run-2"
    service.answers["POST /triggers"] = cause(
        action="wait", run_id="", reason_code="budget_spent", reason="the budget is used up"
    )
    with pytest.raises(CallerError, match="no run starts: the budget is used up"):
        start_run(client, "parcels", "please", "ann")


@pytest.mark.parametrize("state", ["promoted", "canarying", "shadowing"])
def test_served_run_is_returned(service: FakeService, state: str) -> None:
    service.answers["GET /runs/run-1"] = (200, {"state": state, "reason": ""})
    assert observed(service).after_work(within_s=5)["state"] == state


def test_waiting_run_is_approved_by_the_person(service: FakeService) -> None:
    service.answers["GET /runs/run-1"] = (200, {"state": "waiting_for_approval", "reason": ""})
    service.answers["POST /runs/run-1/approve"] = (200, {"state": "promoting"})
    with pytest.raises(DependencyUnavailable, match="still waiting_for_approval"):
        observed(service).after_work(within_s=0.0)
    assert ("POST /runs/run-1/approve", {"actor": "ann"}) in service.asked


def test_run_that_ends_before_it_is_served_says_why(service: FakeService) -> None:
    service.answers["GET /runs/run-1"] = (200, {"state": "refused", "reason": "the gain is not proven"})
    with pytest.raises(CallerError, match="ended as refused before its version was served: the gain is not"):
        observed(service).after_work(within_s=5)
