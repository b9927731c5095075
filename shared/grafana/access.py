"""Grafana's URL and credentials, validated before the first request: no secret appears in a library's error message."""

from __future__ import annotations

from dataclasses import dataclass, field
from pathlib import Path
from urllib.parse import urlsplit

from pydantic import SecretStr

from shared.errors import OperatorError
from shared.settings import HomeostatSettings
from shared.tls.client_environment import client_tls
from shared.tls.pem_files import require

URL = "HOMEOSTAT_GRAFANA_URL"
TOKEN = "HOMEOSTAT_GRAFANA_TOKEN"
USER = "HOMEOSTAT_GRAFANA_USER"
PASSWORD = "HOMEOSTAT_GRAFANA_PASSWORD"


@dataclass(frozen=True)
class GrafanaAccess:
    """A Grafana's base URL and one way to log in: a token, or a user with a password. Secrets are not shown by `repr`.

    Raises OperatorError, naming the setting, for a URL or login that cannot work.
    """

    url: str
    token: str = field(default="", repr=False)
    user: str = ""
    password: str = field(default="", repr=False)
    ca: str = ""  # file of CA certificates; empty: those of the library

    def __post_init__(self) -> None:
        _check_url(self.url)
        if self.token:
            if not self.token.isascii() or not self.token.isprintable() or " " in self.token:
                raise OperatorError(
                    f"{TOKEN} contains characters that are not valid in a token",
                    hint=f"set {TOKEN} to the token without spaces or line breaks",
                )
        elif not (self.user and self.password):
            raise OperatorError(
                f"no credentials for Grafana at {self.url}",
                hint=f"set {TOKEN}, or {USER} and {PASSWORD}",
            )
        elif ":" in self.user:
            raise OperatorError(
                f"{USER} contains a colon, which basic authentication does not allow",
                hint=f"set {TOKEN} instead",
            )

    @property
    def login(self) -> str:
        """The name of the setting with the secret in use."""
        return TOKEN if self.token else PASSWORD


def access_from(settings: HomeostatSettings) -> GrafanaAccess:
    """URL and credentials from the settings. Raises OperatorError if the URL is missing, a file unreadable or a value invalid."""
    if not settings.grafana_url:
        raise OperatorError(
            "no Grafana URL is set", hint=f"set {URL} to its base URL, such as http://127.0.0.1:3000"
        )
    return GrafanaAccess(
        url=settings.grafana_url,
        token=_secret(settings.grafana_token, settings.grafana_token_file, TOKEN),
        user=settings.grafana_user,
        password=_secret(settings.grafana_password, settings.grafana_password_file, PASSWORD),
        ca=_ca(settings.grafana_url),
    )


def _ca(url: str) -> str:
    ca = client_tls().ca
    if ca is None or not url.startswith("https://"):
        return ""
    require(ca, "CERTIFICATE")  # the library's own error names no setting
    return str(ca.path)


def _secret(given: SecretStr, file: Path | None, setting: str) -> str:
    if given.get_secret_value() or file is None:
        return given.get_secret_value().strip()
    try:
        return file.read_text(encoding="utf-8").strip()
    except (OSError, UnicodeDecodeError) as error:
        why = error.strerror if isinstance(error, OSError) else "not text"
        raise OperatorError(
            f"{file}, the file of {setting}_FILE, cannot be read: {why}",
            hint="check the path, owner and permissions of the file",
        ) from None


def _check_url(url: str) -> None:
    hint = f"set {URL} to a base URL such as https://grafana.example.org or http://127.0.0.1:3000/grafana"
    try:
        parts = urlsplit(url)
        port = parts.port
    except ValueError:
        raise OperatorError(f"{URL} is not a valid URL", hint=hint) from None
    if parts.username is not None or parts.password is not None:
        raise OperatorError(
            f"{URL} contains credentials, which would appear in logs",
            hint=f"set {USER} and {PASSWORD}, or {TOKEN}",
        )
    if parts.scheme not in ("http", "https") or not parts.hostname or port == 0:
        # Not quoted: credentials before a missing scheme, or a token in a query, would appear in the log.
        raise OperatorError(f"{URL} is not an http or https URL with a host", hint=hint)
    if parts.query or parts.fragment or not url.isascii() or not url.isprintable() or " " in url:
        raise OperatorError(f"{URL} must be a base URL, without query, fragment or spaces", hint=hint)
