from __future__ import annotations

import warnings
from pathlib import Path

import pytest
import yaml

from local_stack.observability.web_config import bcrypt, web_config
from shared.errors import OperatorError
from shared.observability.monitoring_login import MonitoringLogin

with warnings.catch_warnings():
    warnings.simplefilter("ignore", DeprecationWarning)
    import crypt

LOGIN = MonitoringLogin("homeostat", "some-password")


def test_file_holds_a_hash_that_only_the_password_fits() -> None:
    config = yaml.safe_load(web_config(LOGIN, {}))
    assert config.keys() == {"basic_auth_users"}
    hashed = config["basic_auth_users"]["homeostat"]
    assert hashed.startswith(("$2a$", "$2b$", "$2y$"))
    assert crypt.crypt("some-password", hashed) == hashed
    assert crypt.crypt("some-passwore", hashed) != hashed


def test_listener_has_the_certificate_of_the_settings(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    given = {"HOMEOSTAT_TLS_CERTIFICATE": "server.pem", "HOMEOSTAT_TLS_KEY": "/run/server.key"}
    expected = {
        "cert_file": str(tmp_path / "server.pem"),
        "key_file": "/run/server.key",
        "min_version": "TLS12",
    }
    assert yaml.safe_load(web_config(LOGIN, given))["tls_server_config"] == expected
    # Mutual TLS, as for every other listener.
    mutual = web_config(LOGIN, given | {"HOMEOSTAT_TLS_CLIENT_CA": "ca.pem"})
    assert yaml.safe_load(mutual)["tls_server_config"] == expected | {
        "client_ca_file": str(tmp_path / "ca.pem"),
        "client_auth_type": "RequireAndVerifyClientCert",
    }


def test_an_empty_password_is_refused() -> None:
    with pytest.raises(OperatorError, match="password of Prometheus and Alertmanager is empty"):
        web_config(MonitoringLogin("homeostat", ""), {})


def test_library_without_bcrypt_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(crypt, "methods", [])
    with pytest.raises(OperatorError, match="no bcrypt"):
        bcrypt("x")
