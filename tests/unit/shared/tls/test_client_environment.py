from __future__ import annotations

from pathlib import Path

import pytest

from local_stack.certificates import CertificateFolder, create_certificates
from shared.errors import CallerError, DependencyUnavailable, OperatorError
from shared.http.service_client import ServiceClient
from shared.tls.client_environment import PATHS, client_tls, listener_scheme, with_absolute_paths
from shared.tls.settings import TlsSettings
from tests.fakes.tls_server import tls_server


def test_variables_are_those_of_the_settings() -> None:
    assert set(PATHS) == {f"HOMEOSTAT_TLS_{name.upper()}" for name in TlsSettings.model_fields}


def test_empty_variables_mean_none() -> None:
    tls = client_tls(dict.fromkeys(PATHS, ""))
    assert (tls.ca, tls.pair) == (None, None)
    assert listener_scheme(dict.fromkeys(PATHS, "")) == "http"


def test_half_a_pair_is_refused() -> None:
    with pytest.raises(OperatorError, match="HOMEOSTAT_TLS_CLIENT_KEY is not"):
        client_tls({"HOMEOSTAT_TLS_CLIENT_CERTIFICATE": "client.pem"})


def test_paths_become_absolute_for_other_processes(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    given = {"HOMEOSTAT_TLS_CA": "ca.pem", "HOMEOSTAT_TLS_KEY": "", "OTHER": "other"}
    assert with_absolute_paths(given) == given | {"HOMEOSTAT_TLS_CA": str(tmp_path / "ca.pem")}


@pytest.fixture
def trusted(files: CertificateFolder, monkeypatch: pytest.MonkeyPatch) -> CertificateFolder:
    monkeypatch.setenv("HOMEOSTAT_TLS_CA", str(files.ca))
    return files


def asked(url: str) -> object:
    with ServiceClient("sink", url) as client:
        return client.get("/status")


def test_service_is_asked_over_tls(trusted: CertificateFolder) -> None:
    with tls_server(trusted) as port:
        assert asked(f"https://127.0.0.1:{port}") == {"ready": True}


def test_client_certificate_is_presented(trusted: CertificateFolder, monkeypatch: pytest.MonkeyPatch) -> None:
    with tls_server(trusted, mutual=True) as port:
        with pytest.raises(DependencyUnavailable):
            asked(f"https://127.0.0.1:{port}")
        monkeypatch.setenv("HOMEOSTAT_TLS_CLIENT_CERTIFICATE", str(trusted.client))
        monkeypatch.setenv("HOMEOSTAT_TLS_CLIENT_KEY", str(trusted.client_key))
        assert asked(f"https://127.0.0.1:{port}") == {"ready": True}


def test_unknown_ca_is_named_with_the_setting(
    files: CertificateFolder, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("HOMEOSTAT_TLS_CA", str(create_certificates(tmp_path / "other").ca))
    with tls_server(files) as port, pytest.raises(DependencyUnavailable) as error:
        asked(f"https://127.0.0.1:{port}")
    assert "its certificate is not accepted: " in error.value.message
    assert error.value.hint.startswith("set HOMEOSTAT_TLS_CA to the certificate of its CA")


def test_wrong_scheme_is_named_either_way(trusted: CertificateFolder) -> None:
    with tls_server(trusted) as port, pytest.raises(CallerError) as error:
        asked(f"http://127.0.0.1:{port}")
    assert error.value.message == "this port requires TLS"
    assert error.value.hint == "use an address that begins with https://"


def test_missing_ca_file_is_named(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HOMEOSTAT_TLS_CA", str(tmp_path / "none"))
    with pytest.raises(OperatorError, match="HOMEOSTAT_TLS_CA: .* cannot be read"):
        asked("https://127.0.0.1:1")
