from __future__ import annotations

import pytest

from shared.http.host_check import AllowedHosts, Forbidden, Misdirected, check_origin

HOSTS = AllowedHosts.of("10.0.0.7", " Retraining, loop.example ,", "HOMEOSTAT_RETRAINING_NAMES")


@pytest.mark.parametrize(
    "host",
    [
        "127.0.0.1:8003",
        "127.0.0.2",
        "localhost:8003",
        "LOCALHOST",
        "[::1]:8003",
        "10.0.0.7:8003",
        "retraining:8003",
        "Loop.Example",
    ],
)
def test_allowed_host(host: str) -> None:
    HOSTS.check(host)
    check_origin({"host": host, "origin": f"http://{host}", "sec-fetch-site": "same-origin"})


@pytest.mark.parametrize(
    "host",
    [
        "",
        "evil.example:8003",
        "localhost.evil.example",
        "127.0.0.1.evil.example",
        "retraining.evil.example",
        "evil.example@localhost.evil.example",
        "10.0.0.8",
        "0.0.0.0:8003",
        "[::1",
        ":8003",
    ],
)
def test_foreign_host_is_refused_with_the_setting(host: str) -> None:
    with pytest.raises(Misdirected) as refused:
        HOSTS.check(host)
    assert refused.value.status == 421
    assert "HOMEOSTAT_RETRAINING_NAMES" in refused.value.hint


def test_empty_names_allow_no_empty_host() -> None:
    with pytest.raises(Misdirected):
        AllowedHosts.of("127.0.0.1", "", "X").check("")


@pytest.mark.parametrize(
    "headers",
    [
        {"origin": "http://evil.example"},
        {"origin": "http://localhost:8004"},
        {"origin": "null"},
        {"origin": "http://[::1"},
        {"sec-fetch-site": "cross-site"},
        {"sec-fetch-site": "same-site"},
    ],
)
def test_cross_site_request_is_refused(headers: dict[str, str]) -> None:
    with pytest.raises(Forbidden) as refused:
        check_origin({"host": "localhost:8003", **headers})
    assert refused.value.status == 403


def test_requests_without_a_page_pass() -> None:
    check_origin({"host": "localhost:8003"})
    check_origin({"host": "localhost:8003", "sec-fetch-site": "none"})
