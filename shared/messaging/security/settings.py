"""Settings of every connection to Kafka: encryption and authentication. The names are those of Kafka's own clients."""

from __future__ import annotations

from pathlib import Path
from typing import Literal

from pydantic import Field, SecretStr
from pydantic_settings import BaseSettings, SettingsConfigDict


class KafkaSettings(BaseSettings):
    """Read from the environment (`HOMEOSTAT_KAFKA_…`); frozen afterwards."""

    model_config = SettingsConfigDict(
        env_prefix="HOMEOSTAT_KAFKA_", frozen=True, extra="ignore", env_ignore_empty=True
    )

    security_protocol: Literal["PLAINTEXT", "SSL", "SASL_PLAINTEXT", "SASL_SSL"] = Field(
        "PLAINTEXT",
        description="Protocol of the broker's listener: with `SSL` connections are encrypted, with `SASL` clients log in.",
    )
    sasl_mechanism: Literal["PLAIN", "SCRAM-SHA-256", "SCRAM-SHA-512", "OAUTHBEARER"] = Field(
        "SCRAM-SHA-512", description="How clients log in, if the protocol is a `SASL` one."
    )
    username: str = Field("", description="User, for `PLAIN` and `SCRAM`.")
    password: SecretStr = Field(SecretStr(""), description="Password of the user.")
    password_file: Path | None = Field(
        None, description="File that contains the password; used when the password is empty."
    )
    oauth_token_url: str = Field(
        "",
        pattern=r"^(https?://[^\s/]+(/[^\s]*)?)?$",
        description="Token endpoint for `OAUTHBEARER`; tokens are requested with client credentials (RFC 6749, section 4.4).",
    )
    oauth_client_id: str = Field("", description="Client id for the token endpoint.")
    oauth_client_secret: SecretStr = Field(SecretStr(""), description="Client secret for the token endpoint.")
    oauth_client_secret_file: Path | None = Field(
        None, description="File that contains the client secret; used when the secret is empty."
    )
    oauth_scope: str = Field("", description="Scope of the tokens. Empty: the endpoint's default.")
    oauth_token_command: tuple[str, ...] = Field(
        (),
        description="Command that prints a token for `OAUTHBEARER`, as a JSON list of its words; used instead of an endpoint.",
    )
    ca: Path | None = Field(
        None,
        description="CA certificates (PEM) that the brokers' certificates and the token endpoint are verified with. Empty: those "
        "of the system.",
    )
    certificate: Path | None = Field(
        None, description="Certificate (PEM) of this client, for brokers that require one."
    )
    key: Path | None = Field(None, description="Private key of that certificate (PEM, without a passphrase).")
    check_hostname: bool = Field(
        True, description="Whether a broker's certificate must be for the host name that is connected to."
    )
