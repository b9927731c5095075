"""Requests as bytes of a connection: the framing, the credentials and the malformed ones that no HTTP library would send."""

from __future__ import annotations

import gzip
import zlib
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cache
from random import Random
from urllib.parse import unquote_to_bytes

from tests.fuzz.payloads import FuzzRequest, Header, Route, request

FRAMING = frozenset({b"content-length", b"transfer-encoding", b"expect", b"upgrade", b"connection"})
# As they are: what a scanner, a client of another protocol or a broken proxy sends.
GARBAGE = (
    b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03" + b"\x00" * 64,
    b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n",
    b"GET\r\n\r\n",
    b"GET /\r\n\r\n",
    b"GET / HTTP/9.9\r\nHost: 127.0.0.1\r\n\r\n",
    b"GET / HTTP/1.0\r\n\r\n",
    b"get / http/1.1\r\nhost: 127.0.0.1\r\n\r\n",
    b"\r\n\r\nGET /health/live HTTP/1.1\r\nHost: 127.0.0.1\r\n\r\n",
    b"GET /health/live HTTP/1.1\nHost: 127.0.0.1\n\n",
    b"GET http://127.0.0.1/health/live HTTP/1.1\r\nHost: 127.0.0.1\r\n\r\n",
    b"GET http://[::1/health/live HTTP/1.1\r\nHost: 127.0.0.1\r\n\r\n",
    b"OPTIONS * HTTP/1.1\r\nHost: 127.0.0.1\r\n\r\n",
    b"CONNECT 127.0.0.1:1 HTTP/1.1\r\nHost: 127.0.0.1\r\n\r\n",
    b"GET /%00/\x00/\xff HTTP/1.1\r\nHost: 127.0.0.1\r\n\r\n",
    b"GET /a b c HTTP/1.1\r\nHost: 127.0.0.1\r\n\r\n",
    b"GET /" + b"a" * 70_000 + b" HTTP/1.1\r\nHost: 127.0.0.1\r\n\r\n",
    b"GET / HTTP/1.1\r\nHost: 127.0.0.1\r\n" + b"x" * 80_000 + b"\r\n\r\n",
    b"GET / HTTP/1.1\r\nHost\r\n\r\n",
    b"GET / HTTP/1.1\r\n: empty\r\n\r\n",
    b"GET / HTTP/1.1\r\n folded: 1\r\n\r\n",
    b"GET / HTTP/1.1\r\nHost: a\r\nHost: b\r\n\r\n",
    b"GET / HTTP/1.1\r\nHost: 127.0.0.1\r\nX: \x00\x01\r\n\r\n",
    b"GET / HTTP/1.1\r\nHost: 127.0.0.1\r\nConnection: upgrade\r\nUpgrade: websocket\r\nSec-WebSocket-Version: 13\r\n"
    b"Sec-WebSocket-Key: AAAAAAAAAAAAAAAAAAAAAA==\r\n\r\n",
    b"POST /predict HTTP/1.1\r\nHost: 127.0.0.1\r\nTransfer-Encoding: chunked\r\n\r\nzz\r\n",
    b"POST /predict HTTP/1.1\r\nHost: 127.0.0.1\r\nTransfer-Encoding: chunked\r\n\r\nffffffffffffffff\r\na",
    b"POST /predict HTTP/1.1\r\nHost: 127.0.0.1\r\nTransfer-Encoding: chunked\r\n\r\n-1\r\na\r\n0\r\n\r\n",
    b"POST /predict HTTP/1.1\r\nHost: 127.0.0.1\r\nTransfer-Encoding: chunked, chunked\r\n\r\n0\r\n\r\n",
    b"POST /predict HTTP/1.1\r\nHost: 127.0.0.1\r\nTransfer-Encoding: chunked\r\nContent-Length: 5\r\n\r\n"
    b"0\r\n\r\nGET / HTTP/1.1\r\n\r\n",
    b"POST /predict HTTP/1.1\r\nHost: 127.0.0.1\r\nContent-Length: 1\r\nContent-Length: 2\r\n\r\n{}",
    b"POST /predict HTTP/1.1\r\nHost: 127.0.0.1\r\nContent-Length: +2\r\n\r\n{}",
    b"POST /predict HTTP/1.1\r\nHost: 127.0.0.1\r\nContent-Length: 0x2\r\n\r\n{}",
)


@dataclass(frozen=True)
class Credential:
    """A state of credentials: the header, and the scopes it gives; `name` says which state."""

    name: str
    header: bytes | None
    scopes: frozenset[str] = frozenset()


@dataclass(frozen=True)
class WireRequest:
    """What is sent over a connection, each segment as a packet of its own.

    `orderly`: it is one request in correct framing, so exactly one response must follow, and the connection can be used again.
    """

    segments: tuple[bytes, ...]
    method: str
    path: str
    credential: Credential
    orderly: bool = True


def wire_request(chance: Random, routes: tuple[Route, ...], credentials: Sequence[Credential]) -> WireRequest:
    """The next request; the first one of `credentials`, which has every scope, is used most."""
    credential = credentials[0] if chance.randrange(10) < 7 else chance.choice(credentials)
    kind = chance.randrange(100)
    if kind < 3:
        return _garbage(chance, credential)
    asked = request(chance, routes)
    headers = list(asked.headers)
    if credential.header is not None:
        headers.append((b"authorization", credential.header))
    body, orderly = asked.body, not any(name in FRAMING for name, _ in headers)
    if kind < 8:
        body = _compressed(chance, body)
        headers.append((b"content-encoding", chance.choice((b"gzip", b"gzip", b"deflate"))))
    if kind < 30 and kind % 4 == 0 and orderly:
        chunks = _chunked(chance, body)
        return _wired(asked, [*headers, (b"transfer-encoding", b"chunked")], chunks, credential)
    if not any(name == b"content-length" for name, _ in headers):
        headers.append((b"content-length", str(len(body)).encode()))
    match kind:
        case 30 if body:  # it ends too early
            return _wired(asked, headers, (body[: chance.randrange(len(body))],), credential, orderly=False)
        case 31:
            more = [
                (b"x-%d" % number, b"y" * chance.choice((1, 100)))
                for number in range(chance.choice((50, 400)))
            ]
            return _wired(asked, headers + more, (body,), credential, orderly=False)
        case 32:  # in pieces
            cut = chance.randint(0, len(body))
            return _wired(asked, headers, (body[:cut], body[cut:]), credential, orderly=orderly)
        case 33:
            twice = _wired(asked, headers, (body,), credential)
            return WireRequest(twice.segments * 2, asked.method, "", credential, orderly=False)
        case 34:
            return _wired(asked, [*headers, chance.choice(headers)], (body,), credential, orderly=False)
        case 35 if asked.target != (raw := unquote_to_bytes(asked.target)).decode("latin-1"):
            head = _head(asked.method.encode(), raw, headers)
            return WireRequest((head + body,), asked.method, "", credential, orderly=False)
        case 36:
            return _wired(
                asked, [*headers, (b"expect", b"100-continue")], (body,), credential, orderly=orderly
            )
    return _wired(asked, headers, (body,), credential, orderly=orderly)


def _garbage(chance: Random, credential: Credential) -> WireRequest:
    raw = chance.choice(GARBAGE) if chance.randrange(4) else chance.randbytes(chance.randint(1, 2000))
    return WireRequest((raw,), "", "", credential, orderly=False)


def _wired(
    asked: FuzzRequest,
    headers: Sequence[Header],
    parts: Sequence[bytes],
    credential: Credential,
    *,
    orderly: bool = True,
) -> WireRequest:
    first, *rest = parts
    head = _head(asked.method.encode(), asked.target.encode(), headers)
    path = unquote_to_bytes(asked.target.partition("?")[0]).decode("utf-8", "replace")
    return WireRequest((head + first, *rest), asked.method, path, credential, orderly)


def _head(method: bytes, target: bytes, headers: Sequence[Header]) -> bytes:
    lines = [b"%s %s HTTP/1.1" % (method, target), *(b"%s: %s" % header for header in headers)]
    return b"\r\n".join(lines) + b"\r\n\r\n"


def _chunked(chance: Random, body: bytes) -> list[bytes]:
    parts, place = [], 0
    while place < len(body):
        size = chance.choice((1, 7, 100, 5000))
        part = body[place : place + size]
        parts.append(b"%x%s\r\n%s\r\n" % (len(part), chance.choice((b"", b"", b";a=b")), part))
        place += size
        if len(parts) == 20:
            parts.append(b"%x\r\n%s\r\n" % (len(body) - place, body[place:]) if place < len(body) else b"")
            break
    whole = b"".join(parts) + b"0\r\n\r\n"
    cut = chance.randint(0, len(whole))
    return [whole[:cut], whole[cut:]] if chance.randrange(2) else [whole]


def _compressed(chance: Random, body: bytes) -> bytes:
    match chance.randrange(8):
        case 0:
            return body
        case 1:
            return gzip.compress(body, 1)[: chance.randint(0, 30)]
        case 2:
            return gzip.compress(body, 1, mtime=0) + b"more"
        case 3 if chance.randrange(10) == 0:
            return bomb()
        case 4:
            return zlib.compress(body)
    return gzip.compress(body, 1, mtime=0)


@cache
def bomb() -> bytes:
    """64 MiB of spaces in 64 KiB."""
    return gzip.compress(b" " * (64 << 20), 9, mtime=0)
