"""Header blocks that llhttp has parsed in full once, known again by their bytes. Pure.

Clients send the same headers with every request of a connection, but for lengths. A layout is such a block with the digits of its
lengths left open; bytes that match it would be parsed to the same method, path and headers.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from shared.access.grant import Grant

Headers = Sequence[tuple[bytes, bytes]]

LENGTH = b"content-length"
HEAD_LENGTH = b"inference-header-content-length"
_LENGTHS = (LENGTH, HEAD_LENGTH)
# Headers that mean nothing to a prediction or a probe. With any other one a request goes the ordinary way: traceparent, expect,
# content-encoding, transfer-encoding, upgrade.
_INERT = frozenset(
    {
        b"host",
        b"user-agent",
        b"accept",
        b"accept-encoding",
        b"accept-language",
        b"authorization",
        b"cache-control",
        b"content-type",
        b"forwarded",
        b"origin",
        b"pragma",
        b"referer",
        b"via",
        b"x-forwarded-for",
        b"x-forwarded-host",
        b"x-forwarded-port",
        b"x-forwarded-proto",
        b"x-real-ip",
        b"x-request-id",
    }
)
_END = b"\r\n\r\n"
_DIGITS = re.compile(rb"\d+")
_LENGTH_DIGITS = rb"([0-9]{1,10})"
_INFER = re.compile(r"/v2/models/([A-Za-z0-9_.-]+)/infer")
_MAX_LAYOUTS = 256
_MAX_BLOCK_BYTES = 4096


@dataclass(frozen=True, slots=True)
class HeaderLayout:
    """A header block of a request for predictions. `model`: of the path; None for `/predict`.

    `pattern` matches the block; group `length` is the length of the body, group `head` that of its JSON head (0: none).
    `grant`: of its credentials; None if it has none.
    """

    pattern: re.Pattern[bytes]
    model: str | None
    length: int
    head: int
    grant: Grant | None

    def read(self, data: bytes) -> RequestHead | None:
        """What the header block at the start of `data` says; None if it has another layout."""
        match = self.pattern.match(data)
        if match is None:
            return None
        head_bytes = int(match[self.head]) if self.head else None
        return RequestHead(bytes(match[0]), self.model, int(match[self.length]), head_bytes, self.grant)


@dataclass(frozen=True, slots=True)
class RequestHead:
    """A header block, and what it says: the model of the path (None: `/predict`), lengths of the body and its JSON head, and
    what its credentials permit (None: it has none).
    """

    block: bytes
    model: str | None
    body_bytes: int
    head_bytes: int | None
    grant: Grant | None


class HeaderLayouts:
    """The layouts that connections of this process have used."""

    def __init__(self) -> None:
        self._layouts: dict[bytes, HeaderLayout] = {}

    def find(self, data: bytes) -> HeaderLayout | None:
        """The layout of the header block at the start of `data`, if it is known."""
        if not data.startswith((b"POST /predict ", b"POST /v2/models/")):
            return None
        end = data.find(_END, 0, _MAX_BLOCK_BYTES)
        layout = self._layouts.get(_DIGITS.sub(b"0", data[:end])) if end > 0 else None
        return layout if layout is not None and layout.pattern.match(data) else None

    def learn(self, data: bytes, url: bytes, headers: Headers, grant: Grant | None) -> HeaderLayout | None:
        """Remember the block at the start of `data`, which llhttp parsed as a POST of HTTP/1.1 that keeps the connection.

        `grant`: of its credentials. None if something about it is not plain: then every such request goes the ordinary way.
        """
        end = data.find(_END, 0, _MAX_BLOCK_BYTES)
        lines = data[:end].split(b"\r\n") if end > 0 else []
        try:
            infer, path = _INFER.fullmatch(url.decode("ascii")), url.decode("ascii")
        except UnicodeDecodeError:
            return None
        if (infer is None and path != "/predict") or not lines or lines[0] != b"POST %b HTTP/1.1" % url:
            return None
        found = _pattern(lines, headers)
        if found is None:
            return None
        pattern, groups = found
        model = None if infer is None else infer[1]
        layout = HeaderLayout(pattern, model, groups[LENGTH], groups.get(HEAD_LENGTH, 0), grant)
        if not pattern.match(data):
            return None
        if len(self._layouts) >= _MAX_LAYOUTS:
            self._layouts.clear()
        self._layouts[_DIGITS.sub(b"0", data[:end])] = layout
        return layout


def is_inert(name: bytes, value: bytes) -> bool:
    """Whether a header, its name in lower case, changes nothing about the answer to a request."""
    return name in _INERT or (name == b"connection" and value.lower() == b"keep-alive")


def is_plain_post(parser: Any) -> bool:
    """Whether llhttp has parsed the headers of a POST of HTTP/1.1 that keeps the connection."""
    return (
        parser.get_method() == b"POST"
        and parser.get_http_version() == "1.1"
        and bool(parser.should_keep_alive())
        and not parser.should_upgrade()
    )


def _pattern(lines: list[bytes], headers: Headers) -> tuple[re.Pattern[bytes], dict[bytes, int]] | None:
    """The pattern of a block, and the group of each length; None unless its lines are exactly those headers."""
    if len(lines) - 1 != len(headers):
        return None
    parts, groups = [re.escape(lines[0])], dict[bytes, int]()
    for line, (name, value) in zip(lines[1:], headers, strict=True):
        written, colon, rest = line.partition(b":")
        if not colon or written.lower() != name or rest.strip(b" \t") != value:
            return None
        if name in _LENGTHS:
            if name in groups or not re.fullmatch(_LENGTH_DIGITS, value):
                return None
            groups[name] = len(groups) + 1
            before, after = rest.split(value, 1)
            parts.append(re.escape(written + b":" + before) + _LENGTH_DIGITS + re.escape(after))
        elif is_inert(name, value):
            parts.append(re.escape(line))
        else:
            return None
    return (re.compile(rb"\r\n".join(parts) + rb"\r\n\r\n"), groups) if LENGTH in groups else None
