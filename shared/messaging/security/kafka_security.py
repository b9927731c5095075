"""Encryption and authentication as options of kafka-python: one place for every producer, consumer and admin client."""

from __future__ import annotations

import socket
import ssl
import struct
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from kafka.errors import SaslAuthenticationFailedError
from pydantic import SecretStr

from shared.errors import DependencyUnavailable, OperatorError
from shared.messaging.connection import unavailable
from shared.messaging.security.login_probe import find_login_problem
from shared.messaging.security.settings import KafkaSettings
from shared.messaging.security.token_provider import TokenProvider, TokenUnavailable, token_source
from shared.tls.client_context import ClientTls
from shared.tls.pem_files import PemFile, key_pair

_PREFIX = "HOMEOSTAT_KAFKA_"
_PROBE_SECONDS = 2.0
_ALERT_SECONDS = 0.3
_TLS_HINT = "check HOMEOSTAT_KAFKA_CA, HOMEOSTAT_KAFKA_CERTIFICATE, and that the listener has TLS"
_LOGIN_HINT = "check HOMEOSTAT_KAFKA_USERNAME, HOMEOSTAT_KAFKA_PASSWORD and HOMEOSTAT_KAFKA_SASL_MECHANISM"
_TOKEN_HINT = (
    "check the token that the HOMEOSTAT_KAFKA_OAUTH_… settings give, and the broker's settings for it"
)
SECURITY_PROTOCOL = _PREFIX + "SECURITY_PROTOCOL"


class RenewedContext:
    """kafka-python's `ssl_context`: it calls `wrap_socket` for each connection, which then has the files as they are now."""

    def __init__(self, tls: ClientTls) -> None:
        self._tls = tls

    def wrap_socket(self, sock: socket.socket, **options: Any) -> ssl.SSLSocket:
        """As `SSLContext.wrap_socket`."""
        return self._tls.context().wrap_socket(sock, **options)


@dataclass(frozen=True)
class KafkaSecurity:
    """`options`: keyword arguments for kafka-python's clients. `tls`: None without encryption."""

    options: dict[str, Any]
    tls: ClientTls | None = None

    def explain(self, bootstrap: str, error: Exception | None) -> DependencyUnavailable:
        """Why no broker can be used at `bootstrap`, after kafka-python failed: it logs most reasons and reports none."""
        where = f"Kafka at {bootstrap}"
        if problem := self.find_token_problem():
            return DependencyUnavailable(f"no token for {where}: {problem}")
        if problem := self._find_tls_problem(bootstrap):
            return DependencyUnavailable(f"{where}: {problem}", hint=_TLS_HINT)
        is_known = isinstance(error, SaslAuthenticationFailedError)
        if problem := str(error) if is_known else self._find_login_problem(bootstrap):
            hint = _TOKEN_HINT if self.options["sasl_mechanism"] == "OAUTHBEARER" else _LOGIN_HINT
            return DependencyUnavailable(f"{where} refuses the login: {problem}", hint=hint)
        return unavailable(bootstrap, error)

    def find_token_problem(self) -> str:
        """Why there is no token; empty if there is one, or if none is needed."""
        provider = self.options.get("sasl_oauth_token_provider")
        try:
            if provider is not None:
                provider.token()
        except TokenUnavailable as error:
            return str(error.args[0])
        return ""

    def _find_tls_problem(self, bootstrap: str) -> str:
        if self.tls is None:
            return ""
        try:
            with self._connect(bootstrap) as connection:
                # In TLS 1.3 a broker refuses a client's certificate after the client's part of the handshake.
                connection.settimeout(_ALERT_SECONDS)
                connection.recv(1)
        except TimeoutError:
            pass  # it waits for a request, as it should
        except ssl.SSLCertVerificationError as error:
            return f"its certificate is not accepted: {error.verify_message}"
        except ssl.SSLError as error:
            reason = (error.reason or str(error)).replace("_", " ").lower()
            return f"the TLS handshake failed: {reason}"
        except OperatorError as error:
            return error.message
        except (OSError, ValueError):
            pass  # nothing listens there
        return ""

    def _find_login_problem(self, bootstrap: str) -> str:
        if "sasl_mechanism" not in self.options:
            return ""
        try:
            with self._connect(bootstrap) as connection:
                return find_login_problem(connection, self.options)
        except (OSError, ValueError, struct.error, OperatorError):
            return ""

    def _connect(self, bootstrap: str) -> socket.socket:
        host, _, port = bootstrap.split(",")[0].strip().rpartition(":")
        plain = socket.create_connection((host, int(port)), timeout=_PROBE_SECONDS)
        try:
            return plain if self.tls is None else self.tls.context().wrap_socket(plain, server_hostname=host)
        except BaseException:
            plain.close()
            raise


PLAINTEXT = KafkaSecurity({"security_protocol": "PLAINTEXT"})


def kafka_security(settings: KafkaSettings) -> KafkaSecurity:
    """Raises OperatorError, naming the setting, if something is missing or a file cannot be used."""
    protocol = settings.security_protocol
    options: dict[str, Any] = {"security_protocol": protocol}
    tls = _tls(settings)
    if protocol.endswith("SSL"):
        tls.context()  # a file that cannot be used is noticed now
        options |= {"ssl_context": RenewedContext(tls), "ssl_check_hostname": settings.check_hostname}
    if protocol.startswith("SASL"):
        options |= _login(settings, tls)
    return KafkaSecurity(options, tls if protocol.endswith("SSL") else None)


def _tls(settings: KafkaSettings) -> ClientTls:
    return ClientTls(
        PemFile(settings.ca, _PREFIX + "CA") if settings.ca else None,
        key_pair(settings.certificate, settings.key, settings=(_PREFIX + "CERTIFICATE", _PREFIX + "KEY")),
        settings.check_hostname,
    )


def _login(settings: KafkaSettings, tls: ClientTls) -> dict[str, Any]:
    if settings.sasl_mechanism == "OAUTHBEARER":
        secret = secret_of(
            settings.oauth_client_secret, settings.oauth_client_secret_file, "OAUTH_CLIENT_SECRET"
        )
        provider = TokenProvider(token_source(settings, secret, ClientTls(tls.ca)))
        return {"sasl_mechanism": "OAUTHBEARER", "sasl_oauth_token_provider": provider}
    password = secret_of(settings.password, settings.password_file, "PASSWORD")
    for name, value in (("USERNAME", settings.username), ("PASSWORD", password)):
        if not value:
            raise OperatorError(
                f"{_PREFIX}{name} is not set, and {SECURITY_PROTOCOL} is {settings.security_protocol}",
                hint=f"set {_PREFIX}{name}" + (f" or {_PREFIX}PASSWORD_FILE" if name == "PASSWORD" else ""),
            )
    return {
        "sasl_mechanism": settings.sasl_mechanism,
        "sasl_plain_username": settings.username,
        "sasl_plain_password": password,
    }


def secret_of(given: SecretStr, file: Path | None, name: str) -> str:
    """A secret, from its setting or the file that another setting names. Raises OperatorError."""
    if given.get_secret_value() or file is None:
        return given.get_secret_value()
    try:
        return file.read_text(encoding="utf-8").strip()
    except (OSError, UnicodeDecodeError) as error:
        raise OperatorError(
            f"{_PREFIX}{name}_FILE: {file} cannot be read: {getattr(error, 'strerror', None) or error}",
            hint=f"set {_PREFIX}{name}_FILE to a file that this process can read",
        ) from error
