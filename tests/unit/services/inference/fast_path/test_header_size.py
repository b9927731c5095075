from __future__ import annotations

from services.inference.fast_path.header_size import HeaderLimit
from shared.http.connections import HEADER_BYTES


def test_headers_are_counted_until_they_are_complete() -> None:
    limit = HeaderLimit()
    assert not limit.is_exceeded(10 * HEADER_BYTES, due=True), "it may hold the bodies of other requests"
    assert not limit.is_exceeded(HEADER_BYTES, due=True)
    assert limit.is_exceeded(1, due=True)
    assert not limit.is_exceeded(1, due=False), "complete"
    assert not limit.is_exceeded(1, due=True)
    assert not limit.is_exceeded(HEADER_BYTES, due=True)
