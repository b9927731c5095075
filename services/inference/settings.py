"""Settings of the inference service; read once, when a process starts."""

from __future__ import annotations

from typing import Literal

from pydantic import Field
from pydantic_settings import BaseSettings, SettingsConfigDict

from services.inference.declared_precision import Precision


class InferenceSettings(BaseSettings):
    """Read from the environment (`HOMEOSTAT_INFERENCE_…`); frozen afterwards."""

    model_config = SettingsConfigDict(env_prefix="HOMEOSTAT_INFERENCE_", frozen=True, extra="ignore")

    host: str = Field(
        "127.0.0.1",
        description="Address the server listens on; `bentoml serve --host` overrides it.",
    )
    port: int = Field(8000, ge=1, le=65535, description="Port; `bentoml serve --port` overrides it.")
    models: tuple[str, ...] = Field(
        (), description="Models to serve, as a JSON list. Empty: every model with a release."
    )
    workers: int = Field(
        1,
        ge=1,
        le=64,
        description="Number of server processes on the port. Each loads every model and applies the limits below separately. "
        "With CUDA, the GPUs are assigned to the processes round-robin.",
    )
    fast_path: bool = Field(
        True,
        description="Whether requests bypass BentoML's middleware, and prediction requests also ASGI. If false, they pass "
        "through BentoML to the same handlers, which is several times slower.",
    )
    model_memory_mib: int = Field(
        0,
        ge=0,
        description="Maximum memory of the loaded models in MiB, with CUDA that of the GPU; 0: no limit. Beyond it the least "
        "recently used models are unloaded, and loaded again when a request needs them.",
    )
    load_seconds: float = Field(
        10.0,
        gt=0,
        description="Maximum seconds that a request waits while its model is loaded on demand; then it gets 503 and Retry-After.",
    )
    otlp_endpoint: str = Field(
        "",
        pattern=r"^(https?://[^\s/]+(/[^\s]*)?)?$",
        description="URL of an OpenTelemetry collector (OTLP over HTTP), such as `http://127.0.0.1:4318`; spans are sent to "
        "`/v1/traces` below it. Empty: tracing is off.",
    )
    trace_ratio: float = Field(
        0.01,
        ge=0,
        le=1,
        description="Share of the requests without a `traceparent` header that are traced. A request with that header is traced "
        "if its sampled flag is set.",
    )
    device: Literal["auto", "cpu", "cuda"] = Field(
        "auto",
        description="Device for models. If CUDA is not usable, `cuda` fails at start and `auto` uses the CPU and logs why.",
    )
    precision: Precision = Field(
        "fp32",
        description="Precision of model calls. When a version is loaded in a precision other than `fp32`, its outputs are "
        "compared with float32 outputs on the CPU. `tf32` requires CUDA, `bf16` TensorRT.",
    )
    precision_by_model: dict[str, Precision] = Field(
        {},
        description="Precision of individual models, as a JSON object of model names and precisions.",
    )
    precision_tolerance: float = Field(
        0.01,
        gt=0,
        description="Maximum difference between outputs in the declared precision (or with TensorRT) and in float32 on the CPU: "
        "absolute for numbers up to 1, else relative. A version that exceeds it is not served.",
    )
    tensorrt: tuple[str, ...] = Field(
        (),
        description="Models that run with TensorRT, as a JSON list. If TensorRT is not usable, they are not served.",
    )
    operator_threads: int = Field(
        1,
        ge=0,
        description="Number of threads that onnxruntime or torch uses for one model call; 0: one per core.",
    )
    call_threads: int = Field(
        2,
        ge=1,
        description="Number of threads for model calls on the CPU that are expected to exceed "
        "`HOMEOSTAT_INFERENCE_INLINE_SECONDS`. A GPU has one thread.",
    )
    maximum_batch_rows: int = Field(
        256,
        ge=1,
        description="Maximum number of rows in a batch of several requests. A larger request is a batch of its own; on a GPU it "
        "is split.",
    )
    batch_delay_seconds: float = Field(
        0.0,
        ge=0,
        le=1,
        description="Maximum batching delay in seconds, for model calls on threads. 0: no delay; the requests queued when a "
        "thread becomes free form the next batch.",
    )
    inline_seconds: float = Field(
        0.004,
        ge=0,
        description="Model calls on the CPU that are expected to take at most this many seconds run on the event loop. Longer "
        "ones, and all calls on a GPU, run on a thread.",
    )
    poll_seconds: float = Field(0.5, gt=0, le=1, description="Seconds between polls of the release log.")
    retry_seconds: float = Field(
        10.0,
        gt=0,
        description="Seconds before a failed load of a release is retried; doubled after each failure, up to 600.",
    )
    candidate_seconds: float = Field(
        120.0,
        gt=0,
        description="Time limit in seconds for loading and probing a new version in an isolated process; beyond it the "
        "version is not served.",
    )
    candidate_memory_bytes: int = Field(
        0,
        ge=0,
        description="Memory limit in bytes of the isolated process that probes a new version; 0: three quarters of the available "
        "memory. There is no limit with CUDA.",
    )
    probe_rows: int = Field(
        256,
        ge=1,
        description="Number of reference rows scored before a version is served; the scores must match those recorded at "
        "packaging.",
    )
    probe_tolerance: float = Field(
        1e-3,
        gt=0,
        description="Maximum difference, absolute or relative, between a score and the score recorded at packaging, and "
        "between scores of the same row in different batches.",
    )
    maximum_body_bytes: int = Field(
        16 << 20, ge=1024, description="Maximum size of a request body in bytes, also after decompression."
    )
    maximum_buffered_bytes: int = Field(
        256 << 20,
        ge=1024,
        description="Maximum size in bytes of all request bodies that are still being received.",
    )
    maximum_rows: int = Field(10_000, ge=1, description="Maximum rows, or outcomes, in one request.")
    maximum_in_flight: int = Field(
        256,
        ge=1,
        description="Maximum number of concurrent requests; further ones get 503 with Retry-After. Requests whose model "
        "call is queued for the event loop do not count; `HOMEOSTAT_INFERENCE_QUEUE_SECONDS` limits them.",
    )
    queue_seconds: float = Field(
        2.0,
        gt=0,
        description="Maximum expected queueing time of a model call, in seconds; above it requests get 503 with Retry-After.",
    )
    receive_seconds: float = Field(
        10.0,
        gt=0,
        description="Timeout in seconds for receiving the headers of a request, and again for its body.",
    )
    drain_seconds: float = Field(
        0.0,
        ge=0,
        # BentoML's supervisor kills a process 30 s after it was told to end, and the last requests need time after the drain.
        le=20,
        description="Seconds for which a server still answers requests after SIGTERM, at most 20. Meanwhile, `/health/ready` "
        "returns 503 and each response has `Connection: close`. Behind a load balancer, set it above the interval of its health "
        "checks and its timeout for unused connections.",
    )
    maximum_file_bytes: int = Field(
        256 << 20, ge=1024, description="Maximum size of a batch task's file in bytes."
    )
    maximum_file_rows: int = Field(
        1_000_000, ge=1, description="Maximum number of rows in a batch task's file."
    )
    maximum_tasks: int = Field(
        100,
        ge=1,
        description="Maximum number of stored batch tasks. A further task replaces the oldest finished one; if none is "
        "finished, the submission gets 503.",
    )
    task_hours: float = Field(24.0, gt=0, description="Hours after which a finished batch task is deleted.")
    spool_bytes: int = Field(
        2 << 30,
        ge=1 << 20,
        description="Maximum size of the spool in bytes. `HOMEOSTAT_INFERENCE_SPOOL_FULL` says what happens when it is full.",
    )
    spool_seconds: float = Field(
        0.0,
        ge=0,
        description="Maximum age of the oldest row on the spool that Kafka has not acknowledged, in seconds; 0: no maximum.",
    )
    spool_full: Literal["drop", "refuse"] = Field(
        "drop",
        description="What to do with a request whose rows the spool cannot take: answer it and count its rows as dropped, or "
        "refuse it with 503. Rows of refused requests are counted as dropped, too.",
    )
    spool_fsync: Literal["never", "interval", "always"] = Field(
        "never",
        description="When rows are synced to the disk. A killed process never loses rows. A power cut loses what the kernel has "
        "not written: usually the last 30 s (`never`), at most the last `HOMEOSTAT_INFERENCE_SPOOL_FSYNC_SECONDS` (`interval`), "
        "or no answered row (`always`, which adds a disk write to each answer).",
    )
    spool_fsync_seconds: float = Field(
        1.0, gt=0, description="Seconds between two syncs of the spool with `interval`."
    )
