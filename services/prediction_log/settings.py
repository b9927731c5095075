"""Settings of the shipper (`HOMEOSTAT_SHIPPER_…`) and the sink (`HOMEOSTAT_SINK_…`)."""

from __future__ import annotations

from pydantic import Field
from pydantic_settings import BaseSettings, SettingsConfigDict

from shared.contracts.topics import MAX_RECORD_BYTES


class ShipperSettings(BaseSettings):
    """Settings of the shipper."""

    model_config = SettingsConfigDict(env_prefix="HOMEOSTAT_SHIPPER_", frozen=True, extra="ignore")

    host: str = Field("127.0.0.1", description="Address of the metrics server.")
    port: int = Field(8001, ge=0, le=65535, description="Port of the metrics server; 0 selects a free one.")
    batch_rows: int = Field(5000, ge=1, description="Maximum rows in one Kafka record.")
    batch_seconds: float = Field(
        0.2, gt=0, description="Maximum batching delay of a row before it is sent to Kafka, in seconds."
    )
    record_bytes: int = Field(
        900_000,
        ge=1000,
        description="Maximum size of a Kafka record, in bytes; must be below the broker's message.max.bytes.",
    )
    delivery_seconds: float = Field(
        15.0,
        gt=1,
        description="Delivery timeout: a record not acknowledged within this many seconds is sent again.",
    )
    drain_seconds: float = Field(
        0.0,
        ge=0,
        description="Seconds for which the shipper goes on after SIGTERM until everything on the spool is shipped; 0: it ends at "
        "once, and the rest is shipped after its next start. For machines that do not come back, such as pods.",
    )


class SinkSettings(BaseSettings):
    """Settings of the sink."""

    model_config = SettingsConfigDict(env_prefix="HOMEOSTAT_SINK_", frozen=True, extra="ignore")

    host: str = Field("127.0.0.1", description="Address of the metrics server.")
    port: int = Field(8004, ge=0, le=65535, description="Port of the metrics server; 0 selects a free one.")
    group: str = Field(
        "homeostat-sink", description="Kafka consumer group; must be the same for all sinks of one lake."
    )
    commit_seconds: float = Field(
        0.4,
        gt=0,
        description="Maximum batching delay of a record before it is committed to the lake, in seconds. A record after a "
        "pause of that length is committed at once.",
    )
    maximum_record_bytes: int = Field(
        MAX_RECORD_BYTES,
        ge=1000,
        description="Maximum size of a Kafka record, in bytes; larger ones become dead letters.",
    )
    commit_records: int = Field(500, ge=1, description="Maximum records in one commit.")
    compact_commits: int = Field(
        100,
        ge=2,
        description="Number of commits to a table between two compactions (merging of small files).",
    )
    retention_days: float = Field(
        7.0,
        ge=1,
        description="Days after which files are deleted that the newest version of a table no longer uses. Until then, a "
        "reader that has opened an older version can read it.",
    )
    hold_hours: float = Field(
        24.0,
        gt=0,
        description="Hours for which an outcome waits for its prediction. One whose prediction is not in the lake then becomes "
        "a dead letter with the reason unknown_prediction.",
    )
    keep_days: float = Field(
        0.0,
        ge=0,
        description="Days after which predictions and outcomes are deleted from the lake, counted from their arrival or "
        "import; 0 keeps them. Runs keep the rows that their version was trained on.",
    )
    log_hours: float = Field(
        1.0,
        gt=0,
        le=24 * 7,
        description="Hours for which commits stay in the log of a table. An older version can be opened only while its commit is "
        "in it; a retraining run opens the version of its snapshot. Opening a table takes longer with each commit in the log.",
    )
