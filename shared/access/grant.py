"""Credentials that were authenticated once, for requests that repeat them: a digest is computed about once a second only."""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import dataclass

from shared.access.rate_limit import TokenBucket


@dataclass(frozen=True, slots=True)
class Permission:
    """What is known of credentials now. `until`: the monotonic time from which on they must be authenticated again."""

    until: float
    limit: TokenBucket | None


class Grant:
    """That credentials have a scope. A revoked, expired or changed key passes for at most about a second.

    `authenticate` is called when that time is over; it returns None where they do not have the scope any more.
    """

    __slots__ = ("_authenticate", "_limit", "_monotonic", "_until")

    def __init__(
        self,
        first: Permission,
        authenticate: Callable[[], Permission | None],
        *,
        monotonic: Callable[[], float] = time.monotonic,
    ) -> None:
        self._until = first.until
        self._limit = first.limit
        self._authenticate = authenticate
        self._monotonic = monotonic

    def take(self) -> bool:
        """Whether a request may pass; counts it against the rate of the key if so."""
        return self.is_valid() and (self._limit is None or self._limit.take())

    def is_valid(self) -> bool:
        """Whether the credentials still have the scope; counts nothing."""
        return self._monotonic() < self._until or self._renew()

    def give_back(self) -> None:
        """A request that passed is checked again elsewhere, and counted there."""
        if self._limit is not None:
            self._limit.give_back()

    def _renew(self) -> bool:
        found = self._authenticate()
        if found is None:
            return False
        self._until, self._limit = found.until, found.limit
        return True
