"""Settings of the console."""

from __future__ import annotations

import pytest

from services.console.settings import ConsoleSettings


def test_variables_have_the_console_prefix(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HOMEOSTAT_CONSOLE_PORT", "8123")
    monkeypatch.setenv("HOMEOSTAT_DRIFT_URL", "http://drift:8002")
    settings = ConsoleSettings()
    assert (settings.port, settings.drift_url) == (8123, "http://drift:8002")


def test_lists_are_split_at_commas() -> None:
    settings = ConsoleSettings(servers="http://a:1/ , http://b:2")
    assert settings.server_urls == ("http://a:1", "http://b:2")
