"""The HTTP server of services that have no other."""

from __future__ import annotations

from collections.abc import Iterator

import pytest
from prometheus_client import CollectorRegistry, Counter

from shared.errors import OperatorError
from shared.http.metrics_server import MetricsServer
from tests import local_http
from tests.fakes.callers import Everyone


class Service:
    """The service behind the server: reports whether it is ready."""

    def __init__(self) -> None:
        self.ready = False
        self.registry = CollectorRegistry()
        self.rows = Counter("homeostat_rows", "Rows.", registry=self.registry)

    def status(self) -> dict[str, object]:
        return {"ready": self.ready, "lag": 3}


@pytest.fixture
def service() -> Service:
    return Service()


@pytest.fixture
def url(service: Service) -> Iterator[str]:
    opened = MetricsServer(
        service.registry, "127.0.0.1", 0, service.status, service="sink", authenticator=Everyone()
    )
    opened.start()
    yield f"http://127.0.0.1:{opened.port}"
    opened.stop()


def test_metrics_are_those_of_the_registry_handed_over(url: str, service: Service) -> None:
    service.rows.inc(5)
    answer = local_http.get(f"{url}/metrics?name[]=homeostat_rows_total")
    assert answer.status_code == 200
    assert answer.headers["content-type"].startswith("text/plain; version=0.0.4")
    assert "homeostat_rows_total 5.0\n" in answer.text
    assert "python_info" not in answer.text


def test_ready_follows_the_status_and_live_does_not(url: str, service: Service) -> None:
    assert local_http.get(f"{url}/health/ready").status_code == 503
    assert local_http.get(f"{url}/health/live").status_code == 200
    assert local_http.get(f"{url}/status").json() == {"ready": False, "lag": 3}
    service.ready = True
    assert local_http.get(f"{url}/health/ready").status_code == 200


def test_unknown_path_is_404(url: str) -> None:
    answer = local_http.get(f"{url}/metric")
    assert answer.status_code == 404
    assert answer.json() == {"error": "there is no route /metric"}


def test_taken_port_error_has_a_hint(url: str, service: Service) -> None:
    port = int(url.rsplit(":", 1)[1])
    with pytest.raises(OperatorError, match=f"port {port} on 127.0.0.1 cannot be opened") as refusal:
        MetricsServer(
            service.registry, "127.0.0.1", port, service.status, service="sink", authenticator=Everyone()
        )
    assert refusal.value.hint


def test_stopped_server_frees_its_port(service: Service) -> None:
    first = MetricsServer(
        service.registry, "127.0.0.1", 0, service.status, service="sink", authenticator=Everyone()
    )
    port = first.port
    first.start()
    first.stop()
    second = MetricsServer(
        CollectorRegistry(), "127.0.0.1", port, service.status, service="sink", authenticator=Everyone()
    )
    second.stop()


def test_server_that_was_never_started_can_be_stopped(service: Service) -> None:
    MetricsServer(
        service.registry, "127.0.0.1", 0, service.status, service="sink", authenticator=Everyone()
    ).stop()
