"""Settings of the shipper (`HOMEOSTAT_SHIPPER_…`) and the sink (`HOMEOSTAT_SINK_…`)."""

from __future__ import annotations

from pydantic import Field
from pydantic_settings import BaseSettings, SettingsConfigDict


class ShipperSettings(BaseSettings):
    """What the shipper reads at start."""

    model_config = SettingsConfigDict(env_prefix="HOMEOSTAT_SHIPPER_", frozen=True, extra="ignore")

    host: str = Field("127.0.0.1", description="Address the metrics door listens on.")
    port: int = Field(8001, ge=0, le=65535, description="Port of the metrics door; 0 takes any free one.")
    batch_rows: int = Field(5000, ge=1, description="Most rows in one Kafka record.")
    batch_seconds: float = Field(
        0.2, gt=0, description="Longest a row waits for others to share its record, in seconds."
    )
    record_bytes: int = Field(
        900_000,
        ge=1000,
        description="Largest Kafka record sent, in bytes; below the broker's message.max.bytes.",
    )
    delivery_seconds: float = Field(
        15.0,
        gt=1,
        description="A record not acknowledged after this many seconds is sent again from the spool.",
    )


class SinkSettings(BaseSettings):
    """What the sink reads at start."""

    model_config = SettingsConfigDict(env_prefix="HOMEOSTAT_SINK_", frozen=True, extra="ignore")

    host: str = Field("127.0.0.1", description="Address the metrics door listens on.")
    port: int = Field(8004, ge=0, le=65535, description="Port of the metrics door; 0 takes any free one.")
    group: str = Field("homeostat-sink", description="Kafka consumer group; sinks of one lake share it.")
    commit_seconds: float = Field(
        0.7, gt=0, description="Longest a record waits for others to share its commit, in seconds."
    )
    maximum_record_bytes: int = Field(
        8 << 20, ge=1000, description="A Kafka record larger than this becomes a dead letter, in bytes."
    )
    commit_records: int = Field(500, ge=1, description="Records after which a commit is made at once.")
    compact_commits: int = Field(
        100, ge=2, description="Commits of a table after which its small files are merged."
    )
    retention_days: float = Field(
        7.0,
        ge=1,
        description="Days for which older versions of the tables stay readable; runs read the version they froze.",
    )
