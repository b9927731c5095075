"""The link with which a browser logs in to the console."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from cli.login_link import is_at, is_console, login_link, reachable, wait_for_console
from local_stack.ports import free_port
from shared.access.installation_keys import ensure_installation_keys
from shared.errors import CallerError, DependencyUnavailable, OperatorError
from tests.browser.conftest import console_before
from tests.fakes.loop_services import FakeLoop, serving


def test_link_needs_a_key(tmp_path: Path) -> None:
    with pytest.raises(OperatorError, match="there is no API key to log in with"):
        login_link("http://127.0.0.1:1/", tmp_path)


def test_local_key_is_not_sent_to_other_machines(tmp_path: Path) -> None:
    ensure_installation_keys(tmp_path, tmp_path / "keys" / "api_keys.json")
    with pytest.raises(OperatorError, match="there is no API key to log in with"):
        login_link("http://console.example.org/", tmp_path)


def test_link_is_that_of_the_public_url(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    with console_before(FakeLoop()) as url:
        monkeypatch.setenv("HOMEOSTAT_API_KEY", url.key)
        link = login_link(f"{url}/", tmp_path)
        assert link.startswith(f"{url}/login?code=")
        assert url.key not in link
        public = login_link(url, tmp_path, public_url="https://console.example.org/")
        assert public.startswith("https://console.example.org/login?code=")
        monkeypatch.setenv("HOMEOSTAT_API_KEY", "hs_wrong")
        with pytest.raises(CallerError, match="the credentials are not an API key"):
            login_link(url, tmp_path)


def test_console_that_does_not_run_is_named(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv("HOMEOSTAT_API_KEY", "hs_x")
    with pytest.raises(DependencyUnavailable, match="console cannot be reached"):
        login_link(f"http://127.0.0.1:{free_port()}", tmp_path)


def test_console_is_recognised() -> None:
    with console_before(FakeLoop(), anonymous=False) as url, serving(FakeLoop()) as other:
        assert is_console(url)
        assert wait_for_console(url, os.getpid(), 10)
        assert not is_console(other)
        assert not is_console(f"http://127.0.0.1:{free_port()}")


def test_waiting_ends_with_the_process_or_the_time() -> None:
    nobody = f"http://127.0.0.1:{free_port()}"
    assert not wait_for_console(nobody, os.getpid(), 0.2)
    child = os.fork()
    if not child:
        os._exit(0)
    os.waitpid(child, 0)
    assert not wait_for_console(nobody, child, 600)


@pytest.mark.parametrize(
    ("host", "own"),
    [("127.0.0.1", "127.0.0.1"), ("0.0.0.0", "127.0.0.1"), ("::", "[::1]"), ("::1", "[::1]"), ("a.b", "a.b")],
)
def test_address_on_this_machine(host: str, own: str) -> None:
    assert reachable(host) == own


def test_port_of_a_url() -> None:
    assert is_at("http://127.0.0.1:8005/", 8005)
    assert not is_at("http://127.0.0.1:8006/", 8005)
