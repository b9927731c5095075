from __future__ import annotations

import os
import stat
import subprocess
from pathlib import Path

import pytest

from local_stack.certificates import CertificateFolder, certificate_names, create_certificates, require_name
from shared.errors import OperatorError


def verified(files: CertificateFolder, *options: str) -> str:
    """What OpenSSL says of the server's certificate."""
    command = ["openssl", "verify", "-CAfile", str(files.ca), *options, str(files.server)]
    done = subprocess.run(command, capture_output=True, text=True, timeout=30, check=False)
    return done.stdout + done.stderr


def test_certificate_is_of_the_ca_and_for_its_names(tmp_path: Path) -> None:
    files = create_certificates(tmp_path / "tls", ["serving.example.org", "10.1.2.3"])
    for name in ("localhost", "serving.example.org"):
        assert verified(files, "-x509_strict", "-purpose", "sslserver", "-verify_hostname", name).endswith(
            "OK\n"
        )
    for address in ("127.0.0.1", "::1", "10.1.2.3"):
        assert verified(files, "-verify_ip", address).endswith("OK\n")
    assert "hostname mismatch" in verified(files, "-verify_hostname", "example.org")


def test_keys_are_private(tmp_path: Path) -> None:
    files = create_certificates(tmp_path / "tls")
    assert stat.S_IMODE(files.folder.stat().st_mode) == 0o700
    for path in (files.ca_key, files.server_key, files.client_key, files.settings):
        assert stat.S_IMODE(path.stat().st_mode) == 0o600, path


def test_second_call_keeps_the_ca_and_renews_the_certificates(tmp_path: Path) -> None:
    files = create_certificates(tmp_path)
    before = {path: path.read_bytes() for path in (files.ca, files.server, files.client)}
    create_certificates(tmp_path)
    changed = {path.name for path, content in before.items() if path.read_bytes() != content}
    assert changed == {"server.pem", "client.pem"}


def test_second_call_keeps_edited_settings(tmp_path: Path) -> None:
    settings = create_certificates(tmp_path).settings
    settings.write_text("# mine\n")
    create_certificates(tmp_path)
    assert settings.read_text() == "# mine\n"


def test_settings_file_is_read_by_a_shell(tmp_path: Path) -> None:
    files = create_certificates(tmp_path / "it's here")
    shown = subprocess.run(
        ["sh", "-c", f'set -a; . "{files.settings}"; env'],
        env={"PATH": os.environ["PATH"]},
        capture_output=True,
        text=True,
        timeout=30,
        check=True,
    ).stdout.splitlines()
    named = {line for line in shown if line.startswith("HOMEOSTAT_TLS_")}
    assert named == {
        f"HOMEOSTAT_TLS_CERTIFICATE={files.server}",
        f"HOMEOSTAT_TLS_KEY={files.server_key}",
        f"HOMEOSTAT_TLS_CA={files.ca}",
        f"HOMEOSTAT_TLS_CLIENT_CERTIFICATE={files.client}",
        f"HOMEOSTAT_TLS_CLIENT_KEY={files.client_key}",
    }


def test_folder_that_cannot_be_written_is_named(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    with pytest.raises(OperatorError, match="the certificates cannot be written to"):
        create_certificates(tmp_path / "file" / "tls")


def test_second_call_keeps_the_names(tmp_path: Path) -> None:
    create_certificates(tmp_path, ["serving.example.org", "10.1.2.3"])
    files = create_certificates(tmp_path, ["other.example.org"])
    names = certificate_names(files.server)
    assert names == ["localhost", "serving.example.org", "other.example.org", "127.0.0.1", "::1", "10.1.2.3"]


def test_name_that_the_certificate_lacks_is_refused_with_the_command(tmp_path: Path) -> None:
    files = create_certificates(tmp_path, ["*.example.org"])
    for host in ("localhost", "127.0.0.1", "LOCALHOST", "a.example.org"):
        require_name(files.server, host)
    for host in ("10.0.0.7", "example.org", "a.b.example.org"):
        with pytest.raises(OperatorError, match=f"is not for {host}") as refused:
            require_name(files.server, host)
        assert f"homeostat certificates create --name {host}" in refused.value.hint
    require_name(tmp_path / "none", "x")
    require_name(files.server_key, "x")  # the services name a file that is no certificate


def test_broken_certificate_is_replaced(tmp_path: Path) -> None:
    files = create_certificates(tmp_path)
    files.server.write_text("broken")
    create_certificates(tmp_path)
    assert "localhost" in certificate_names(files.server)
