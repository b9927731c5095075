"""Settings of encrypted connections, the same for every service and for the command line."""

from __future__ import annotations

from pathlib import Path

from pydantic import Field
from pydantic_settings import BaseSettings, SettingsConfigDict


class TlsSettings(BaseSettings):
    """Read from the environment (`HOMEOSTAT_TLS_…`); frozen afterwards."""

    model_config = SettingsConfigDict(
        env_prefix="HOMEOSTAT_TLS_", frozen=True, extra="ignore", env_ignore_empty=True
    )

    certificate: Path | None = Field(
        None,
        description="Certificate of the service's listener: a PEM file, with intermediate certificates after it. It is read "
        "again when it changes. Empty: the service listens without TLS.",
    )
    key: Path | None = Field(
        None,
        description="Private key of that certificate: a PEM file without a passphrase that other users cannot read.",
    )
    client_ca: Path | None = Field(
        None,
        description="CA certificates (PEM). If set, a listener accepts only clients with a certificate of one of them.",
    )
    ca: Path | None = Field(
        None,
        description="CA certificates (PEM) that `https://` addresses of our services, and of Prometheus, Alertmanager and "
        "Grafana, are verified with. Empty: those of the system.",
    )
    client_certificate: Path | None = Field(
        None,
        description="Certificate (PEM) to present to services that require client certificates.",
    )
    client_key: Path | None = Field(None, description="Private key of the client certificate (PEM).")
