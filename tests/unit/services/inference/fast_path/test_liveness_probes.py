from __future__ import annotations

from contextlib import suppress
from typing import Any

import httptools
import pytest

from services.inference.fast_path.liveness_probes import LIVE, LivenessProbes
from tests.fakes.socket_server import request

PLAIN = request("/livez", b"", method="GET").replace(b"Content-Length: 0\r\n", b"")
CLOSED = PLAIN.replace(b"\r\n\r\n", b"\r\nConnection: close\r\n\r\n")


def learned(data: bytes) -> LivenessProbes:
    probes = LivenessProbes()

    class Protocol:
        url = b""

        def __init__(self) -> None:
            self.headers: list[tuple[bytes, bytes]] = []

        def on_url(self, url: bytes) -> None:
            self.url += url

        def on_header(self, name: bytes, value: bytes) -> None:
            self.headers.append((name.lower(), value))

        def on_headers_complete(self) -> None:
            probes.learn(data, self.url, self.headers, parser)

    parser: Any = httptools.HttpRequestParser(Protocol())
    with suppress(httptools.HttpParserError, httptools.HttpParserUpgrade):
        parser.feed_data(data)
    return probes


@pytest.mark.parametrize(("probe", "closes"), [(PLAIN, False), (CLOSED, True)])
@pytest.mark.parametrize("path", [b"/livez", b"/healthz", b"/health/live"])
def test_probe_is_known_by_its_bytes(probe: bytes, closes: bool, path: bytes) -> None:
    probe = probe.replace(b"/livez", path)
    probes = learned(probe)
    assert probes.find(probe) is closes
    assert probes.find(bytearray(probe)) is closes
    assert probes.find(probe + b" ") is None
    assert probes.find(probe[:-1]) is None
    assert LIVE.body == b'{"live":true}'


def with_header(line: bytes) -> bytes:
    return PLAIN.replace(b"\r\n\r\n", b"\r\n" + line + b"\r\n\r\n")


@pytest.mark.parametrize(
    "data",
    [
        PLAIN * 2,
        PLAIN + b"GET",
        PLAIN.replace(b"GET", b"HEAD"),
        PLAIN.replace(b"GET", b"POST"),
        PLAIN.replace(b"HTTP/1.1", b"HTTP/1.0"),
        PLAIN.replace(b"HTTP/1.1\r\n", b"HTTP/1.0\r\nConnection: keep-alive\r\n"),
        PLAIN.replace(b"/livez", b"/readyz"),
        PLAIN.replace(b"/livez", b"/livez?x=1"),
        with_header(b"Content-Length: 3"),
        with_header(b"Transfer-Encoding: chunked"),
        with_header(b"Expect: 100-continue"),
        with_header(b"Connection: Close"),
        with_header(b"Connection: upgrade\r\nUpgrade: h2c"),
        with_header(b"User-Agent: " + b"a" * 1024),
    ],
)
def test_anything_unusual_goes_the_ordinary_way(data: bytes) -> None:
    assert learned(data).find(data) is None


def test_number_of_probes_is_bounded() -> None:
    probes = learned(PLAIN)
    parser: Any = httptools.HttpRequestParser(object())
    parser.feed_data(PLAIN)
    for number in range(200):
        probes.learn(with_header(b"User-Agent: %d" % number), b"/livez", [(b"user-agent", b"a")], parser)
    assert len(probes._closes) <= 64
