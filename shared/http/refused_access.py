"""The metric of requests that the access check refuses: floods of them are guesses, or a client with an old key."""

from __future__ import annotations

from typing import Final

from prometheus_client import CollectorRegistry, Counter

STATUSES: Final = (401, 403, 429)


class RefusedAccess:
    """Counts them by status, on `registry`."""

    def __init__(self, registry: CollectorRegistry) -> None:
        self._refused = Counter(
            "homeostat_access_refusals_total",
            "Requests refused, by HTTP status: no valid credentials (401), not the scope (403), above the key's rate (429).",
            ("status",),
            registry=registry,
        )
        for status in STATUSES:
            self._refused.labels(str(status))

    def count(self, error: Exception) -> None:
        """Count the refusal of a request; other errors are not counted."""
        status = getattr(error, "status", 0)
        if status in STATUSES:
            self._refused.labels(str(status)).inc()
