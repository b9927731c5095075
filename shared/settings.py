"""Settings shared by all services. Each service adds its own in its `settings.py`. They are read once, at start."""

from __future__ import annotations

from pathlib import Path
from typing import Literal

from pydantic import Field, SecretStr
from pydantic_settings import BaseSettings, SettingsConfigDict


class HomeostatSettings(BaseSettings):
    """Read from the environment (`HOMEOSTAT_…`); frozen afterwards."""

    model_config = SettingsConfigDict(
        env_prefix="HOMEOSTAT_", frozen=True, extra="ignore", populate_by_name=True
    )

    # Aliases keep these variable names in subclasses with another prefix.
    home: Path = Field(
        Path(".homeostat"),
        validation_alias="HOMEOSTAT_HOME",
        description="Data folder of this installation.",
    )
    model_store: str = Field(
        "",
        validation_alias="HOMEOSTAT_MODEL_STORE",
        description="URL of the store of versions and release logs (file, s3, gs, az). Empty: `<home>/models`.",
    )
    lake: str = Field(
        "",
        validation_alias="HOMEOSTAT_LAKE",
        description="Folder or URL of the lake's Delta tables. Empty: `<home>/lake`.",
    )
    reports: str = Field(
        "",
        validation_alias="HOMEOSTAT_REPORTS",
        description="URL of the store of drift's reports (file, s3, gs, az). Empty: `<home>/reports`.",
    )
    kafka: str = Field(
        "127.0.0.1:9092",
        validation_alias="HOMEOSTAT_KAFKA",
        description="Kafka bootstrap servers, comma separated.",
    )
    api_keys: Path | None = Field(
        None,
        validation_alias="HOMEOSTAT_API_KEYS",
        description="File of the API keys that are accepted; `homeostat keys` changes it. Empty: `<home>/keys/api_keys.json`.",
    )
    anonymous_access: bool = Field(
        False,
        validation_alias="HOMEOSTAT_ANONYMOUS_ACCESS",
        description="Whether predictions, outcomes and reading need no credentials. Only for services that listen on a loopback "
        "address; `homeostat up` and `homeostat demo` set it. Everything else always needs an API key.",
    )
    log_format: Literal["json", "console"] = Field(
        "json",
        validation_alias="HOMEOSTAT_LOG_FORMAT",
        description="Format of log lines on standard error: `json`, or `console` (human-readable).",
    )
    log_level: Literal["debug", "info", "warning", "error"] = Field(
        "info", validation_alias="HOMEOSTAT_LOG_LEVEL", description="Minimum severity of log lines."
    )
    grafana_url: str = Field(
        "",
        validation_alias="HOMEOSTAT_GRAFANA_URL",
        description="Base URL of Grafana, for dashboards and for annotations by drift and retraining. Empty: no Grafana.",
    )
    grafana_token: SecretStr = Field(
        SecretStr(""),
        validation_alias="HOMEOSTAT_GRAFANA_TOKEN",
        description="Token of a Grafana service account with the role Editor, or Admin to publish a data source.",
    )
    grafana_token_file: Path | None = Field(
        None,
        validation_alias="HOMEOSTAT_GRAFANA_TOKEN_FILE",
        description="File that contains the token; used when the token is empty.",
    )
    grafana_user: str = Field(
        "",
        validation_alias="HOMEOSTAT_GRAFANA_USER",
        description="Grafana user; used when there is no token.",
    )
    grafana_password: SecretStr = Field(
        SecretStr(""),
        validation_alias="HOMEOSTAT_GRAFANA_PASSWORD",
        description="Password of the Grafana user.",
    )
    grafana_password_file: Path | None = Field(
        None,
        validation_alias="HOMEOSTAT_GRAFANA_PASSWORD_FILE",
        description="File that contains the password; used when the password is empty.",
    )
    monitoring_user: str = Field(
        "homeostat",
        validation_alias="HOMEOSTAT_MONITORING_USER",
        description="Name of the login at Prometheus and Alertmanager; used with the password file.",
    )
    monitoring_password_file: Path | None = Field(
        None,
        validation_alias="HOMEOSTAT_MONITORING_PASSWORD_FILE",
        description="File that contains the password of that login. Empty: `<home>/keys/monitoring.password` for those that "
        "`homeostat up` starts, and no login for others.",
    )

    @property
    def model_store_url(self) -> str:
        """URL of the model store; a folder below `home` by default."""
        return self.model_store or (self.home / "models").absolute().as_uri()

    @property
    def reports_url(self) -> str:
        """URL of the store of reports; a folder below `home` by default."""
        return self.reports or (self.home / "reports").absolute().as_uri()

    @property
    def lake_url(self) -> str:
        """Root of the lake; a folder below `home` by default."""
        return self.lake or str((self.home / "lake").absolute())
