from __future__ import annotations

from pathlib import Path

import pytest
from prometheus_client import CollectorRegistry

from deploy.containers.probe import main
from local_stack.certificates import create_certificates
from local_stack.ports import free_port
from shared.http.metrics_server import MetricsServer
from tests.fakes.callers import Everyone
from tests.fakes.tls_server import tls_server


@pytest.mark.parametrize(("ready", "expected"), [(True, 0), (False, 1)])
def test_exit_code_follows_readiness(ready: bool, expected: int, capsys: pytest.CaptureFixture[str]) -> None:
    server = MetricsServer(
        CollectorRegistry(),
        "127.0.0.1",
        0,
        lambda: {"ready": ready},
        service="sink",
        authenticator=Everyone(),
    )
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


@pytest.mark.parametrize("mutual", [False, True])
def test_service_with_a_certificate_is_asked_over_tls(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, mutual: bool
) -> None:
    files = create_certificates(tmp_path)
    monkeypatch.setenv("HOMEOSTAT_TLS_CERTIFICATE", str(files.server))
    if mutual:
        monkeypatch.setenv("HOMEOSTAT_TLS_CLIENT_CERTIFICATE", str(files.client))
        monkeypatch.setenv("HOMEOSTAT_TLS_CLIENT_KEY", str(files.client_key))
    with tls_server(files, mutual=mutual) as port:
        assert main([f"http://127.0.0.1:{port}/health/ready"]) == 0
        monkeypatch.setenv("HOMEOSTAT_TLS_CLIENT_CERTIFICATE", str(tmp_path / "none"))
        assert main([f"http://127.0.0.1:{port}/health/ready"]) == 1
