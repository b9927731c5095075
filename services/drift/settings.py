"""Settings of the drift service; read once, when the process starts."""

from __future__ import annotations

from pydantic import Field
from pydantic_settings import BaseSettings, SettingsConfigDict


class DriftSettings(BaseSettings):
    """Read from the environment (`HOMEOSTAT_DRIFT_…`); frozen afterwards."""

    model_config = SettingsConfigDict(env_prefix="HOMEOSTAT_DRIFT_", frozen=True, extra="ignore")

    host: str = Field("127.0.0.1", description="Address that the HTTP server listens on.")
    port: int = Field(8002, ge=1, le=65535, description="Port of the HTTP server.")
    names: str = Field(
        "",
        description="Additional host names accepted in the Host header, comma separated. Loopback names and the value of "
        "`HOMEOSTAT_DRIFT_HOST` are always accepted.",
    )
    poll_seconds: float = Field(
        0.5, gt=0, le=60, description="Seconds between two polls of the lake and the release log."
    )
    sample_rows: int = Field(
        5000,
        ge=200,
        description="Maximum number of rows of a window, and of the reference, that Evidently compares. Thresholds are "
        "calibrated for this number.",
    )
    kept_reports: int = Field(
        20,
        ge=1,
        description="Number of newest reports kept per model, in addition to those of verdicts that a person has to decide on. "
        "A deleted report is rendered again on request.",
    )
    report_days: float = Field(
        90.0,
        gt=0,
        le=36500,
        description="Days after which a report is deleted, except the newest of its model and those of verdicts that a person "
        "has to decide on.",
    )
    retraining_url: str = Field(
        "http://127.0.0.1:8003",
        description="Base URL of retraining, which knows the verdicts that a person has to decide on; while it does not respond, "
        "no report is deleted. The key in `HOMEOSTAT_API_KEY_FILE` or `HOMEOSTAT_API_KEY` is sent, which needs the scope read. "
        "Empty: there is no retraining.",
    )
    stream: bool = Field(
        True,
        description="Whether stream detectors watch the predictions topic. If false, only windows are evaluated, with the same "
        "thresholds.",
    )
    stream_generations: int = Field(
        128,
        ge=1,
        description="Maximum number of generations, over all models, with stream detectors in memory. For other "
        "generations only windows are evaluated.",
    )
    shared: bool = Field(
        False,
        description="Whether several drift processes share the models as members of one consumer group. All of "
        "them need this setting and the same `HOMEOSTAT_HOME`, on a file system with locks.",
    )
    publish_retry_seconds: float = Field(
        1.0,
        gt=0,
        le=60,
        description="Seconds between retries to publish verdicts while Kafka is unavailable.",
    )
    publish_timeout_seconds: float = Field(
        10.0,
        gt=0,
        le=120,
        description="Seconds to wait for the broker to acknowledge a verdict; after that it counts as not published.",
    )
