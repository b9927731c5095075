"""Hostile requests, made from valid ones: Hypothesis replaces, removes and adds parts of a body, a path, a query and headers."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from copy import deepcopy
from dataclasses import dataclass, field
from typing import Any
from urllib.parse import quote

from hypothesis import strategies as st

Path = tuple[str | int, ...]


@dataclass(frozen=True)
class Route:
    """A route with a valid example: `{}` in the path stands for one of `segments`, `document` is the JSON body.

    `headers` are sent with every request, beside Host and Content-Type.
    """

    method: str
    path: str
    document: Any = None
    segments: tuple[str, ...] = ()
    query: Mapping[str, str] = field(default_factory=dict)
    headers: tuple[tuple[bytes, bytes], ...] = ()


@dataclass(frozen=True)
class FuzzRequest:
    """One request as it is sent; `target` is path and query, percent-encoded."""

    method: str
    target: str
    headers: tuple[tuple[bytes, bytes], ...]
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

SCALARS = st.one_of(
    st.sampled_from(TEXTS),
    st.sampled_from(TIMES),
    st.sampled_from(NUMBERS),
    st.sampled_from((None, True, False)),
    st.text(max_size=20),
    st.integers(),
    st.floats(),
)
HOSTILE = st.one_of(
    SCALARS,
    st.lists(SCALARS, max_size=3),
    st.dictionaries(st.text(max_size=8), SCALARS, max_size=3),
    st.just(DEEP),
    st.builds(lambda: [[] for _ in range(300)]),
)
SEGMENTS = st.one_of(st.sampled_from(TEXTS), st.text(min_size=1, max_size=30))
HEADERS = st.sampled_from(
    (
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
    )
)


def paths_of(document: Any, prefix: Path = ()) -> Iterator[Path]:
    """The path of every value in a document, the document itself first."""
    yield prefix
    if isinstance(document, dict):
        for name, value in document.items():
            yield from paths_of(value, (*prefix, name))
    elif isinstance(document, list):
        for place, value in enumerate(document):
            yield from paths_of(value, (*prefix, place))


@st.composite
def documents(draw: st.DrawFn, valid: Any) -> Any:
    """The valid document with up to three parts replaced, removed or added."""
    document = deepcopy(valid)
    for _ in range(draw(st.integers(0, 3))):
        path = draw(st.sampled_from(list(paths_of(document))))
        if not path:
            if draw(st.integers(0, 9)) == 0:
                return draw(HOSTILE)
            continue
        parent = document
        for step in path[:-1]:
            parent = parent[step]
        change = draw(st.sampled_from(("replace", "replace", "replace", "remove", "add")))
        if change == "replace":
            parent[path[-1]] = draw(HOSTILE)
        elif change == "remove":
            del parent[path[-1]]
        elif isinstance(parent, dict):
            parent[draw(SEGMENTS)] = draw(HOSTILE)
        else:
            parent.append(draw(HOSTILE))
    return document


@st.composite
def bodies(draw: st.DrawFn, valid: Any) -> bytes:
    """Mostly JSON; sometimes cut off, with bytes behind it, or no JSON at all."""
    text = json.dumps(draw(documents(valid)), ensure_ascii=True).encode()
    depth = draw(st.sampled_from((50, 1000, 5000)))
    text = text.replace(json.dumps(DEEP).encode(), b"[" * depth + b"]" * depth)
    match draw(st.integers(0, 19)):
        case 0:
            return text[: draw(st.integers(0, len(text)))]
        case 1:
            return text + draw(st.binary(max_size=40))
        case 2:
            return draw(st.binary(max_size=200))
        case 3:
            return text.replace(b"\\u", b"\xed\xa0\x80")
    return text


@st.composite
def requests(draw: st.DrawFn, routes: tuple[Route, ...]) -> FuzzRequest:
    """A request to one of the routes."""
    route = draw(st.sampled_from(routes))
    pieces = route.path.split("{}")
    target = pieces[0]
    for valid, piece in zip(route.segments, pieces[1:], strict=True):
        segment = draw(SEGMENTS) if draw(st.integers(0, 3)) == 0 else valid
        target += quote(segment.encode("utf-8", "surrogatepass"), safe="") + piece
    query = {name: draw(SEGMENTS) if draw(st.booleans()) else value for name, value in route.query.items()}
    if query:
        encoded = (
            (name, quote(value.encode("utf-8", "surrogatepass"), safe="")) for name, value in query.items()
        )
        target += "?" + "&".join(f"{name}={value}" for name, value in encoded)
    headers = [(b"host", b"127.0.0.1"), (b"content-type", b"application/json"), *route.headers]
    if draw(st.integers(0, 4)) == 0:
        name, value = draw(HEADERS)
        headers = [*(header for header in headers if header[0] != name), (name, value)]
    method = (
        route.method
        if draw(st.integers(0, 19))
        else draw(st.sampled_from(("PUT", "HEAD", "OPTIONS", "POST", "GET")))
    )
    body = draw(bodies(route.document)) if route.document is not None else b""
    return FuzzRequest(method, target, tuple(headers), body)
