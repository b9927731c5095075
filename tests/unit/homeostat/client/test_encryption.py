from __future__ import annotations

from pathlib import Path

import httpx
import pytest

from homeostat.client.client import Client
from homeostat.client.encryption import verification
from homeostat.client.errors import RequestRefused, ServerUnavailable
from local_stack.certificates import CertificateFolder, create_certificates
from shared.errors import CallerError
from tests.fakes.tls_server import tls_server


@pytest.fixture
def files(tmp_path: Path) -> CertificateFolder:
    return create_certificates(tmp_path / "tls")


def test_without_tls_nothing_is_read(tmp_path: Path) -> None:
    assert verification("http://a", tmp_path / "none", None, None) is True


def test_without_settings_httpx_chooses_the_cas() -> None:
    assert verification("https://a", None, None, None) is True


def test_server_of_the_given_ca_is_asked(files: CertificateFolder) -> None:
    with tls_server(files, mutual=True) as port:
        url = f"https://127.0.0.1:{port}"
        with Client(url, ca=files.ca, certificate=files.client, key=str(files.client_key)) as client:
            with pytest.raises(RequestRefused, match="there is no route"):  # it is no inference
                client.inputs("a")


def test_ca_of_the_settings_is_used(files: CertificateFolder, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HOMEOSTAT_TLS_CA", str(files.ca))
    with tls_server(files) as port:
        verify = verification("https://a", None, None, None)
        url = f"https://127.0.0.1:{port}/status"
        assert httpx.get(url, verify=verify, trust_env=False).json() == {"ready": True}


def test_unknown_ca_is_named_and_not_tried_again(files: CertificateFolder) -> None:
    with tls_server(files) as port:
        with Client(f"https://127.0.0.1:{port}", "a", retry_s=60) as client:
            with pytest.raises(ServerUnavailable, match="its certificate is not accepted") as error:
                client.inputs()
    assert error.value.hint.startswith("set HOMEOSTAT_TLS_CA")


def test_wrong_file_is_named_with_its_argument(tmp_path: Path) -> None:
    with pytest.raises(CallerError, match="ca: .* cannot be read"):
        Client("https://127.0.0.1:1", ca=tmp_path / "none")
    with pytest.raises(CallerError, match="certificate is set, and key is not"):
        Client("https://127.0.0.1:1", certificate=tmp_path / "none")
