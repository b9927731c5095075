"""Settings of the console."""

from __future__ import annotations

from pathlib import Path

from pydantic import Field
from pydantic_settings import SettingsConfigDict

from shared.settings import HomeostatSettings


class ConsoleSettings(HomeostatSettings):
    """Read from the environment (`HOMEOSTAT_CONSOLE_…`); the services' addresses are the ones that every client reads."""

    model_config = SettingsConfigDict(
        env_prefix="HOMEOSTAT_CONSOLE_", frozen=True, extra="ignore", populate_by_name=True
    )

    host: str = Field("127.0.0.1", description="Address the console listens on. It has no login.")
    port: int = Field(8005, ge=1, le=65535, description="Port the console listens on.")
    names: str = Field(
        "",
        description="Additional host names accepted in the Host header, comma separated; others get 421. "
        "Loopback names and the value of `HOMEOSTAT_CONSOLE_HOST` are always accepted.",
    )
    actor_header: str = Field(
        "",
        description="Request header with the user's name, set by your proxy. Empty: the page asks for the name.",
    )
    servers: str = Field(
        "",
        description="Base URLs of the inference servers to show, comma separated. Empty: `HOMEOSTAT_INFERENCE_URL`.",
    )
    stack_state: Path | None = Field(
        None,
        description="State file of the local stack: addresses, log files and restart counts of its processes. "
        "Empty: `<home>/run/supervisor.json`.",
    )
    inference_url: str = Field(
        "",
        validation_alias="HOMEOSTAT_INFERENCE_URL",
        description="Base URL of inference. Empty: the local stack's inference, else 127.0.0.1:8000.",
    )
    shipper_url: str = Field(
        "",
        validation_alias="HOMEOSTAT_SHIPPER_URL",
        description="Base URL of the shipper. Empty: the local stack's shipper, else 127.0.0.1:8001.",
    )
    drift_url: str = Field(
        "",
        validation_alias="HOMEOSTAT_DRIFT_URL",
        description="Base URL of drift. Empty: the local stack's drift, else 127.0.0.1:8002.",
    )
    retraining_url: str = Field(
        "",
        validation_alias="HOMEOSTAT_RETRAINING_URL",
        description="Base URL of retraining. Empty: the local stack's retraining, else 127.0.0.1:8003.",
    )
    sink_url: str = Field(
        "",
        validation_alias="HOMEOSTAT_SINK_URL",
        description="Base URL of the sink. Empty: the local stack's sink, else 127.0.0.1:8004.",
    )
    prometheus_url: str = Field(
        "",
        validation_alias="HOMEOSTAT_PROMETHEUS_URL",
        description="Base URL of Prometheus. Empty: the local stack's, if there is one; else the console does not show it.",
    )
    alertmanager_url: str = Field(
        "",
        validation_alias="HOMEOSTAT_ALERTMANAGER_URL",
        description="Base URL of Alertmanager. Empty: the local stack's, if there is one; else the console does not show it.",
    )

    @property
    def server_urls(self) -> tuple[str, ...]:
        """The inference servers that a setting names."""
        return tuple(url.strip().rstrip("/") for url in self.servers.split(",") if url.strip())
