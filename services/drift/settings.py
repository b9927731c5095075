"""Settings of the drift service; read once, when the process starts."""

from __future__ import annotations

from pydantic import Field
from pydantic_settings import BaseSettings, SettingsConfigDict


class DriftSettings(BaseSettings):
    """Read from the environment (`HOMEOSTAT_DRIFT_…`); frozen afterwards."""

    model_config = SettingsConfigDict(env_prefix="HOMEOSTAT_DRIFT_", frozen=True, extra="ignore")

    host: str = Field("127.0.0.1", description="Address the HTTP door listens on.")
    port: int = Field(8002, ge=1, le=65535, description="Port of the HTTP door.")
    names: str = Field(
        "",
        description="Host names the service may be asked for by besides this machine's own and `host`, comma separated.",
    )
    poll_seconds: float = Field(
        0.5, gt=0, le=60, description="Seconds between two looks at the lake and the release log."
    )
    sample_rows: int = Field(
        5000,
        ge=200,
        description="Most rows a side that Evidently is given; thresholds know the sample's size.",
    )
    kept_reports: int = Field(
        20,
        ge=1,
        description="Drawn reports kept per model, the newest; one that was removed is drawn again when someone looks.",
    )
    publish_retry_seconds: float = Field(
        1.0, gt=0, le=60, description="Seconds between two tries to publish verdicts while Kafka is away."
    )
    publish_timeout_seconds: float = Field(
        10.0,
        gt=0,
        le=120,
        description="Seconds the broker has to acknowledge a verdict; then it counts as not published.",
    )
