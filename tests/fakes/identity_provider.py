"""A small OpenID Connect provider over real HTTP: it signs tokens, changes its keys, logs people in, and fails on request."""

from __future__ import annotations

import base64
import json
import secrets
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from functools import cache
from hashlib import sha256
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from threading import Thread
from typing import Any
from urllib.parse import parse_qs, urlencode, urlsplit

import jwt
from cryptography.hazmat.primitives.asymmetric import ec, ed25519, rsa
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat
from jwt.algorithms import get_default_algorithms

AUDIENCE = "homeostat"
CLIENT, CLIENT_SECRET = "the-console", "a secret"


@cache
def rsa_key(number: int, bits: int = 2048) -> rsa.RSAPrivateKey:
    """A key for a number; making one takes a while."""
    return rsa.generate_private_key(65537, bits)


def new_key(algorithm: str, number: int = 0) -> Any:
    """A private key for an algorithm."""
    if algorithm[:2] in ("RS", "PS"):
        return rsa_key(number)
    if algorithm == "EdDSA":
        return ed25519.Ed25519PrivateKey.generate()
    curves: dict[str, Any] = {"ES256": ec.SECP256R1, "ES384": ec.SECP384R1, "ES512": ec.SECP521R1}
    return ec.generate_private_key(curves[algorithm]())


def public_jwk(private: Any, algorithm: str, key_id: str, **changed: Any) -> dict[str, Any]:
    """What a provider publishes of a key."""
    found = json.loads(get_default_algorithms()[algorithm].to_jwk(private.public_key()))
    return {**found, "kid": key_id, "alg": algorithm, "use": "sig", **changed}


@dataclass
class IdentityProvider:
    """`asked` counts requests by path. `failure`: a status with which every request fails; `slow_s`: delay of every answer.

    `drips`: answers never end. `redirect`: where every request is redirected.
    `said`: what the discovery document says beside, or instead.
    """

    issuer: str = ""
    algorithm: str = "ES256"
    private: Any = None
    key_id: str = ""
    keys: list[dict[str, Any]] = field(default_factory=list)
    said: dict[str, Any] = field(default_factory=dict)
    asked: dict[str, int] = field(default_factory=dict)
    forms: list[dict[str, str]] = field(default_factory=list)
    failure: int = 0
    slow_s: float = 0.0
    drips: bool = False
    redirect: str = ""
    subject: str = "ada"
    scope: str = "read approve"
    lifetime_s: float = 300.0
    id_claims: dict[str, Any] = field(default_factory=dict)
    codes: dict[str, dict[str, str]] = field(default_factory=dict)
    refresh_tokens: set[str] = field(default_factory=set)

    def rotate(self, algorithm: str = "", *, keep: bool = False) -> None:
        """Sign with a new key from now on; `keep`: the old ones stay published."""
        self.algorithm = algorithm or self.algorithm
        self.private = new_key(self.algorithm, len(self.asked))
        self.key_id = secrets.token_hex(4)
        published = public_jwk(self.private, self.algorithm, self.key_id)
        self.keys = [*(self.keys if keep else []), published]

    def claims(self, **changed: Any) -> dict[str, Any]:
        """Claims of an access token; None leaves one out."""
        now = int(time.time())
        made = {
            "iss": self.issuer,
            "aud": AUDIENCE,
            "sub": self.subject,
            "scope": self.scope,
            "iat": now,
            "exp": now + self.lifetime_s,
            **changed,
        }
        return {name: value for name, value in made.items() if value is not None}

    def token(self, *, headers: dict[str, Any] | None = None, **changed: Any) -> str:
        """A signed token."""
        sent = {"kid": self.key_id, **(headers or {})}
        return jwt.encode(self.claims(**changed), self.private, self.algorithm, headers=sent)

    def public_pem(self) -> bytes:
        """The public key as text, which everybody may know."""
        found: bytes = self.private.public_key().public_bytes(Encoding.PEM, PublicFormat.SubjectPublicKeyInfo)
        return found

    def answer(self, method: str, target: str, form: dict[str, str], authorization: str) -> tuple[int, Any]:
        """Status and document; for the login page the location to go to."""
        url = urlsplit(target)
        query = {name: values[0] for name, values in parse_qs(url.query).items()}
        self.asked[url.path] = self.asked.get(url.path, 0) + 1
        time.sleep(self.slow_s)
        if self.failure:
            return self.failure, {"error": "down"}
        if url.path == "/.well-known/openid-configuration":
            return 200, {
                "issuer": self.issuer,
                "jwks_uri": f"{self.issuer}/keys",
                "authorization_endpoint": f"{self.issuer}/authorize",
                "token_endpoint": f"{self.issuer}/token",
                **self.said,
            }
        if url.path == "/keys":
            return 200, {"keys": self.keys}
        if url.path == "/authorize":
            code = secrets.token_urlsafe(8)
            self.codes[code] = query
            back = {"code": code, "state": query["state"], "iss": self.issuer}
            return 302, f"{query['redirect_uri']}?{urlencode(back)}"
        if url.path == "/token" and method == "POST":
            return self._tokens(form, authorization)
        return 404, {"error": "not found"}

    def _tokens(self, form: dict[str, str], authorization: str) -> tuple[int, Any]:
        self.forms.append(form)
        basic = base64.b64encode(f"{CLIENT}:{CLIENT_SECRET.replace(' ', '+')}".encode()).decode()
        if authorization != f"Basic {basic}":
            return 401, {"error": "invalid_client"}
        nonce = {}
        if form["grant_type"] == "refresh_token":
            if form["refresh_token"] not in self.refresh_tokens:
                return 400, {"error": "invalid_grant"}
            self.refresh_tokens.remove(form["refresh_token"])
        else:
            request = self.codes.pop(form.get("code", ""), {})
            digest = sha256(form.get("code_verifier", "").encode()).digest()
            challenge = base64.urlsafe_b64encode(digest).rstrip(b"=").decode()
            if (request.get("code_challenge"), request.get("redirect_uri")) != (
                challenge,
                form.get("redirect_uri"),
            ):
                return 400, {"error": "invalid_grant"}
            nonce = {"nonce": request["nonce"]}
        refresh = secrets.token_urlsafe(8)
        self.refresh_tokens.add(refresh)
        return 200, {
            "access_token": self.token(),
            "token_type": "Bearer",
            "expires_in": self.lifetime_s,
            "refresh_token": refresh,
            "id_token": self.token(**{"aud": CLIENT, "scope": None, **nonce, **self.id_claims}),
        }


@contextmanager
def running_provider(algorithm: str = "ES256", port: int = 0) -> Iterator[IdentityProvider]:
    """A provider on a free port of this machine."""
    provider = IdentityProvider(algorithm=algorithm)

    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            self._answer({})

        def do_POST(self) -> None:
            content = self.rfile.read(int(self.headers["Content-Length"])).decode()
            self._answer({name: values[0] for name, values in parse_qs(content).items()})

        def _answer(self, form: dict[str, str]) -> None:
            status, document = provider.answer(
                self.command, self.path, form, self.headers.get("Authorization", "")
            )
            location = provider.redirect or (document if isinstance(document, str) else "")
            content = json.dumps(document).encode()
            self.send_response(302 if location else status)
            if location:
                self.send_header("Location", location)
            if not provider.drips:
                self.send_header("Content-Length", str(len(content)))
            self.end_headers()
            self.wfile.write(content)
            while provider.drips:
                self.wfile.write(b" ")
                self.wfile.flush()
                time.sleep(0.02)

        def log_message(self, format: str, *args: object) -> None:
            """Silence."""

    server = ThreadingHTTPServer(("127.0.0.1", port), Handler)
    server.daemon_threads = True
    server.handle_error = lambda *_: None  # type: ignore[method-assign]
    provider.issuer = f"http://127.0.0.1:{server.server_address[1]}"
    provider.rotate()
    thread = Thread(target=server.serve_forever, args=(0.01,), daemon=True)
    thread.start()
    try:
        yield provider
    finally:
        provider.drips = False
        server.shutdown()
        server.server_close()
        thread.join(5)
