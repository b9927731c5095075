from __future__ import annotations

from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from cli.checks.certificates import certificates
from local_stack.certificates import CertificateFolder, create_certificates

NOW = datetime(2026, 6, 1, tzinfo=UTC)


def states(now: datetime = NOW) -> list[tuple[str, str]]:
    return [(result.checked, result.state) for result in certificates(now)]


@pytest.fixture
def files(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> CertificateFolder:
    files = create_certificates(tmp_path, days=30, now=NOW)
    for name, path in {
        "CERTIFICATE": files.server,
        "KEY": files.server_key,
        "CA": files.ca,
        "CLIENT_CERTIFICATE": files.client,
        "CLIENT_KEY": files.client_key,
    }.items():
        monkeypatch.setenv(f"HOMEOSTAT_TLS_{name}", str(path))
    return files


def test_without_settings_there_is_nothing_to_check() -> None:
    assert states() == [("certificate", "off")]


@pytest.mark.parametrize(("days", "state"), [(15, "ok"), (17, "warning"), (31, "failure")])
def test_expiry_is_noticed_two_weeks_before(files: CertificateFolder, days: int, state: str) -> None:
    found = states(NOW + timedelta(days=days))
    assert found == [("certificate", state), ("client certificate", state)]


def test_file_that_cannot_be_used_is_a_failure(files: CertificateFolder) -> None:
    files.server_key.chmod(0o644)
    [result] = certificates(NOW)
    assert (result.state, result.hint) == ("failure", f"chmod 600 {files.server_key}")


def test_broken_ca_is_a_failure(files: CertificateFolder) -> None:
    files.ca.write_text("")
    assert states() == [("certificate", "ok"), ("certificate", "failure")]
