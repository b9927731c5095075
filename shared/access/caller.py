"""The authenticated sender of a request, and the refusals of authentication and authorization."""

from __future__ import annotations

import re
from dataclasses import dataclass, field
from typing import Final

from shared.access.rate_limit import RateExceeded, TokenBucket
from shared.access.scope import ANONYMOUS_SCOPES, Scope
from shared.errors import CallerError, DependencyUnavailable, InvalidRequest

# Also the form of a name that a person claims: without parentheses, which mark the part that was authenticated.
ACTOR_NAME: Final = re.compile(r"[^()\x00-\x1f\x7f]{1,100}")


class Unauthenticated(CallerError):
    """The request has no valid credentials (RFC 9110, 15.5.2; RFC 6750, 3)."""

    status = 401


class KeysNotAtHand(DependencyUnavailable):
    """A token cannot be verified before the keys of the identity provider have been fetched."""


class NotPermitted(CallerError):
    """The caller is known and lacks the scope of the route."""

    status = 403


@dataclass(frozen=True)
class Caller:
    """Who sent a request. `name` was authenticated: that of an API key, or the subject of a token. `limit`: of the key's rate."""

    name: str
    scopes: frozenset[Scope]
    limit: TokenBucket | None = field(default=None, compare=False, repr=False)

    def require(self, scope: Scope) -> None:
        """Raises Unauthenticated for an anonymous caller without the scope, NotPermitted for another."""
        if scope in self.scopes:
            return
        if self.name == ANONYMOUS.name:
            raise Unauthenticated(
                f"this needs credentials with the scope {scope}",
                hint="send `Authorization: Bearer` and an API key; `homeostat keys create` makes one",
            )
        raise NotPermitted(
            f"{self.name} lacks the scope {scope}",
            hint=f"use a key with it: `homeostat keys create NAME --scope {scope}`",
        )

    def count(self) -> None:
        """Count a request against the rate of the key. Raises RateExceeded."""
        if self.limit is not None and not self.limit.take():
            raise RateExceeded(self.name, self.limit.rate, self.limit.retry_after_s)

    def actor(self, claimed: str = "") -> str:
        """The name to record for an action. `claimed` is a name that the request gives, for keys that several people share.

        Raises InvalidRequest for a claimed name that could be read as an authenticated one.
        """
        claimed = claimed.strip()
        if not claimed or claimed == self.name:
            return self.name
        if ACTOR_NAME.fullmatch(claimed) is None:
            raise InvalidRequest(
                "actor has characters that a name may not have",
                field="actor",
                expected="at most 100 characters without parentheses and control characters",
            )
        return f"{claimed} ({self.name})"


def authenticated_name(actor: str) -> str:
    """The part of a recorded actor that was authenticated: `local` of `anna (local)`."""
    claimed, _, rest = actor.partition(" (")
    return rest.removesuffix(")") or claimed


ANONYMOUS: Final = Caller("anonymous", ANONYMOUS_SCOPES)
NOBODY: Final = Caller(ANONYMOUS.name, frozenset())
