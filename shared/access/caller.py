"""The authenticated sender of a request, and the refusals of authentication and authorization."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Final
from unicodedata import category

from shared.access.rate_limit import RateExceeded, TokenBucket
from shared.access.scope import ANONYMOUS_SCOPES, Scope
from shared.errors import CallerError, DependencyUnavailable, InvalidRequest

# Brackets mark the part of a recorded name that was authenticated.
MAXIMUM_NAME: Final = 100
# Before the name of a token's holder. No API key has a colon in its name.
TOKEN_PREFIX: Final = "oidc:"


def is_actor_name(text: str) -> bool:
    """Whether a text can be the name of an actor: printable, and without brackets of any script."""
    return (
        0 < len(text) <= MAXIMUM_NAME
        and text.isprintable()
        and not any(category(letter) in ("Ps", "Pe") for letter in text)
    )


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
        if not is_actor_name(claimed):
            raise InvalidRequest(
                "actor has characters that a name may not have",
                field="actor",
                expected=f"at most {MAXIMUM_NAME} printable characters without brackets",
            )
        return f"{claimed} ({self.name})"


def authenticated_name(actor: str) -> str:
    """The part of a recorded actor that was authenticated: `local` of `anna (local)`."""
    claimed, _, rest = actor.partition(" (")
    return rest.removesuffix(")") or claimed


ANONYMOUS: Final = Caller("anonymous", ANONYMOUS_SCOPES)
NOBODY: Final = Caller(ANONYMOUS.name, frozenset())
