"""The login of Prometheus and Alertmanager: HTTP basic authentication, with a password that the installation makes.

The installation's password is only for its own servers. Others have the login that the settings name.
"""

from __future__ import annotations

import base64
import secrets
from dataclasses import dataclass, field
from pathlib import Path
from typing import Final, Protocol

from shared.errors import OperatorError
from shared.files import read_regular, write_atomic

USER: Final = "homeostat"
PASSWORD_FILE: Final = "monitoring.password"
_PASSWORD_BYTES = 32


@dataclass(frozen=True)
class MonitoringLogin:
    """The name and password of one login."""

    user: str
    password: str = field(repr=False)

    @property
    def authorization(self) -> str:
        """Value of the Authorization header (RFC 7617)."""
        return "Basic " + base64.b64encode(f"{self.user}:{self.password}".encode()).decode()


class MonitoringSettings(Protocol):
    """The settings that name a login."""

    @property
    def home(self) -> Path:
        """Data folder of the installation."""

    @property
    def monitoring_user(self) -> str:
        """The name, for a server of the settings."""

    @property
    def monitoring_password_file(self) -> Path | None:
        """File of the password, for a server of the settings."""


def password_path(home: Path) -> Path:
    """Where the installation's password is kept."""
    return home / "keys" / PASSWORD_FILE


def ensure_password(home: Path) -> str:
    """The installation's password; made where it is missing or empty, in a file that only its user can read.

    Raises OperatorError.
    """
    path = password_path(home)
    if not path.exists() or not read_password(path):
        try:
            path.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
            write_atomic(path, f"{secrets.token_urlsafe(_PASSWORD_BYTES)}\n".encode(), mode=0o600)
        except OSError as error:
            raise OperatorError(
                f"the password {path} cannot be written: {error.strerror}",
                hint="set HOMEOSTAT_HOME to a folder that you can write to",
            ) from error
    return read_password(path)


def installation_login(home: Path) -> MonitoringLogin | None:
    """The login of the servers that `homeostat up` starts; None where there is no password. Raises OperatorError."""
    path = password_path(home)
    return MonitoringLogin(USER, read_password(path)) if path.exists() else None


def login_for(settings: MonitoringSettings, url: str) -> MonitoringLogin | None:
    """The login for the server at `url` of a setting; empty stands for the installation's own. Raises OperatorError.

    1. The settings name a password: that one, for every server.
    2. No URL is set: the installation's own.
    3. Another server gets none: the installation's password is not meant for it.
    """
    if settings.monitoring_password_file is not None:
        return MonitoringLogin(
            settings.monitoring_user or USER, read_password(settings.monitoring_password_file)
        )
    return None if url else installation_login(settings.home)


def read_password(path: Path) -> str:
    """The password in a file. Raises OperatorError."""
    try:
        return read_regular(path, maximum_bytes=16 << 10).decode("utf-8", "replace").strip()
    except OSError as error:
        raise OperatorError(
            f"the password {path} cannot be read: {error.strerror}",
            hint="run this as the user of the installation, or name another file in HOMEOSTAT_MONITORING_PASSWORD_FILE",
        ) from error
