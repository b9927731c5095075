"""Settings of the inference service; read once, when a process starts."""

from __future__ import annotations

from typing import Literal

from pydantic import Field
from pydantic_settings import BaseSettings, SettingsConfigDict


class InferenceSettings(BaseSettings):
    """Read from the environment (`HOMEOSTAT_INFERENCE_…`); frozen afterwards."""

    model_config = SettingsConfigDict(env_prefix="HOMEOSTAT_INFERENCE_", frozen=True, extra="ignore")

    host: str = Field(
        "127.0.0.1",
        description="Address the server listens on, unless `bentoml serve --host` says otherwise.",
    )
    port: int = Field(8000, ge=1, le=65535, description="Port, unless `bentoml serve --port` says otherwise.")
    models: tuple[str, ...] = Field(
        (), description="Models to serve, as a JSON list. Empty: every model with a release."
    )
    device: Literal["auto", "cpu", "cuda"] = Field(
        "auto",
        description="Where models run. `cuda` fails where CUDA cannot be used; `auto` takes it if it can and says so.",
    )
    operator_threads: int = Field(
        1, ge=0, description="Threads onnxruntime uses inside one call; 0: one per core."
    )
    call_threads: int = Field(
        2, ge=1, description="Threads for calls too long to be made between two requests."
    )
    inline_seconds: float = Field(
        0.004,
        ge=0,
        description="Calls expected to take longer than this, in seconds, are made on a thread of their own.",
    )
    poll_seconds: float = Field(0.5, gt=0, le=1, description="Seconds between two looks at the release log.")
    retry_seconds: float = Field(
        10.0,
        gt=0,
        description="Seconds until a release that could not be loaded is tried again; doubled each time, to at most 600.",
    )
    probe_rows: int = Field(
        256, ge=1, description="Reference rows a version must score as before, ahead of serving them."
    )
    probe_tolerance: float = Field(
        1e-3,
        gt=0,
        description="Greatest difference between a reference row's score and this server's, absolute and relative.",
    )
    maximum_body_bytes: int = Field(
        16 << 20, ge=1024, description="Largest request body in bytes, also after decompression."
    )
    maximum_buffered_bytes: int = Field(
        256 << 20,
        ge=1024,
        description="Bytes of unfinished request bodies held at once, over all connections.",
    )
    maximum_rows: int = Field(10_000, ge=1, description="Most rows, or outcomes, in one request.")
    maximum_in_flight: int = Field(
        256, ge=1, description="Requests being answered at once; more get 503 with Retry-After."
    )
    receive_seconds: float = Field(
        10.0, gt=0, description="Seconds a client may take to send a request's body."
    )
    spool_bytes: int = Field(
        2 << 30,
        ge=1 << 20,
        description="Bound of the spool in bytes; rows beyond it are answered but dropped from the log, and counted.",
    )
