"""Recognises access tokens (JWT) that an identity provider signed (RFC 7519, RFC 8725, RFC 9068).

1. The header names an algorithm that is allowed and asymmetric, and says nothing that we would have to understand.
2. The signature is that of one of the provider's keys, of the kind that the algorithm needs.
3. Issuer, audience, expiry and start are checked, the times with a tolerance.
4. The name and the scopes are taken from the claims.

Nothing here waits for the network. What is wrong with a token is said in fixed words: its content is not repeated.
"""

from __future__ import annotations

import re
from typing import Any, Final

import jwt

from shared.access.caller import TOKEN_PREFIX, Caller, Unauthenticated, is_actor_name
from shared.access.oidc.grants import Grants
from shared.access.oidc.provider import Provider
from shared.access.oidc.settings import OidcSettings
from shared.errors import OperatorError

ASYMMETRIC: Final = frozenset(
    {"RS256", "RS384", "RS512", "PS256", "PS384", "PS512", "ES256", "ES384", "ES512", "EdDSA"}
)
_TYPES = frozenset({"", "jwt", "at+jwt", "application/at+jwt"})
_SHAPE = re.compile(r"[A-Za-z0-9_-]+\.[A-Za-z0-9_-]+\.[A-Za-z0-9_-]+")
_HINT = "get a new token from the identity provider, or use an API key"
_PROBLEMS: Final[tuple[tuple[type[Exception], str], ...]] = (
    (jwt.ExpiredSignatureError, "the token has expired"),
    (jwt.ImmatureSignatureError, "the token is not valid yet"),
    (jwt.InvalidAudienceError, "the token is for another audience"),
    (jwt.InvalidIssuerError, "the token is of another issuer"),
    (jwt.MissingRequiredClaimError, "the token lacks a claim that it must have"),
    (jwt.InvalidSignatureError, "the signature of the token is wrong"),
)


class OidcTokenVerifier:
    """Verifies tokens of one provider for one audience."""

    def __init__(
        self,
        provider: Provider,
        *,
        audience: str,
        algorithms: frozenset[str],
        skew_s: float,
        name_claim: str,
        grants: Grants,
    ) -> None:
        self.provider = provider
        self.audience = audience
        self._algorithms = algorithms
        self._skew_s = skew_s
        self._name_claim = name_claim
        self._grants = grants

    @classmethod
    def of(cls, settings: OidcSettings) -> OidcTokenVerifier:
        """From the settings. Raises OperatorError for one that is missing or wrong."""
        if not settings.audience:
            raise OperatorError(
                "HOMEOSTAT_OIDC_AUDIENCE is not set",
                hint="set it to what the provider puts into `aud` of the tokens for this installation",
            )
        named = frozenset(filter(None, (name.strip() for name in settings.algorithms.split(","))))
        if not named or named - ASYMMETRIC:
            raise OperatorError(
                f"HOMEOSTAT_OIDC_ALGORITHMS is {settings.algorithms!r}",
                hint=f"choose from {', '.join(sorted(ASYMMETRIC))}",
            )
        return cls(
            Provider(settings.issuer, outage_s=settings.outage_hours * 3600),
            audience=settings.audience,
            algorithms=named,
            skew_s=settings.clock_skew_seconds,
            name_claim=settings.name_claim,
            grants=Grants.of(settings.scope_prefix, settings.roles_claim, settings.roles),
        )

    def refresh(self) -> None:
        """Fetch the provider's keys. Blocks for some seconds at most, so it belongs on a thread."""
        self.provider.refresh()

    def verify(self, token: str) -> Caller:
        """The caller that an access token names. Raises Unauthenticated, KeysNotAtHand, DependencyUnavailable."""
        claims = self.claims_of(token, self.audience)
        name = claims.get(self._name_claim)
        if not isinstance(name, str) or not name.strip() or not is_actor_name(f"{TOKEN_PREFIX}{name}"):
            raise Unauthenticated(
                f"the claim {self._name_claim} of the token is no name",
                hint="HOMEOSTAT_OIDC_NAME_CLAIM names a claim with at most 95 characters, without parentheses",
            )
        return Caller(f"{TOKEN_PREFIX}{name}", self._grants.scopes_of(claims))

    def claims_of(self, token: str, audience: str) -> dict[str, Any]:
        """The claims of a token of this provider for an audience. Raises as `verify` does."""
        header = _header_of(token)
        algorithm = header.get("alg")
        if not isinstance(algorithm, str) or algorithm not in self._algorithms:
            raise Unauthenticated("the algorithm of the token is not allowed", hint=_HINT)
        if "crit" in header or str(header.get("typ", "")).lower() not in _TYPES:
            raise Unauthenticated("the token is of a kind that is not accepted", hint=_HINT)
        key_id = header.get("kid")
        if key_id is not None and not isinstance(key_id, str):
            raise Unauthenticated("the header of the token is malformed", hint=_HINT)
        key = self.provider.find_key(key_id, algorithm)
        try:
            claims: dict[str, Any] = jwt.decode(
                token,
                jwt.PyJWK(key, algorithm=algorithm),
                algorithms=[algorithm],
                audience=audience,
                issuer=self.provider.issuer,
                leeway=self._skew_s,
                options={"require": ["exp", "iss", "aud", "sub"], "enforce_minimum_key_length": True},
            )
        except jwt.PyJWTError as error:
            problem = next((text for kind, text in _PROBLEMS if isinstance(error, kind)), "")
            raise Unauthenticated(problem or "the token is not valid", hint=_HINT) from error
        return claims


def _header_of(token: str) -> dict[str, Any]:
    problem = "the credentials are neither an API key nor a token of the identity provider"
    if _SHAPE.fullmatch(token) is None:
        raise Unauthenticated(problem, hint=_HINT)
    try:
        return jwt.get_unverified_header(token)
    except jwt.PyJWTError as error:
        raise Unauthenticated(problem, hint=_HINT) from error
