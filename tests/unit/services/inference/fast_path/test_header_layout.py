"""Only header blocks that would be parsed to the same request are known again."""

from __future__ import annotations

import pytest

from services.inference.fast_path.header_layout import HeaderLayouts, Headers

URL = b"/v2/models/sums/infer"
BLOCK = (
    b"POST /v2/models/sums/infer HTTP/1.1\r\nHost: a:8000\r\nContent-Length: 12\r\nUser-Agent: x/1.5\r\n\r\n"
)
HEADERS = [(b"host", b"a:8000"), (b"content-length", b"12"), (b"user-agent", b"x/1.5")]


def block(*lines: bytes, url: bytes = URL) -> bytes:
    return b"\r\n".join([b"POST %b HTTP/1.1" % url, *lines]) + b"\r\n\r\n"


def parsed(*lines: bytes) -> Headers:
    pairs = [line.partition(b":")[::2] for line in lines]
    return [(name.lower(), value.strip(b" \t")) for name, value in pairs]


def test_learned_block_is_found_with_any_length() -> None:
    layouts = HeaderLayouts()
    assert layouts.find(BLOCK) is None
    assert layouts.learn(BLOCK, URL, HEADERS, None) is not None
    for length in (b"12", b"7", b"4096", b"0012"):
        data = BLOCK.replace(b": 12", b": " + length) + b"{}"
        layout = layouts.find(data)
        assert layout is not None
        head = layout.read(data)
        assert head is not None
        assert (head.model, head.body_bytes, head.head_bytes) == ("sums", int(length), None)
        assert head.block + b"{}" == data
        assert layout.read(b"x" + data) is None


def test_length_of_json_head_is_found_wherever_it_is() -> None:
    for lines in (
        (b"Content-Length: 90", b"Inference-Header-Content-Length: 30"),
        (b"inference-header-content-length:30", b"content-length:\t90 "),
    ):
        data = block(*lines)
        layout = HeaderLayouts().learn(data, URL, parsed(*lines), None)
        assert layout is not None
        head = layout.read(data)
        assert head is not None
        assert (head.body_bytes, head.head_bytes) == (90, 30)


@pytest.mark.parametrize(
    "change",
    [
        (b"Host: a:8000", b"Host: b:8000"),
        (b"x/1.5", b"x/1.6"),
        (b": 12", b": -12"),
        (b": 12", b": 12, 12"),
        (b": 12", b": 99999999999"),
        (b"sums", b"toys"),
        (b"POST", b"PUT "),
        (b"HTTP/1.1", b"HTTP/1.0"),
        (b"\r\n\r\n", b"\r\nExpect: 100-continue\r\n\r\n"),
        (b"\r\n\r\n", b"\r\n"),
    ],
)
def test_any_other_difference_is_unknown(change: tuple[bytes, bytes]) -> None:
    layouts = HeaderLayouts()
    layouts.learn(BLOCK, URL, HEADERS, None)
    assert layouts.find(BLOCK.replace(*change)) is None


@pytest.mark.parametrize(
    "line",
    [
        b"Expect: 100-continue",
        b"Transfer-Encoding: chunked",
        b"Content-Encoding: gzip",
        b"traceparent: 00-1-2-01",
        b"Connection: close",
        b"Connection: upgrade",
        b"Upgrade: websocket",
        b"Content-Length: 12",
        b"X-Unheard-Of: 1",
    ],
)
def test_headers_with_a_meaning_are_not_learned(line: bytes) -> None:
    lines = (b"Host: a", b"Content-Length: 12", line)
    assert HeaderLayouts().learn(block(*lines), URL, parsed(*lines), None) is None


@pytest.mark.parametrize(
    "url",
    [
        b"/outcomes",
        b"/v2/models/a/b/infer",
        b"/predict?x=1",
        b"/v2/models/%61/infer",
        b"/v2/models/\xff/infer",
    ],
)
def test_other_paths_are_not_learned(url: bytes) -> None:
    lines = (b"Content-Length: 12",)
    assert HeaderLayouts().learn(block(*lines, url=url), url, parsed(*lines), None) is None


def test_block_that_the_parser_saw_differently_is_not_learned() -> None:
    layouts = HeaderLayouts()
    assert layouts.learn(BLOCK, URL, HEADERS[:2], None) is None
    assert layouts.learn(BLOCK, URL, [*HEADERS[:2], (b"user-agent", b"y")], None) is None
    assert layouts.learn(BLOCK, b"/predict", HEADERS, None) is None


def test_number_of_layouts_is_bounded() -> None:
    layouts = HeaderLayouts()
    blocks = [block(b"Host: " + b"a" * size, b"Content-Length: 1") for size in range(1, 400)]
    for one in blocks:
        layouts.learn(one, URL, parsed(*one.split(b"\r\n")[1:-2]), None)
    known = sum(layouts.find(one) is not None for one in blocks)
    assert 0 < known <= 256
