"""Hostile requests, made from valid ones: parts of a body, a path, a query and headers are replaced, removed and added.

Everything is drawn from one `random.Random`: the same seed makes the same requests.
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from copy import deepcopy
from dataclasses import dataclass, field
from random import Random
from typing import Any
from urllib.parse import quote

Path = tuple[str | int, ...]
Header = tuple[bytes, bytes]


@dataclass(frozen=True)
class Route:
    """A route with a valid example: `{}` in the path stands for one of `segments`, `document` is the JSON body.

    `content` is a body that is not JSON, of type `content_type`. `headers` are sent with every request, beside Host and
    Content-Type. A route is chosen in proportion to `weight`.
    """

    method: str
    path: str
    document: Any = None
    segments: tuple[str, ...] = ()
    query: Mapping[str, str] = field(default_factory=dict)
    headers: tuple[Header, ...] = ()
    content: bytes | None = None
    content_type: bytes = b"application/json"
    weight: int = 1


@dataclass(frozen=True)
class FuzzRequest:
    """One request as it is sent; `target` is path and query, percent-encoded."""

    method: str
    target: str
    headers: tuple[Header, ...]
    body: bytes


TIMES = (
    "2026-01-01T00:00:00Z",
    "0001-01-01T00:00:00+23:59",
    "9999-12-31T23:59:59.999999-23:59",
    "2026-02-30T00:00:00Z",
    "2026-01-01",
    "2026-01-01T00:00:00.123456789123Z",
    "2026-W01-1T00Z",
)
TEXTS = (
    "",
    " ",
    "\x00",
    "a\x00b",
    "\ud800",
    "\udfff-\ud800",
    "../../etc/passwd",
    "..",
    "%00",
    "a" * 300,
    "x" * 70_000,
    "\u202egnirts",
    "٣",
    "²",
    "NaN",
    "1e400",
    "-0",
    "'; drop table causes; --",
    "{{ 7 * 7 }}",
    "\r\nSet-Cookie: a=b",
    "p" * 64,
)
NUMBERS = (
    0,
    -1,
    1,
    2**31,
    2**53 + 1,
    2**63 - 1,
    2**63,
    -(2**63) - 1,
    2**64,
    10**400,
    1e308,
    -1e308,
    5e-324,
    -0.0,
    float("nan"),
    float("inf"),
)


# Stands for lists nested deeper than a parser may follow; made in the text, since Python cannot build or copy them either.
DEEP = "deeply nested"
HEADERS = (
    (b"traceparent", b"00-" + b"0" * 32 + b"-" + b"0" * 16 + b"-00"),
    (b"traceparent", b"\xff\xfe"),
    (b"traceparent", b"a" * 9000),
    (b"content-type", b"text/plain"),
    (b"content-type", b"application/json; charset=utf-16"),
    (b"content-type", b"\xff"),
    (b"content-encoding", b"gzip"),
    (b"content-encoding", b"deflate"),
    (b"content-length", b"-1"),
    (b"content-length", b"nine"),
    (b"content-length", b"99999999999999999999"),
    (b"content-length", "²".encode("latin-1")),
    (b"inference-header-content-length", b"10"),
    (b"inference-header-content-length", b"-5"),
    (b"inference-header-content-length", b"9" * 5000),
    (b"inference-header-content-length", "²".encode("latin-1")),
    (b"accept", b"\xff;q=nine"),
    (b"origin", b"http://[::1"),
    (b"host", b"[::1"),
    (b"content-type", b"multipart/form-data; boundary="),
    (b"content-type", b"application/octet-stream"),
    (b"content-encoding", b"br"),
    (b"transfer-encoding", b"identity"),
    (b"cookie", b"homeostat_console=" + b"\xff" * 50),
    (b"x-forwarded-for", b"10.0.0.1"),
    (b"range", b"bytes=5-1"),
    (b"if-none-match", b"*"),
    (b"expect", b"200-ok"),
    (b"upgrade", b"websocket"),
    (b"sec-fetch-site", b"cross-site"),
)
METHODS = ("PUT", "HEAD", "OPTIONS", "POST", "GET", "DELETE", "PATCH", "TRACE")


def text(chance: Random, longest: int = 20) -> str:
    """Any characters, most of them from the ends of the planes that programs get wrong."""
    planes = ((0, 0x20), (0x20, 0x7F), (0x80, 0x2FF), (0x2000, 0x206F), (0xD800, 0xDFFF), (0xFF00, 0x1F64F))
    return "".join(chr(chance.randint(*chance.choice(planes))) for _ in range(chance.randint(0, longest)))


def scalar(chance: Random) -> Any:
    """A string, number, boolean or null."""
    match chance.randrange(7):
        case 0 | 1:
            return chance.choice(TEXTS)
        case 2:
            return chance.choice(TIMES)
        case 3:
            return chance.choice(NUMBERS)
        case 4:
            return chance.choice((None, True, False))
        case 5:
            return text(chance)
    return chance.randint(-(2**70), 2**70) if chance.randrange(2) else chance.uniform(-1e6, 1e6)


def hostile(chance: Random) -> Any:
    """A value that stands where another was expected."""
    match chance.randrange(12):
        case 0:
            return [scalar(chance) for _ in range(chance.randint(0, 3))]
        case 1:
            return {text(chance, 8): scalar(chance) for _ in range(chance.randint(0, 3))}
        case 2:
            return DEEP
        case 3:
            return [[] for _ in range(300)]
    return scalar(chance)


def segment(chance: Random) -> str:
    """A piece of a path, a query or a name."""
    return chance.choice(TEXTS) if chance.randrange(2) else text(chance, 30) or "."


def paths_of(document: Any, prefix: Path = ()) -> Iterator[Path]:
    """The path of every value in a document, the document itself first."""
    yield prefix
    if isinstance(document, dict):
        for name, value in document.items():
            yield from paths_of(value, (*prefix, name))
    elif isinstance(document, list):
        for place, value in enumerate(document):
            yield from paths_of(value, (*prefix, place))


def document(chance: Random, valid: Any) -> Any:
    """The valid document with up to three parts replaced, removed or added."""
    changed = deepcopy(valid)
    for _ in range(chance.randint(0, 3)):
        path = chance.choice(list(paths_of(changed)))
        if not path:
            if chance.randrange(10) == 0:
                return hostile(chance)
            continue
        parent = changed
        for step in path[:-1]:
            parent = parent[step]
        match chance.randrange(5):
            case 0 | 1 | 2:
                parent[path[-1]] = hostile(chance)
            case 3:
                del parent[path[-1]]
            case _ if isinstance(parent, dict):
                parent[segment(chance)] = hostile(chance)
            case _:
                parent.append(hostile(chance))
    return changed


def damaged(chance: Random, raw: bytes) -> bytes:
    """Bytes that are cut off, changed in places, or longer than they should be."""
    match chance.randrange(5):
        case 0:
            return raw[: chance.randint(0, len(raw))]
        case 1:
            return raw + chance.randbytes(chance.randint(0, 40))
        case 2:
            return chance.randbytes(chance.randint(0, 200))
    changed = bytearray(raw or b"{")
    for _ in range(chance.randint(1, 4)):
        changed[chance.randrange(len(changed))] = chance.randrange(256)
    return bytes(changed)


def repeated_name(chance: Random, raw: bytes) -> bytes:
    """The JSON object with its first name there twice."""
    name = raw[1 : raw.find(b":")] if b":" in raw else b'"a"'
    return b"{" + name + b":" + json.dumps(scalar(chance)).encode() + b"," + raw[1:]


def json_body(chance: Random, valid: Any) -> bytes:
    """Mostly JSON; sometimes cut off, with bytes behind it, in another encoding, or no JSON at all."""
    raw = json.dumps(document(chance, valid), ensure_ascii=True).encode()
    if DEEP.encode() in raw:
        depth = chance.choice((50, 1000, 5000, 50_000))
        opening, closing = chance.choice(((b"[", b"]"), (b'{"a":', b"}")))
        raw = raw.replace(json.dumps(DEEP).encode(), opening * depth + b"1" + closing * depth)
    match chance.randrange(20):
        case 0 | 1:
            return damaged(chance, raw)
        case 2:
            return raw.replace(b"\\u", b"\xed\xa0\x80")
        case 3 if raw.startswith(b"{"):
            return repeated_name(chance, raw)
        case 4:
            return raw.decode("latin-1").encode(chance.choice(("utf-16", "utf-8-sig", "utf-32")))
    return raw


def request(chance: Random, routes: tuple[Route, ...]) -> FuzzRequest:
    """A request to one of the routes."""
    route = chance.choices(routes, [one.weight for one in routes])[0]
    pieces = route.path.split("{}")
    target = pieces[0]
    for valid, piece in zip(route.segments, pieces[1:], strict=True):
        target += _quoted(segment(chance) if chance.randrange(4) == 0 else valid) + piece
    query = {
        name: segment(chance) if chance.randrange(2) else value
        for name, value in route.query.items()
        if chance.randrange(10)
    }
    if query or chance.randrange(20) == 0:
        query |= {segment(chance)[:50]: segment(chance)} if chance.randrange(10) == 0 else {}
        target += "?" + "&".join(f"{_quoted(name)}={_quoted(value)}" for name, value in query.items())
    headers = [(b"host", b"127.0.0.1"), (b"content-type", route.content_type), *route.headers]
    if chance.randrange(5) == 0:
        name, value = chance.choice(HEADERS)
        headers = [*(header for header in headers if header[0] != name), (name, value)]
    method = route.method if chance.randrange(20) else chance.choice(METHODS)
    if route.document is not None:
        body = json_body(chance, route.document)
    elif route.content is not None:
        body = damaged(chance, route.content) if chance.randrange(3) else route.content
    else:
        body = b"" if chance.randrange(20) else chance.randbytes(chance.randint(1, 100))
    return FuzzRequest(method, target, tuple(headers), body)


def _quoted(value: str) -> str:
    return quote(value.encode("utf-8", "surrogatepass"), safe="")
