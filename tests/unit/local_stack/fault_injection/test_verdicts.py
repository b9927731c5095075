"""Waiting for what drift concludes: the verdict about the injected window, not about another."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from local_stack.fault_injection.timeline import Timeline
from local_stack.fault_injection.verdicts import wait_for_verdict
from shared.errors import OperatorError
from shared.http.service_client import ServiceClient
from tests.unit.cli.fake_service import FakeService, fake_service

START = datetime(2026, 2, 1, tzinfo=UTC)
DAY = timedelta(days=1)
TIMELINE = Timeline(START, START + DAY, START + 7 * DAY)


@pytest.fixture
def drift() -> Iterator[FakeService]:
    with fake_service() as fake:
        yield fake


def verdict(
    day: int,
    *,
    generation: int = 1,
    rows: int = 400,
    name: str = "v",
    detector: str = "performance",
    state: str = "ok",
) -> dict[str, Any]:
    start = START + day * DAY
    return {
        "verdict_id": name,
        "detector": detector,
        "state": state,
        "generation": generation,
        "rows": rows,
        "window_start": start.isoformat().replace("+00:00", "Z"),
        "window_end": (start + DAY).isoformat().replace("+00:00", "Z"),
    }


def wait(drift: FakeService, timeline: Timeline = TIMELINE) -> dict[str, Any] | None:
    with ServiceClient("drift", drift.url) as client:
        return wait_for_verdict(client, "parcels", 1, timeline, within_s=0.0)


def test_verdict_of_the_window_is_found(drift: FakeService) -> None:
    others = [
        verdict(-1, name="before"),
        verdict(1, name="after"),
        verdict(0, generation=2, name="of another generation"),
        verdict(0, rows=0, name="empty"),
    ]
    drift.answers["GET /verdicts"] = (200, {"verdicts": others})
    assert wait(drift) is None
    drift.answers["GET /verdicts"] = (200, {"verdicts": [*others, verdict(0, name="ours")]})
    found = wait(drift)
    assert found is not None
    assert found["verdict_id"] == "ours"
    assert drift.asked[-1] == ("GET /verdicts?model=parcels&limit=50", None)


def test_last_window_counts(drift: FakeService) -> None:
    drift.answers["GET /verdicts"] = (200, {"verdicts": [verdict(1, name="last"), verdict(0, name="first")]})
    found = wait(drift, Timeline(START, START + 2 * DAY, START + 9 * DAY))
    assert found is not None
    assert found["verdict_id"] == "last"


@pytest.mark.parametrize("state", ["drift", "data_fault"])
def test_inputs_that_drift_or_are_faulty_are_the_verdict(drift: FakeService, state: str) -> None:
    judged = [verdict(0, name="inputs", detector="inputs", state=state)]
    drift.answers["GET /verdicts"] = (200, {"verdicts": judged})
    found = wait(drift)
    assert found is not None
    assert found["verdict_id"] == "inputs"


def test_sound_inputs_leave_the_verdict_to_performance(drift: FakeService) -> None:
    judged = [verdict(0, name="inputs", detector="inputs"), verdict(0, name="performance", state="drift")]
    drift.answers["GET /verdicts"] = (200, {"verdicts": judged})
    found = wait(drift)
    assert found is not None
    assert found["verdict_id"] == "performance"


def test_unavailable_drift_is_retried(drift: FakeService) -> None:
    drift.answers["GET /verdicts"] = (503, {"error": "starting"})
    assert wait(drift) is None


def test_evaluation_is_requested_for_the_present(drift: FakeService) -> None:
    drift.answers["POST /models/parcels/evaluations"] = (201, verdict(0))
    assert wait(drift, Timeline(START, START + DAY, None)) == verdict(0)
    body = {"start": START.isoformat(), "end": (START + DAY).isoformat()}
    assert drift.asked == [("POST /models/parcels/evaluations", body)]


def test_request_for_an_evaluation_is_repeated_while_drift_is_busy(
    drift: FakeService, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = "POST /models/parcels/evaluations"
    drift.answers[path] = (503, {"error": "the library that compares columns is being loaded"})
    monkeypatch.setattr(
        "local_stack.fault_injection.verdicts.time.sleep",
        lambda _: drift.answers.update({path: (201, verdict(0))}),
    )
    with ServiceClient("drift", drift.url) as client:
        now = Timeline(START, START + DAY, None)
        assert wait_for_verdict(client, "parcels", 1, now, within_s=60.0) == verdict(0)
    assert len(drift.asked) == 2
    drift.answers[path] = (503, {"error": "still being loaded"})
    with pytest.raises(OperatorError, match="still being loaded"):
        wait(drift, now)
