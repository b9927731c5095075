"""Settings of the retraining service; read once, when the process starts."""

from __future__ import annotations

from pathlib import Path

from pydantic import Field
from pydantic_settings import BaseSettings, SettingsConfigDict


class RetrainingSettings(BaseSettings):
    """Read from the environment (`HOMEOSTAT_RETRAINING_…`); frozen afterwards."""

    model_config = SettingsConfigDict(env_prefix="HOMEOSTAT_RETRAINING_", frozen=True, extra="ignore")

    host: str = Field("127.0.0.1", description="Address the service listens on.")
    port: int = Field(8003, ge=0, le=65535, description="Port; 0 takes a free one.")
    names: str = Field(
        "",
        description="Host names the service may be asked for by besides this machine's own and `host`, comma separated.",
    )
    ledger: str = Field(
        "", description="SQLAlchemy URL of the ledger: SQLite or Postgres. Empty: `<home>/ledger.sqlite`."
    )
    steps: str = Field(
        "",
        description="SQLAlchemy URL of the store of durable steps: SQLite or Postgres. Empty: `<home>/dbos.sqlite`.",
    )
    password_file: Path | None = Field(
        None,
        description="File that holds the password of the Postgres user, for a ledger and steps whose URLs name none.",
    )
    listen: bool = Field(
        True, description="Whether verdicts are read from Kafka. Off: only `POST /triggers` starts anything."
    )
    consumer_group: str = Field(
        "homeostat-retraining", description="Kafka consumer group of the verdict listener."
    )
    runs_at_once: int = Field(1, ge=1, description="Runs at work at the same time, over all models.")
    poll_seconds: float = Field(
        0.25,
        gt=0,
        le=10,
        description="Seconds between two looks for runs to drive, and of a waiting service at the lease.",
    )
    attempts: int = Field(
        3,
        ge=1,
        description="Times a training that died with its service is begun again before the run fails.",
    )
    niceness: int = Field(
        5, ge=0, le=19, description="How far the training command steps back for serving on the same machine."
    )
    reference_rows: int = Field(
        20_000, ge=100, le=20_000, description="Most rows in a version's reference.parquet."
    )
    latency_calls: int = Field(60, ge=5, description="Single-row calls timed per model at the gate.")
    bad_windows: bool = Field(
        True,
        description="Whether rows of windows that drift found faulty are left out of training and holdout.",
    )
    mlflow: bool = Field(True, description="Whether runs and versions are mirrored to MLflow.")
    mlflow_uri: str = Field("", description="MLflow tracking URI. Empty: SQLite at `<home>/mlflow.sqlite`.")
    mlflow_seconds: float = Field(
        5.0, gt=0, description="Seconds between two tries to feed the MLflow mirror."
    )
    maximum_body_bytes: int = Field(4 << 20, ge=1024, description="Largest request body in bytes.")
