from __future__ import annotations

import pytest

from shared.http.host_check import Doorkeeper, Forbidden, Misdirected

KEEPER = Doorkeeper.of("10.0.0.7", " Retraining, loop.example ,", "HOMEOSTAT_RETRAINING_NAMES")


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
def test_whoever_asks_by_a_name_of_ours_is_let_in(host: str) -> None:
    KEEPER.check("POST", {"host": host})
    KEEPER.check("POST", {"host": host, "origin": f"http://{host}", "sec-fetch-site": "same-origin"})


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
@pytest.mark.parametrize("method", ["POST", "GET", "DELETE"])
def test_a_name_that_is_not_ours_is_told_which_setting_would_make_it_so(host: str, method: str) -> None:
    with pytest.raises(Misdirected, match="HOMEOSTAT_RETRAINING_NAMES") as refused:
        KEEPER.check(method, {"host": host, "origin": f"http://{host}", "sec-fetch-site": "same-origin"})
    assert refused.value.status == 421


def test_nothing_named_adds_no_name() -> None:
    with pytest.raises(Misdirected):
        Doorkeeper.of("127.0.0.1", "", "X").check("GET", {"host": ""})


@pytest.mark.parametrize(
    "told",
    [
        {"origin": "http://evil.example"},
        {"origin": "http://localhost:8004"},
        {"origin": "null"},
        {"origin": "http://[::1"},
        {"sec-fetch-site": "cross-site"},
        {"sec-fetch-site": "same-site"},
    ],
)
def test_a_page_of_another_site_may_look_but_not_act(told: dict[str, str]) -> None:
    headers = {"host": "localhost:8003", **told}
    with pytest.raises(Forbidden) as refused:
        KEEPER.check("POST", headers)
    assert refused.value.status == 403
    KEEPER.check("GET", headers)


def test_what_is_no_browser_says_neither() -> None:
    KEEPER.check("POST", {"host": "localhost:8003"})
    KEEPER.check("POST", {"host": "localhost:8003", "sec-fetch-site": "none"})
