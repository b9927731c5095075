"""Settings of the console."""

from __future__ import annotations

from ipaddress import ip_network
from pathlib import Path
from urllib.parse import urlsplit

from pydantic import Field, SecretStr, field_validator
from pydantic_settings import SettingsConfigDict

from shared.settings import HomeostatSettings


class ConsoleSettings(HomeostatSettings):
    """Read from the environment (`HOMEOSTAT_CONSOLE_…`); the services' addresses are the ones that every client reads."""

    model_config = SettingsConfigDict(
        env_prefix="HOMEOSTAT_CONSOLE_", frozen=True, extra="ignore", populate_by_name=True
    )

    host: str = Field("127.0.0.1", description="Address the console listens on.")
    port: int = Field(8005, ge=1, le=65535, description="Port the console listens on.")
    names: str = Field(
        "",
        description="Additional host names accepted in the Host header, comma separated; others get 421. "
        "Loopback names and the value of `HOMEOSTAT_CONSOLE_HOST` are always accepted.",
    )
    url: str = Field(
        "",
        description="URL at which browsers reach the console if a proxy is in front, such as `https://console.example.org`. With "
        "https, the session's cookie is sent over TLS only. Its host name is accepted in the Host header.",
    )
    trusted_proxies: str = Field(
        "",
        description="Addresses and networks of the proxies in front of the console, comma separated. `X-Forwarded-For` is read "
        "only in requests from them. Empty: it is never read.",
    )
    session_idle_minutes: float = Field(
        120.0,
        gt=0,
        description="Minutes without a page load or an action after which a person is logged out.",
    )
    session_hours: float = Field(12.0, gt=0, description="Hours after which a person has to log in again.")
    maximum_sessions: int = Field(
        200,
        ge=1,
        description="Maximum number of sessions. Above it, the person with the most sessions is logged out of the least recently "
        "used one.",
    )
    api_key: SecretStr = Field(
        SecretStr(""),
        validation_alias="HOMEOSTAT_API_KEY",
        description="API key with the scope `read`, with which the console polls the services. Actions are sent with the key "
        "of the person who is logged in.",
    )
    api_key_file: Path | None = Field(
        None,
        validation_alias="HOMEOSTAT_API_KEY_FILE",
        description="File that contains the API key; used when `HOMEOSTAT_API_KEY` is empty.",
    )
    oidc_client_id: str = Field(
        "",
        description="Id of the console as a client of the identity provider (`HOMEOSTAT_OIDC_ISSUER`), with which people log in. "
        "Its redirect URI is `<URL of the console>/login/callback`. Empty: people log in with API keys.",
    )
    oidc_client_secret: SecretStr = Field(
        SecretStr(""), description="Secret of that client; empty for a public client."
    )
    oidc_client_secret_file: Path | None = Field(
        None, description="File that contains the secret; used when the secret is empty."
    )
    oidc_scopes: str = Field(
        "openid",
        description="Scopes to request, separated by spaces: `openid`, those that give the person's access token its rights, and "
        "`offline_access` where the provider gives refresh tokens only for it.",
    )
    oidc_parameters: str = Field(
        "",
        description="More parameters of the authorization request, as in a URL: `audience=https://homeostat.example.org`.",
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

    @field_validator("trusted_proxies")
    @classmethod
    def _check_proxies(cls, given: str) -> str:
        names = [name.strip() for name in given.split(",") if name.strip()]
        for name in names:
            try:
                ip_network(name)
            except ValueError:
                raise ValueError(
                    f"{name[:60]!r} is not an IP address or network such as 10.0.0.0/8"
                ) from None
        return ",".join(names)

    @property
    def is_secure(self) -> bool:
        """Whether browsers reach the console by https."""
        return urlsplit(self.url).scheme == "https"

    @property
    def all_names(self) -> str:
        """The additional host names, with that of `url`."""
        return f"{self.names},{urlsplit(self.url).hostname or ''}"

    @property
    def server_urls(self) -> tuple[str, ...]:
        """The inference servers that a setting names."""
        return tuple(url.strip().rstrip("/") for url in self.servers.split(",") if url.strip())
