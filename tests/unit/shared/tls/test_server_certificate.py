from __future__ import annotations

import os
import shutil
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
from structlog.testing import capture_logs

from local_stack.certificates import CertificateFolder, create_certificates
from shared.errors import OperatorError
from shared.tls.server_certificate import ServerCertificate, server_certificate
from shared.tls.settings import TlsSettings

NOW = datetime.now(UTC)


class Clock:
    def __init__(self) -> None:
        self.now = 100.0

    def __call__(self) -> float:
        return self.now


def opened(files: CertificateFolder, clock: Clock | None = None) -> ServerCertificate:
    made = server_certificate(TlsSettings(certificate=files.server, key=files.server_key))
    assert made is not None
    return ServerCertificate(made._pair, clock=clock) if clock is not None else made


def refused(**settings: Path) -> OperatorError:
    with pytest.raises(OperatorError) as error:
        server_certificate(TlsSettings().model_copy(update=settings))
    return error.value


def test_without_settings_there_is_no_tls() -> None:
    assert server_certificate(TlsSettings()) is None


def test_empty_variables_mean_no_tls(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("CERTIFICATE", "KEY", "CLIENT_CA", "CA"):
        monkeypatch.setenv(f"HOMEOSTAT_TLS_{name}", "")
    assert server_certificate(TlsSettings()) is None


def test_expiry_is_that_of_the_certificate(tmp_path: Path) -> None:
    files = create_certificates(tmp_path, days=10, now=NOW)
    assert abs(opened(files).expires - (NOW + timedelta(days=10)).timestamp()) < 1


def test_renewed_certificate_is_used(files: CertificateFolder) -> None:
    clock = Clock()
    certificate = opened(files, clock)
    before, expired_before = certificate.context(), certificate.expires
    create_certificates(files.folder, days=500)
    assert certificate.context() is before, "the files are looked at once a second"
    clock.now += 1
    assert certificate.context() is not before
    assert certificate.expires > expired_before + 86_400


@pytest.mark.parametrize("broken", ["other key", "no text", "missing", "open to all"])
def test_broken_files_keep_the_old_certificate_and_are_reported_once(
    files: CertificateFolder, tmp_path: Path, broken: str
) -> None:
    clock = Clock()
    certificate = opened(files, clock)
    before, expires = certificate.context(), certificate.expires
    if broken == "other key":
        shutil.copy(create_certificates(tmp_path / "other").server, files.server)
    elif broken == "no text":
        files.server.write_text("")
    elif broken == "missing":
        files.server_key.unlink()
    else:
        files.server_key.chmod(0o644)
    with capture_logs() as logs:
        for _ in range(3):
            clock.now += 1
            assert certificate.context() is before
    assert [line["event"] for line in logs] == ["tls_certificate_not_reloaded"]
    assert logs[0]["log_level"] == "error"
    assert certificate.expires == expires
    create_certificates(files.folder)
    clock.now += 1
    assert certificate.context() is not before


def test_expired_certificate_is_reported(tmp_path: Path) -> None:
    files = create_certificates(tmp_path, days=1, now=NOW - timedelta(days=3))
    with capture_logs() as logs:
        opened(files)
    assert [line["event"] for line in logs] == ["tls_certificate_expired"]


def test_key_that_others_can_read_is_refused_with_the_command(files: CertificateFolder) -> None:
    files.server_key.chmod(0o604)
    error = refused(certificate=files.server, key=files.server_key)
    assert error.message.startswith("HOMEOSTAT_TLS_KEY: every user of this machine has access to")
    assert error.hint == f"chmod 600 {files.server_key}"


def test_key_of_a_group_is_accepted(files: CertificateFolder) -> None:
    files.server_key.chmod(0o440)
    assert opened(files).expires > 0


@pytest.mark.parametrize(
    ("given", "message"),
    [
        (("certificate",), "HOMEOSTAT_TLS_CERTIFICATE is set, and HOMEOSTAT_TLS_KEY is not"),
        (("key",), "HOMEOSTAT_TLS_KEY is set, and HOMEOSTAT_TLS_CERTIFICATE is not"),
        (("client_ca",), "HOMEOSTAT_TLS_CLIENT_CA is set, and HOMEOSTAT_TLS_CERTIFICATE is not"),
    ],
)
def test_half_a_pair_is_refused(files: CertificateFolder, given: tuple[str, ...], message: str) -> None:
    assert refused(**dict.fromkeys(given, files.server)).message == message


def test_wrong_files_are_named_with_their_setting(files: CertificateFolder, tmp_path: Path) -> None:
    other = create_certificates(tmp_path / "other")
    empty = tmp_path / "empty"
    empty.write_text("nothing")
    pair = {"certificate": files.server, "key": files.server_key}
    missing = refused(**pair | {"certificate": tmp_path / "none"}).message
    assert missing == f"HOMEOSTAT_TLS_CERTIFICATE: {tmp_path / 'none'} cannot be read: {os.strerror(2)}"
    assert refused(**pair | {"key": other.server_key}).message == (
        f"HOMEOSTAT_TLS_KEY: {other.server_key} is not the key of the certificate {files.server}"
    )
    assert refused(**pair | {"certificate": empty}).message == (
        f"HOMEOSTAT_TLS_CERTIFICATE: {empty} has no PEM block CERTIFICATE"
    )
    assert refused(**pair, client_ca=empty).message.startswith(f"HOMEOSTAT_TLS_CLIENT_CA: {empty} has no PEM")


def test_key_with_a_passphrase_is_refused(files: CertificateFolder) -> None:
    text = files.server_key.read_text()
    files.server_key.write_text(text.replace("PRIVATE KEY", "ENCRYPTED PRIVATE KEY"))
    assert "has a passphrase" in refused(certificate=files.server, key=files.server_key).message
