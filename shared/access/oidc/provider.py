"""What an identity provider publishes about itself: its endpoints, and the keys that it signs with.

1. Both are fetched when a token first needs them, and again in the background when they are older than five minutes.
2. A token signed with a key that is not known yet leads to a fetch, too (the provider has changed its keys), but fetches are
   at least ten seconds apart, however many such tokens arrive.
3. While the provider cannot be reached, the last keys are used for a bounded time.
4. `find_key` never waits for the network; `refresh` does, and belongs on a thread.
"""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import dataclass
from threading import Lock, Thread
from typing import Any, Final

from shared.access.caller import KeysNotAtHand, Unauthenticated
from shared.access.oidc.provider_http import check_url, request_json
from shared.errors import DependencyUnavailable, HomeostatError
from shared.observability.logs import get_logger

FRESH_S: Final = 300.0
MINIMUM_INTERVAL_S: Final = 10.0
MAXIMUM_KEYS: Final = 100
_ENDPOINTS: Final = ("jwks_uri", "authorization_endpoint", "token_endpoint")

_log = get_logger(__name__)
Fetch = Callable[[str], tuple[int, dict[str, Any]]]


@dataclass(frozen=True)
class Published:
    """Endpoints by name, public keys (JWK), and the monotonic time when they were fetched."""

    endpoints: dict[str, str]
    keys: tuple[dict[str, Any], ...]
    at_s: float


class Provider:
    """One provider. Safe to use from several threads. `outage_s`: how long keys are used without it."""

    def __init__(
        self,
        issuer: str,
        *,
        outage_s: float,
        fetch: Fetch = request_json,
        monotonic: Callable[[], float] = time.monotonic,
    ) -> None:
        check_url(issuer, "HOMEOSTAT_OIDC_ISSUER")
        self.issuer = issuer
        self._outage_s = outage_s
        self._fetch = fetch
        self._monotonic = monotonic
        self._published: Published | None = None
        self._tried_s = float("-inf")
        self._problem: HomeostatError | None = None
        self._is_fetching = False
        self._lock = Lock()
        self._background: Thread | None = None

    def find_key(self, key_id: str | None, algorithm: str) -> dict[str, Any]:
        """The public key (JWK) with an id; without an id, the only one for the algorithm.

        Raises KeysNotAtHand if it has to be fetched first, Unauthenticated if there is none, DependencyUnavailable if the
        provider has been away for too long.
        """
        published = self.published()
        fitting = [key for key in published.keys if _fits(key, algorithm)]
        found = [key for key in fitting if key_id is None or key.get("kid") == key_id]
        if len(found) == 1:
            return found[0]
        if self._is_fetching or self._is_due():
            raise KeysNotAtHand("the keys of the identity provider have to be fetched")
        raise Unauthenticated(
            "the token is signed with a key that the identity provider does not publish",
            hint="get a new token from the provider",
        )

    def published(self) -> Published:
        """What the provider has published, fetched again in the background if it is old. Raises as `find_key` does."""
        published, age_s = self._published, 0.0
        if published is not None:
            age_s = self._monotonic() - published.at_s
        if published is None or age_s >= self._outage_s:
            if self._is_fetching or self._is_due():
                raise KeysNotAtHand("the keys of the identity provider have to be fetched")
            raise self._problem or DependencyUnavailable("the identity provider cannot be reached")
        is_idle = self._background is None or not self._background.is_alive()
        if age_s >= FRESH_S and is_idle and self._is_due():
            self._background = Thread(target=self.refresh, name="oidc-keys", daemon=True)
            self._background.start()
        return published

    def refresh(self) -> None:
        """Fetch, unless it was done a moment ago; waits for a fetch that is running. Blocks for some seconds at most.

        Raises nothing: `find_key` says what is wrong.
        """
        with self._lock:
            if not self._is_due():
                return
            self._is_fetching = True
            try:
                self._published, self._problem = self._read(), None
            except HomeostatError as error:
                self._problem = error
                _log.warning("identity_provider_unavailable", issuer=self.issuer, problem=error.message)
            finally:
                self._tried_s = self._monotonic()
                self._is_fetching = False

    def _is_due(self) -> bool:
        """Whether the last fetch was long enough ago."""
        return self._monotonic() - self._tried_s >= MINIMUM_INTERVAL_S

    def _read(self) -> Published:
        described = self._get(self.issuer.rstrip("/") + "/.well-known/openid-configuration")
        if described.get("issuer") != self.issuer:
            raise DependencyUnavailable(
                f"the identity provider calls itself {str(described.get('issuer'))[:200]!r}, not {self.issuer!r}",
                hint="set HOMEOSTAT_OIDC_ISSUER to the name that it has in its tokens",
            )
        endpoints = {name: described[name] for name in _ENDPOINTS if isinstance(described.get(name), str)}
        for name, url in endpoints.items():
            check_url(url, f"{name} of the identity provider")
        if "jwks_uri" not in endpoints:
            raise DependencyUnavailable("the identity provider publishes no jwks_uri")
        keys = self._get(endpoints["jwks_uri"]).get("keys")
        if not isinstance(keys, list) or len(keys) > MAXIMUM_KEYS:
            raise DependencyUnavailable("the keys of the identity provider are malformed")
        usable = tuple(key for key in keys if isinstance(key, dict) and key.get("use", "sig") == "sig")
        return Published(endpoints, usable, self._monotonic())

    def _get(self, url: str) -> dict[str, Any]:
        status, document = self._fetch(url)
        if status != 200:
            raise DependencyUnavailable(f"the identity provider returned status {status} for {url}")
        return document


def _fits(key: dict[str, Any], algorithm: str) -> bool:
    """Whether a key is of the kind that an algorithm needs, and published for no other one."""
    kind = {"RS": "RSA", "PS": "RSA", "ES": "EC", "Ed": "OKP"}.get(algorithm[:2])
    return key.get("kty") == kind and key.get("alg", algorithm) == algorithm
