"""Health endpoints: the same two paths and bodies in every service."""

from __future__ import annotations

from typing import Final

LIVE: Final = "/health/live"
READY: Final = "/health/ready"
METRICS: Final = "/metrics"


def live() -> dict[str, bool]:
    """The body of `/health/live`: the process is running."""
    return {"live": True}


def ready(is_ready: bool) -> tuple[dict[str, bool], int]:
    """Body and status of `/health/ready`: 200 if the service can do its work, 503 if not."""
    return {"ready": is_ready}, 200 if is_ready else 503
