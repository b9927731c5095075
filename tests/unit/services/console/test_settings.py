"""Settings of the console."""

from __future__ import annotations

from pathlib import Path

import pytest
from pydantic import SecretStr, ValidationError

from services.console.bootstrap import read_api_key
from services.console.settings import ConsoleSettings
from shared.errors import OperatorError


def test_variables_have_the_console_prefix(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HOMEOSTAT_CONSOLE_PORT", "8123")
    monkeypatch.setenv("HOMEOSTAT_DRIFT_URL", "http://drift:8002")
    settings = ConsoleSettings()
    assert (settings.port, settings.drift_url) == (8123, "http://drift:8002")


def test_lists_are_split_at_commas() -> None:
    settings = ConsoleSettings(servers="http://a:1/ , http://b:2")
    assert settings.server_urls == ("http://a:1", "http://b:2")


@pytest.mark.parametrize(
    ("url", "is_secure", "names"),
    [
        ("", False, ",a,b,"),
        ("http://console.example.org:8005", False, ",a,b,console.example.org"),
        ("https://Console.example.org/", True, ",a,b,console.example.org"),
    ],
)
def test_url_of_the_proxy_gives_name_and_scheme(url: str, is_secure: bool, names: str) -> None:
    settings = ConsoleSettings(url=url, names=",a,b")
    assert (settings.is_secure, settings.all_names) == (is_secure, names)


def test_trusted_proxies_are_addresses() -> None:
    assert ConsoleSettings(trusted_proxies=" 10.0.0.0/8, ::1 ,").trusted_proxies == "10.0.0.0/8,::1"
    for wrong in ("proxy.example.org", "*", "10.0.0.1/8"):
        with pytest.raises(ValidationError, match="is not an IP address or network"):
            ConsoleSettings(trusted_proxies=wrong)


def test_key_of_the_console_is_read_from_its_file(tmp_path: Path) -> None:
    file = tmp_path / "console.key"
    file.write_text("hs_in_the_file\n")
    assert read_api_key(ConsoleSettings()) == ""
    assert read_api_key(ConsoleSettings(api_key_file=file)) == "hs_in_the_file"
    given = ConsoleSettings(api_key=SecretStr(" hs_given "), api_key_file=file)
    assert read_api_key(given) == "hs_given"
    assert "hs_given" not in repr(given)
    with pytest.raises(OperatorError, match="cannot be read"):
        read_api_key(ConsoleSettings(api_key_file=tmp_path / "none"))
