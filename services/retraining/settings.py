"""Settings of the retraining service; read once, when the process starts."""

from __future__ import annotations

from pathlib import Path
from typing import Literal

from pydantic import Field
from pydantic_settings import BaseSettings, SettingsConfigDict


class RetrainingSettings(BaseSettings):
    """Read from the environment (`HOMEOSTAT_RETRAINING_…`); immutable."""

    model_config = SettingsConfigDict(env_prefix="HOMEOSTAT_RETRAINING_", frozen=True, extra="ignore")

    host: str = Field("127.0.0.1", description="Address the service listens on.")
    port: int = Field(8003, ge=0, le=65535, description="Port; 0 selects a free one.")
    names: str = Field(
        "",
        description="Additional host names accepted in the Host header, comma separated. Loopback names and the value of "
        "`HOMEOSTAT_RETRAINING_HOST` are always accepted.",
    )
    pages_url: str = Field(
        "",
        description="URL at which people open the console or this service, for links to gate results in MLflow and annotations. "
        "Empty: the address that this service listens on.",
    )
    ledger: str = Field(
        "", description="SQLAlchemy URL of the ledger: SQLite or Postgres. Empty: `<home>/ledger.sqlite`."
    )
    password_file: Path | None = Field(
        None,
        description="File with the password of the Postgres user; used when the ledger URL contains no password.",
    )
    listen: bool = Field(
        True,
        description="Whether to consume verdicts from Kafka. If false, verdicts start no runs: only schedules, and "
        "requests and alerts that are sent to `POST /triggers`, do.",
    )
    consumer_group: str = Field(
        "homeostat-retraining", description="Kafka consumer group of the verdict consumer."
    )
    runs_at_once: int = Field(
        2,
        ge=1,
        description="Maximum number of runs executed at the same time, each of another model; the oldest begins first.",
    )
    maximum_models: int = Field(
        1000,
        ge=1,
        description="Maximum number of models with a release. Deploying the first version of another model is refused; "
        "existing models are not affected. Inference, drift and their metrics grow with this number.",
    )
    project_roots: str = Field(
        "",
        description="Folders, separated by colons, below which all project folders are trusted. Other project folders must "
        "belong to the service's user, and nobody else may be able to write there or replace a folder above them.",
    )
    poll_seconds: float = Field(
        2.0,
        gt=0,
        le=10,
        description="Seconds between polls of the ledger for work that another process has recorded, and between attempts to "
        "take the leader lease. Work of this process starts at once.",
    )
    attempts: int = Field(
        3,
        ge=1,
        description="Maximum number of starts of one step of a run. A step starts again if the service crashed during it; after "
        "this many crashes in the same step, the run is abandoned. Stopping the service does not count.",
    )
    niceness: int = Field(
        5,
        ge=0,
        le=19,
        description="Niceness of the training process; higher values leave more CPU time to serving.",
    )
    training_user: str = Field(
        "",
        description="Name of the user that runs training commands, if retraining runs as root. Of the home, it can access "
        "only the files of its run. Empty: the user of the service.",
    )
    training_memory_bytes: int = Field(
        0,
        ge=0,
        description="Memory limit in bytes of every training command, of each of its processes and of all together; 0: only what "
        "`training.memory_mib` in `loop.yaml` says.",
    )
    training_total_memory_bytes: int = Field(
        0,
        ge=0,
        description="Memory in bytes that the training commands of all runs share. A run starts only if its "
        "`training.memory_mib` is free; if that is not set, its limit is this memory divided by "
        "`HOMEOSTAT_RETRAINING_RUNS_AT_ONCE`. 0: runs start regardless of memory.",
    )
    training_cpu_seconds: int = Field(
        0,
        ge=0,
        description="CPU time in seconds that each process of a training command may use; 0: only what `training.cpu_time` in "
        "`loop.yaml` says.",
    )
    training_network: Literal["allow", "none"] = Field(
        "allow",
        description="`none`: no training command has a network, whatever `training.network` in `loop.yaml` says.",
    )
    dask: str = Field(
        "",
        description="Address of the Dask scheduler for models with `training.launcher: dask`, such as `tcp://scheduler:8786`. "
        "Needs the extra `dask`.",
    )
    kubernetes_image: str = Field(
        "",
        description="Image of the jobs of models with `training.launcher: kubernetes`: Homeostat, and what the training commands "
        "import. Needs the extra `kubernetes`.",
    )
    kubernetes_namespace: str = Field("default", description="Namespace of these jobs.")
    kubernetes_claim: str = Field(
        "",
        description="PersistentVolumeClaim in this namespace whose root is HOMEOSTAT_HOME, with the project folders below it.",
    )
    kubernetes_pending_seconds: float = Field(
        1800.0,
        gt=0,
        description="Seconds that the pod of a Kubernetes job may wait for a node and its image; then the job is deleted, and "
        "the run fails.",
    )
    reference_rows: int = Field(
        20_000, ge=100, le=20_000, description="Maximum number of rows in a version's reference.parquet."
    )
    model_seconds: float = Field(
        600.0,
        gt=0,
        description="Time limit in seconds for loading and scoring a model in one step of a run. This happens in an isolated "
        "process; at the limit it is killed, and the run ends.",
    )
    model_memory_bytes: int = Field(
        0,
        ge=0,
        description="Memory limit in bytes of the isolated process in which a model is loaded and scored; 0: two fifths of the "
        "available memory, as champion and challenger are evaluated at the same time.",
    )
    expectations_python: str = Field(
        "",
        description="Python that has great_expectations 1 and pyarrow, for models with `gate.expectations` in `loop.yaml`.",
    )
    latency_calls: int = Field(
        60,
        ge=5,
        description="Number of calls per model, with 1 row and again with 64 rows, whose latency the gate measures.",
    )
    bad_windows: bool = Field(
        True,
        description="Whether to exclude rows of windows with verdict data_fault from training and holdout.",
    )
    watch_seconds: float = Field(
        5.0, gt=0, le=3600, description="Seconds between two evaluations of the watched releases."
    )
    schedule_seconds: float = Field(
        10.0,
        gt=0,
        le=3600,
        description="Seconds between two checks for schedules that are due, or for enough new rows, without a verdict.",
    )
    schedule_grace_seconds: float = Field(
        60.0,
        ge=0,
        description="Seconds for which a schedule that is due, or enough new rows, wait for a verdict on performance before they "
        "fire without one.",
    )
    inference_urls: str = Field(
        "http://127.0.0.1:8000",
        description="Base URL of each inference server, comma separated; not that of a load balancer. While a run's "
        "canary or shadow is tried, their metrics are read to compare it with the live version. The requests carry "
        "the key in `HOMEOSTAT_API_KEY_FILE` or `HOMEOSTAT_API_KEY`, which needs the scope `read`.",
    )
    guard_seconds: float = Field(
        1.0, gt=0, le=60, description="Seconds between two evaluations of a run's canary or shadow."
    )
    mlflow: bool = Field(True, description="Whether runs and versions are sent to MLflow.")
    mlflow_uri: str = Field("", description="MLflow tracking URI. Empty: SQLite at `<home>/mlflow.sqlite`.")
    mlflow_seconds: float = Field(
        5.0, gt=0, description="Seconds between attempts to send ledger entries to MLflow."
    )
    maximum_body_bytes: int = Field(4 << 20, ge=1024, description="Maximum size of a request body in bytes.")
