from __future__ import annotations

import pytest
from prometheus_client import CollectorRegistry

from deploy.containers.probe import main
from local_stack.ports import free_port
from shared.http.metrics_server import MetricsServer


@pytest.mark.parametrize(("ready", "expected"), [(True, 0), (False, 1)])
def test_exit_code_follows_readiness(ready: bool, expected: int, capsys: pytest.CaptureFixture[str]) -> None:
    server = MetricsServer(CollectorRegistry(), "127.0.0.1", 0, lambda: {"ready": ready})
    server.start()
    try:
        assert main([f"http://127.0.0.1:{server.port}/health/ready"]) == expected
    finally:
        server.stop()
    assert ("returned status 503" in capsys.readouterr().out) is not ready


def test_unreachable_service_is_not_ready(capsys: pytest.CaptureFixture[str]) -> None:
    assert main([f"http://127.0.0.1:{free_port()}/health/live"]) == 1
    assert "cannot be reached" in capsys.readouterr().out


def test_missing_address_is_a_usage_error() -> None:
    assert main([]) == 2
