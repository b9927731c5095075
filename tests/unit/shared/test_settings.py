"""The settings every service shares."""

from __future__ import annotations

from pathlib import Path

import pytest
from pydantic import ValidationError
from pydantic_settings import SettingsConfigDict

from shared.settings import HomeostatSettings


@pytest.fixture(autouse=True)
def _no_outer_settings(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in HomeostatSettings.model_fields:
        monkeypatch.delenv(f"HOMEOSTAT_{name.upper()}", raising=False)


def test_everything_is_below_home_by_default(tmp_path: Path) -> None:
    settings = HomeostatSettings(home=tmp_path)
    assert settings.model_store_url == (tmp_path / "models").as_uri()
    assert settings.lake_url == str(tmp_path / "lake")


def test_relative_home_becomes_absolute(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    settings = HomeostatSettings()
    assert settings.home == Path(".homeostat")
    assert settings.model_store_url == (tmp_path / ".homeostat" / "models").as_uri()
    assert settings.lake_url == str(tmp_path / ".homeostat" / "lake")


def test_the_environment_wins_over_the_default(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HOMEOSTAT_KAFKA", "broker-1:9092,broker-2:9092")
    monkeypatch.setenv("HOMEOSTAT_MODEL_STORE", "s3://bucket/models")
    monkeypatch.setenv("HOMEOSTAT_LAKE", "s3://bucket/lake")
    settings = HomeostatSettings()
    assert settings.kafka == "broker-1:9092,broker-2:9092"
    assert settings.model_store_url == "s3://bucket/models"
    assert settings.lake_url == "s3://bucket/lake"


class ServiceSettings(HomeostatSettings):
    """As a service declares its own."""

    model_config = SettingsConfigDict(env_prefix="HOMEOSTAT_SERVICE_", frozen=True, extra="ignore")

    port: int = 1


def test_service_prefix_keeps_shared_variable_names(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv("HOMEOSTAT_HOME", str(tmp_path))
    monkeypatch.setenv("HOMEOSTAT_SERVICE_PORT", "2")
    settings = ServiceSettings()
    assert (settings.home, settings.port) == (tmp_path, 2)
    assert ServiceSettings(home=tmp_path / "other", port=3).home == tmp_path / "other"


def test_settings_are_frozen() -> None:
    with pytest.raises(ValidationError, match="frozen"):
        HomeostatSettings().kafka = "elsewhere:9092"  # type: ignore[misc]


@pytest.mark.parametrize(("name", "value"), [("LOG_FORMAT", "xml"), ("LOG_LEVEL", "loud")])
def test_invalid_choice_is_refused(name: str, value: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv(f"HOMEOSTAT_{name}", value)
    with pytest.raises(ValidationError, match=value):
        HomeostatSettings()
