"""Settings every service shares. Each service adds its own in its `settings.py`; all are read once, at start."""

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

    # Each names its variable: a service's own class has another prefix, and these keep theirs in it.
    home: Path = Field(
        Path(".homeostat"),
        validation_alias="HOMEOSTAT_HOME",
        description="Data root: everything this installation writes lies below it.",
    )
    model_store: str = Field(
        "",
        validation_alias="HOMEOSTAT_MODEL_STORE",
        description="Where versions and release logs are kept: a URL (file, s3, gs, az). Empty: `<home>/models`.",
    )
    lake: str = Field(
        "",
        validation_alias="HOMEOSTAT_LAKE",
        description="Root of the lake's Delta tables: a folder or URL. Empty: `<home>/lake`.",
    )
    kafka: str = Field(
        "127.0.0.1:9092",
        validation_alias="HOMEOSTAT_KAFKA",
        description="Kafka bootstrap servers, comma separated.",
    )
    log_format: Literal["json", "console"] = Field(
        "json",
        validation_alias="HOMEOSTAT_LOG_FORMAT",
        description="Form of the log lines on standard error: `json` for machines, `console` for people.",
    )
    log_level: Literal["debug", "info", "warning", "error"] = Field(
        "info", validation_alias="HOMEOSTAT_LOG_LEVEL", description="Least severe log line shown."
    )
    grafana_url: str = Field(
        "",
        validation_alias="HOMEOSTAT_GRAFANA_URL",
        description="Base URL of the Grafana that gets the boards and, from drift and retraining, the annotations. "
        "Empty: none is written to.",
    )
    grafana_token: SecretStr = Field(
        SecretStr(""),
        validation_alias="HOMEOSTAT_GRAFANA_TOKEN",
        description="Token of a Grafana service account with the role Editor; the role Admin to publish a data source.",
    )
    grafana_token_file: Path | None = Field(
        None,
        validation_alias="HOMEOSTAT_GRAFANA_TOKEN_FILE",
        description="File that holds the token, where it is not given itself.",
    )
    grafana_user: str = Field(
        "",
        validation_alias="HOMEOSTAT_GRAFANA_USER",
        description="Grafana user, where there is no token.",
    )
    grafana_password: SecretStr = Field(
        SecretStr(""),
        validation_alias="HOMEOSTAT_GRAFANA_PASSWORD",
        description="Password of the Grafana user.",
    )
    grafana_password_file: Path | None = Field(
        None,
        validation_alias="HOMEOSTAT_GRAFANA_PASSWORD_FILE",
        description="File that holds the password, where it is not given itself.",
    )

    @property
    def model_store_url(self) -> str:
        """URL of the model store; the folder below `home` unless set."""
        return self.model_store or (self.home / "models").absolute().as_uri()

    @property
    def lake_url(self) -> str:
        """Root of the lake; the folder below `home` unless set."""
        return self.lake or str((self.home / "lake").absolute())
