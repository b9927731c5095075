"""The verdicts that a person has still to decide on, as retraining knows them."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from shared.access.client_key import ClientKey
from shared.errors import DependencyUnavailable
from shared.http.service_client import ServiceClient

_SECONDS = 5.0


@dataclass(frozen=True)
class OpenDecisions:
    """Of the retraining service at `url`; none without one. `key`: called for each request, so that a renewed key is used."""

    url: str
    key: Callable[[], ClientKey]

    def __call__(self) -> frozenset[str]:
        """Keys of causes. Raises HomeostatError if retraining does not say."""
        if not self.url:
            return frozenset()
        client = ServiceClient(
            "retraining", self.url, timeout_s=_SECONDS, api_key=self.key().for_url(self.url)
        )
        found = client.get("/decisions/open")
        causes = found.get("causes") if isinstance(found, dict) else None
        if not isinstance(causes, list):
            raise DependencyUnavailable(f"{self.url} does not list open decisions")
        return frozenset(map(str, causes))
