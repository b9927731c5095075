"""Requests that may do without credentials on a loopback address."""

from __future__ import annotations

import pytest

from shared.access.directness import RELAYED, is_direct

HERE = (b"host", b"127.0.0.1:8000")


@pytest.mark.parametrize(
    "headers",
    [
        [],
        [HERE],
        [(b"host", b"localhost:8000"), (b"user-agent", b"curl")],
        [(b"host", b"[::1]:8000")],
        [HERE, (b"origin", b"http://127.0.0.1:8000"), (b"sec-fetch-site", b"same-origin")],
    ],
)
def test_own_programs_and_pages(headers: list[tuple[bytes, bytes]]) -> None:
    assert is_direct("GET", headers)
    assert is_direct("POST", headers)


@pytest.mark.parametrize("name", sorted(RELAYED))
def test_relayed_requests_come_from_elsewhere(name: bytes) -> None:
    assert not is_direct("GET", [HERE, (name, b"127.0.0.1")])


@pytest.mark.parametrize(
    "host", [b"evil.example", b"evil.example:8000", b"127.0.0.1.evil.example", b"10.0.0.1", b"["]
)
def test_foreign_host_is_rebinding(host: bytes) -> None:
    assert not is_direct("GET", [(b"host", host)])


def test_other_sites_may_link_here_and_not_write() -> None:
    assert is_direct("GET", [HERE, (b"sec-fetch-site", b"cross-site")])
    for site in (b"cross-site", b"same-site"):
        assert not is_direct("POST", [HERE, (b"sec-fetch-site", site)])
    for origin in (b"http://evil.example", b"null", b"http://127.0.0.1:9"):
        assert not is_direct("POST", [HERE, (b"origin", origin)])
