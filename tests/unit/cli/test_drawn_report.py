from __future__ import annotations

import pytest

from cli.drawn_report import read_report
from shared.errors import HomeostatError, NotFound, OperatorError
from shared.http.service_client import ServiceClient
from tests.unit.cli.fake_service import FakeService, fake_service

LOADING = (503, {"error": "the library that draws reports is being loaded"})


def read(service: FakeService, sleeps: list[float], drawn_after: int = 99) -> str:
    """The report, which is drawn after so many pauses; the clock moves by the pauses."""

    def sleep(seconds: float) -> None:
        sleeps.append(seconds)
        if len(sleeps) == drawn_after:
            service.answers["GET /reports/v"] = (200, {"drawn": True})

    client = ServiceClient("drift", service.url)
    return read_report(client, "/reports/v", seconds=5, clock=lambda: sum(sleeps), sleep=sleep)


def test_request_is_repeated_until_the_report_is_drawn() -> None:
    sleeps: list[float] = []
    with fake_service() as service:
        service.answers["GET /reports/v"] = LOADING
        assert "drawn" in read(service, sleeps, drawn_after=2)
    assert len(sleeps) == 2


def test_a_report_that_is_never_drawn_is_an_error() -> None:
    sleeps: list[float] = []
    with fake_service() as service:
        service.answers["GET /reports/v"] = LOADING
        with pytest.raises(OperatorError, match="is being loaded"):
            read(service, sleeps)
    assert sum(sleeps) >= 5


@pytest.mark.parametrize(("status", "error"), [(404, NotFound), (500, OperatorError)])
def test_what_another_request_does_not_change_is_not_asked_for_again(
    status: int, error: type[HomeostatError]
) -> None:
    sleeps: list[float] = []
    with fake_service() as service:
        service.answers["GET /reports/v"] = (status, {"error": "no report"})
        with pytest.raises(error, match="no report"):
            read(service, sleeps)
    assert sleeps == []
