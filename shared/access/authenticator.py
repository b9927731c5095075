"""Who sent a request: from its `Authorization` header to a caller."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable
from datetime import UTC, datetime
from functools import partial
from typing import Final, Protocol

from shared.access.api_key import KEY_TEXT, ApiKey
from shared.access.caller import ANONYMOUS, NOBODY, TOKEN_PREFIX, Caller, KeysNotAtHand, Unauthenticated
from shared.access.grant import Grant, Permission
from shared.access.key_file import KeyFile, key_file_path
from shared.access.loopback import is_loopback
from shared.access.oidc.settings import OidcSettings
from shared.access.rate_limit import RateLimits
from shared.access.scope import Scope
from shared.errors import HomeostatError, OperatorError
from shared.settings import HomeostatSettings

MAXIMUM_CREDENTIALS: Final = 8 << 10  # characters
_HINT = "ask the operator for another key; `homeostat keys list --all` shows which ended"


class TokenVerifier(Protocol):
    """Recognises tokens that an identity provider signed."""

    def verify(self, token: str) -> Caller:
        """The caller that a token names, without waiting. Raises Unauthenticated, KeysNotAtHand, DependencyUnavailable."""

    def refresh(self) -> None:
        """Fetch the keys that `verify` needs; blocks."""


class Authenticator:
    """Recognises API keys, and tokens where there is a verifier.

    `anonymous`: whether a request without credentials may predict, post outcomes and read, if it came to a loopback address.
    Wrong credentials are always refused.
    """

    def __init__(
        self,
        keys: KeyFile,
        *,
        anonymous: bool,
        tokens: TokenVerifier | None = None,
        now: Callable[[], datetime] = lambda: datetime.now(UTC),
        monotonic: Callable[[], float] = time.monotonic,
    ) -> None:
        self._keys = keys
        self._nobody = ANONYMOUS if anonymous else NOBODY
        self.tokens = tokens
        self._now = now
        self._monotonic = monotonic
        self._rates = RateLimits(monotonic=monotonic)
        self._refresh: asyncio.Future[None] | None = None

    def anonymous(self, local_address: str) -> Caller:
        """The sender of a request without credentials. Options of a program may override the address that a service was set to
        listen on, so the connection decides: other machines reach it by an address that is not loopback."""
        return self._nobody if is_loopback(local_address) else NOBODY

    async def identify(self, authorization: str | None, local_address: str = "") -> Caller:
        """As `authenticate`, and fetches the keys of the identity provider where a token needs them.

        One fetch serves all requests that wait for it; they do not hold a thread each.
        """
        try:
            return self.authenticate(authorization, local_address)
        except KeysNotAtHand:
            if self.tokens is None:
                raise
            if self._refresh is None or self._refresh.done():
                self._refresh = asyncio.ensure_future(asyncio.to_thread(self.tokens.refresh))
            await asyncio.shield(self._refresh)
            return self.authenticate(authorization, local_address)

    def authenticate(self, authorization: str | None, local_address: str = "") -> Caller:
        """The caller, without waiting for the network. `local_address` is our end of the connection, empty if unknown.

        Raises Unauthenticated, KeysNotAtHand for a token whose key has to be fetched, and OperatorError where the keys cannot be
        read.
        """
        if authorization is None:
            return self.anonymous(local_address)
        scheme, _, credentials = authorization.partition(" ")
        credentials = credentials.strip()
        if scheme.lower() != "bearer" or not credentials or len(credentials) > MAXIMUM_CREDENTIALS:
            raise Unauthenticated("the Authorization header is not `Bearer` with a key or token", hint=_HINT)
        found = KEY_TEXT.fullmatch(credentials)
        if found is not None:
            return self._by_key(found[1], found[2])
        if self.tokens is None:
            raise Unauthenticated("the credentials are not an API key", hint=_HINT)
        return self.tokens.verify(credentials)

    def has_key(self, name: str) -> bool:
        """Whether an API key has that name, also one that is not valid any more. Raises OperatorError."""
        return bool(self._keys.named(name))

    def has_scope(self, name: str, scope: Scope) -> bool:
        """Whether who has that name still has a scope, as far as is known here. Raises OperatorError.

        The name of a key is judged by its valid keys; that of a token, whose scopes are known with the token only, counts as
        having it where tokens are accepted.
        """
        if name.startswith(TOKEN_PREFIX):
            return self.tokens is not None
        keys = self._keys.named(name)
        now = self._now()
        return any(scope in key.scopes and not key.problem(now) for key in keys)

    def grant(self, authorization: str, scope: Scope) -> Grant | None:
        """To know the same header again at little cost. None if its credentials lack the scope, or are not those of an API key:
        a token is verified with every request.
        """
        authenticate = partial(self._permission, authorization, scope)
        first = authenticate()
        return None if first is None else Grant(first, authenticate, monotonic=self._monotonic)

    def _permission(self, authorization: str, scope: Scope) -> Permission | None:
        scheme, _, credentials = authorization.partition(" ")
        found = KEY_TEXT.fullmatch(credentials.strip())
        if scheme.lower() != "bearer" or found is None:
            return None
        try:
            key = self._key(found[1], found[2])
        except HomeostatError:  # a request with it is refused in the ordinary way
            return None
        if scope not in key.scopes:
            return None
        valid_until = self._monotonic() + key.seconds_left(self._now())
        return Permission(min(valid_until, self._keys.next_look), self._rates.of(key))

    def _by_key(self, key_id: str, secret: str) -> Caller:
        key = self._key(key_id, secret)
        return Caller(key.name, key.scopes, self._rates.of(key))

    def _key(self, key_id: str, secret: str) -> ApiKey:
        key = self._keys.find(key_id)
        if key is None or not key.matches(secret):
            raise Unauthenticated("the API key is not known here", hint=_HINT)
        if problem := key.problem(self._now()):
            raise Unauthenticated(f"the API key {key_id} {problem}", hint=_HINT)
        return key


def open_authenticator(
    settings: HomeostatSettings, host: str, oidc: OidcSettings | None = None
) -> Authenticator:
    """The authenticator of a service that listens on `host`; with `oidc`, it accepts tokens if they name a provider.

    Raises OperatorError for anonymous access from other machines, and for wrong settings of the provider.
    """
    if settings.anonymous_access and not is_loopback(host):
        raise OperatorError(
            f"HOMEOSTAT_ANONYMOUS_ACCESS is on, but the service listens on {host}, which other machines may reach",
            hint="unset HOMEOSTAT_ANONYMOUS_ACCESS and give clients keys (`homeostat keys create`), or listen on 127.0.0.1",
        )
    return Authenticator(
        KeyFile(key_file_path(settings)), anonymous=settings.anonymous_access, tokens=_verifier(oidc)
    )


def _verifier(oidc: OidcSettings | None) -> TokenVerifier | None:
    if oidc is None or not oidc.issuer:
        return None
    # Imported here: PyJWT is not installed where only API keys are accepted.
    from shared.access.oidc.token_verifier import OidcTokenVerifier

    return OidcTokenVerifier.of(oidc)
