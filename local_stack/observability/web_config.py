"""`--web.config.file` of Prometheus and Alertmanager: who may ask them, and their certificate.

Both read this file (https://prometheus.io/docs/prometheus/latest/configuration/https/) again for each connection.
"""

from __future__ import annotations

import os
import warnings
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import yaml

from shared.errors import OperatorError
from shared.observability.monitoring_login import MonitoringLogin
from shared.tls.client_environment import CERTIFICATE, PREFIX

# The password is random, so nobody can search for it. A higher cost would let wrong passwords take the processor's time.
BCRYPT_ROUNDS = 1 << 4


def web_config(login: MonitoringLogin, environment: Mapping[str, str] = os.environ) -> str:
    """Text of the file: every request needs `login`; TLS with the certificate of the settings `HOMEOSTAT_TLS_…`, if any.

    Raises `OperatorError` for an empty password, with which everybody could log in, or where this Python has no bcrypt.
    """
    if not login.password:
        raise OperatorError(
            "the password of Prometheus and Alertmanager is empty",
            hint="delete its file, `keys/monitoring.password` or `secrets/monitoring_password`: the next start or "
            "deploy/containers/secrets.sh makes another one",
        )
    config: dict[str, Any] = {"basic_auth_users": {login.user: bcrypt(login.password)}}
    if environment.get(CERTIFICATE):
        config["tls_server_config"] = server_config(
            environment[CERTIFICATE],
            environment.get(PREFIX + "KEY", ""),
            environment.get(PREFIX + "CLIENT_CA", ""),
        )
    return yaml.safe_dump(config, sort_keys=False)


def server_config(certificate: str, key: str, client_ca: str = "") -> dict[str, str]:
    """`tls_server_config`: as our services' listeners, from TLS 1.2 on; with `client_ca` for clients with a certificate only."""
    config = {
        "cert_file": str(Path(certificate).absolute()),
        "key_file": str(Path(key).absolute()),
        "min_version": "TLS12",
    }
    if client_ca:
        config |= {
            "client_ca_file": str(Path(client_ca).absolute()),
            "client_auth_type": "RequireAndVerifyClientCert",
        }
    return config


def bcrypt(password: str) -> str:
    """The bcrypt hash of a password, with a salt of its own. Raises `OperatorError` where the C library has none."""
    with warnings.catch_warnings():
        # In the standard library up to Python 3.12.
        warnings.simplefilter("ignore", DeprecationWarning)
        import crypt
    method = getattr(crypt, "METHOD_BLOWFISH", None)
    if method is None or method not in crypt.methods:
        raise OperatorError(
            "this system's C library has no bcrypt, which the login of Prometheus and Alertmanager needs",
            hint="start without --observability, or in containers",
        )
    return crypt.crypt(password, crypt.mksalt(method, rounds=BCRYPT_ROUNDS))
