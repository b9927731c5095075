"""Logs people in with the identity provider: authorization code flow with PKCE, state and nonce (OpenID Connect Core, RFC 7636).

1. `begin` makes the secrets of one login, which stay in a cookie of the browser, and the URL at the provider.
2. The provider sends the browser back with a code; `finish` compares the state and exchanges the code for tokens.
3. The ID token says that this login is what the provider answers (nonce); the access token is what every service verifies.
"""

from __future__ import annotations

import asyncio
import re
from base64 import b64encode, urlsafe_b64encode
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from hashlib import sha256
from hmac import compare_digest
from secrets import token_urlsafe
from typing import Any, Final, Self, TypeVar
from urllib.parse import parse_qsl, quote_plus, urlencode, urlsplit

from shared.access.caller import KeysNotAtHand, Unauthenticated
from shared.access.oidc.provider_http import request_json
from shared.access.oidc.token_verifier import OidcTokenVerifier
from shared.errors import DependencyUnavailable

_HINT = "log in again"
_PART = re.compile(r"[A-Za-z0-9_-]{43}")
_MAXIMUM_TOKEN = 8000
DEFAULT_LIFETIME_S: Final = 300.0
Request = Callable[..., tuple[int, dict[str, Any]]]
Read = TypeVar("Read")


@dataclass(frozen=True)
class LoginSecrets:
    """What one login is recognised by; kept in the browser that began it."""

    state: str
    nonce: str
    verifier: str

    @classmethod
    def make(cls) -> Self:
        """New ones, of 256 random bits each."""
        return cls(token_urlsafe(32), token_urlsafe(32), token_urlsafe(32))

    @classmethod
    def parse(cls, text: str) -> Self | None:
        """From the text of a cookie; None for another text."""
        parts = text.split(".")
        if len(parts) != 3 or not all(_PART.fullmatch(part) for part in parts):
            return None
        return cls(*parts)

    @property
    def text(self) -> str:
        """For the cookie."""
        return f"{self.state}.{self.nonce}.{self.verifier}"


@dataclass(frozen=True)
class Tokens:
    """The access token, the seconds it is valid for, and the token to get the next one; empty if there is none."""

    access: str = field(repr=False)
    seconds: float
    refresh: str = field(default="", repr=False)

    @property
    def authorization(self) -> str:
        """The header of requests."""
        return f"Bearer {self.access}"


class OidcClient:
    """A client of the provider whose tokens `verifier` accepts. `parameters`: more of them for the authorization request."""

    def __init__(
        self,
        verifier: OidcTokenVerifier,
        *,
        client_id: str,
        client_secret: str = "",
        scopes: str = "openid",
        parameters: str = "",
        request: Request = request_json,
    ) -> None:
        self._verifier = verifier
        self._client_id = client_id
        self._secret = client_secret
        self._scopes = scopes
        self._parameters = dict(parse_qsl(parameters))
        self._request = request

    @property
    def provider_name(self) -> str:
        """The host of the provider, for people."""
        return urlsplit(self._verifier.provider.issuer).hostname or ""

    async def begin(self, redirect_uri: str) -> tuple[LoginSecrets, str]:
        """The secrets of a new login, and where to send the browser. Raises DependencyUnavailable."""
        secrets = LoginSecrets.make()
        challenge = urlsafe_b64encode(sha256(secrets.verifier.encode()).digest()).rstrip(b"=").decode()
        query = {
            **self._parameters,
            "response_type": "code",
            "client_id": self._client_id,
            "redirect_uri": redirect_uri,
            "scope": self._scopes,
            "state": secrets.state,
            "nonce": secrets.nonce,
            "code_challenge": challenge,
            "code_challenge_method": "S256",
        }
        endpoint = await self._endpoint("authorization_endpoint")
        return secrets, f"{endpoint}{'&' if urlsplit(endpoint).query else '?'}{urlencode(query)}"

    async def finish(
        self, secrets: LoginSecrets | None, answer: Mapping[str, str], redirect_uri: str
    ) -> Tokens:
        """The tokens of a login. `answer`: the parameters with which the browser came back.

        Raises Unauthenticated for an answer that does not belong to the login, DependencyUnavailable.
        """
        check_state(secrets, answer)
        assert secrets is not None
        if answer.get("iss", self._verifier.provider.issuer) != self._verifier.provider.issuer:
            raise Unauthenticated("the answer is of another identity provider", hint=_HINT)  # RFC 9207
        if "error" in answer or not answer.get("code"):
            raise Unauthenticated("the identity provider did not log you in", hint=_HINT)
        document = await self._tokens(
            grant_type="authorization_code",
            code=answer["code"],
            redirect_uri=redirect_uri,
            code_verifier=secrets.verifier,
        )
        tokens = _read(document)
        identity = await self._claims(_text(document, "id_token"), self._client_id)
        if identity.get("nonce") != secrets.nonce or identity.get("azp", self._client_id) != self._client_id:
            raise Unauthenticated("the ID token belongs to another login", hint=_HINT)
        access = await self._claims(tokens.access, self._verifier.audience)
        if access["sub"] != identity["sub"]:
            raise Unauthenticated("the tokens are of different people", hint=_HINT)
        return tokens

    async def renew(self, refresh_token: str) -> Tokens:
        """New tokens. Raises Unauthenticated if the provider does not give any, DependencyUnavailable if it is away."""
        document = await self._tokens(grant_type="refresh_token", refresh_token=refresh_token)
        return _read({"refresh_token": refresh_token, **document})

    async def _tokens(self, **form: str) -> dict[str, Any]:
        headers = {}
        if self._secret:
            # RFC 6749, 2.3.1: both parts are encoded as in a form first.
            pair = f"{quote_plus(self._client_id)}:{quote_plus(self._secret)}"
            headers["Authorization"] = f"Basic {b64encode(pair.encode()).decode()}"
        else:
            form["client_id"] = self._client_id
        endpoint = await self._endpoint("token_endpoint")
        status, document = await asyncio.to_thread(self._request, endpoint, form=form, headers=headers)
        if status >= 500:
            raise DependencyUnavailable(f"the identity provider returned status {status}")
        if status != 200:
            raise Unauthenticated("the identity provider gave no tokens", hint=_HINT)
        return document

    async def _endpoint(self, name: str) -> str:
        endpoints = (await self._fetched(self._verifier.provider.published)).endpoints
        if name not in endpoints:
            raise DependencyUnavailable(f"the identity provider publishes no {name}")
        return endpoints[name]

    async def _claims(self, token: str, audience: str) -> dict[str, Any]:
        return await self._fetched(lambda: self._verifier.claims_of(token, audience))

    async def _fetched(self, read: Callable[[], Read]) -> Read:
        try:
            return read()
        except KeysNotAtHand:
            await asyncio.to_thread(self._verifier.refresh)
            return read()


def check_state(secrets: LoginSecrets | None, answer: Mapping[str, str]) -> None:
    """Raises Unauthenticated unless this browser began the login that is answered (RFC 6749, 10.12)."""
    if secrets is None or not compare_digest(secrets.state.encode(), answer.get("state", "").encode()):
        raise Unauthenticated("this browser did not begin the login, or too long ago", hint=_HINT)


def _read(document: dict[str, Any]) -> Tokens:
    seconds = document.get("expires_in", DEFAULT_LIFETIME_S)
    if isinstance(seconds, bool) or not isinstance(seconds, int | float) or seconds <= 0:
        seconds = DEFAULT_LIFETIME_S
    refresh = document.get("refresh_token")
    return Tokens(
        _text(document, "access_token"), float(seconds), refresh if isinstance(refresh, str) else ""
    )


def _text(document: dict[str, Any], name: str) -> str:
    found = document.get(name)
    if not isinstance(found, str) or len(found) > _MAXIMUM_TOKEN:
        raise Unauthenticated(f"the identity provider gave no {name}", hint=_HINT)
    return found
