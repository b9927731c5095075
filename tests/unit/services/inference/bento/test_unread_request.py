from __future__ import annotations

from services.inference.bento.unread_request import to_starlette
from services.inference.http.response import Response


def test_response_keeps_status_body_and_headers() -> None:
    sent = to_starlette(
        Response(503, b"{}", ((b"content-type", b"application/json"), (b"retry-after", b"1")))
    )
    assert (sent.status_code, sent.body) == (503, b"{}")
    assert sent.raw_headers == [
        (b"content-type", b"application/json"),
        (b"retry-after", b"1"),
        (b"content-length", b"2"),
    ]


def test_nothing_is_sent_to_a_client_that_is_gone() -> None:
    assert to_starlette(None).body == b""
