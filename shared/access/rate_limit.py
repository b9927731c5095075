"""The rate of a key: a token bucket per key and process, and the refusal of requests above it."""

from __future__ import annotations

import math
import time
from collections.abc import Callable

from shared.access.api_key import ApiKey
from shared.errors import CallerError


class RateExceeded(CallerError):
    """The key has sent more requests than its rate allows (RFC 6585, 4). `retry_after_s`: whole seconds until one may pass."""

    status = 429

    def __init__(self, name: str, rate: float, retry_after_s: int) -> None:
        super().__init__(
            f"{name} may send {rate:g} requests per second to a process, and has sent more",
            hint="send fewer requests with more rows, or use a key with a higher rate: `homeostat keys create`",
        )
        self.retry_after_s = retry_after_s


class TokenBucket:
    """Lets `rate` requests per second pass, and at once as many as in a second; at least one."""

    def __init__(self, rate: float, *, monotonic: Callable[[], float] = time.monotonic) -> None:
        self.rate = rate
        self._most = max(1.0, rate)
        self._tokens = self._most
        self._monotonic = monotonic
        self._at = monotonic()

    def take(self) -> bool:
        """Whether a request may pass; counts it if so."""
        now = self._monotonic()
        self._tokens = min(self._most, self._tokens + (now - self._at) * self.rate)
        self._at = now
        if self._tokens < 1:
            return False
        self._tokens -= 1
        return True

    def give_back(self) -> None:
        """A request that was counted is counted again elsewhere."""
        self._tokens = min(self._most, self._tokens + 1)

    @property
    def retry_after_s(self) -> int:
        """Whole seconds until a request may pass; at least 1."""
        return max(1, math.ceil((1 - self._tokens) / self.rate))


class RateLimits:
    """The buckets of a process, by the id of the key. They outlive a change of the key file; a changed rate has a new bucket."""

    def __init__(self, *, monotonic: Callable[[], float] = time.monotonic) -> None:
        self._monotonic = monotonic
        self._buckets: dict[str, TokenBucket] = {}

    def of(self, key: ApiKey) -> TokenBucket | None:
        """The bucket of a key; None if it has no limit."""
        rate = key.requests_per_second
        if rate is None:
            return None
        bucket = self._buckets.get(key.key_id)
        if bucket is None or bucket.rate != rate:
            bucket = self._buckets[key.key_id] = TokenBucket(rate, monotonic=self._monotonic)
        return bucket
