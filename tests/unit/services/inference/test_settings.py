from __future__ import annotations

from inspect import signature

import pytest
from circus.watcher import Watcher  # type: ignore[import-untyped]
from pydantic import ValidationError

from services.inference.settings import InferenceSettings


def test_settings_from_environment_are_frozen(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HOMEOSTAT_INFERENCE_DEVICE", "cpu")
    monkeypatch.setenv("HOMEOSTAT_INFERENCE_MODELS", '["flights"]')
    settings = InferenceSettings()
    assert (settings.device, settings.models) == ("cpu", ("flights",))
    with pytest.raises(ValidationError):
        settings.device = "cuda"  # type: ignore[misc]


@pytest.mark.parametrize(("name", "value"), [("DEVICE", "tpu"), ("POLL_SECONDS", "2"), ("MAXIMUM_ROWS", "0")])
def test_setting_out_of_bounds_is_refused(monkeypatch: pytest.MonkeyPatch, name: str, value: str) -> None:
    monkeypatch.setenv(f"HOMEOSTAT_INFERENCE_{name}", value)
    with pytest.raises(ValidationError):
        InferenceSettings()


def test_server_is_not_killed_while_it_drains() -> None:
    """BentoML starts the processes of a server with circus, and leaves its time until SIGKILL as it is."""
    seconds = signature(Watcher).parameters["graceful_timeout"].default
    with pytest.raises(ValidationError):
        InferenceSettings(drain_seconds=seconds - 5)


def test_every_setting_has_a_description() -> None:
    assert all(
        field.description and field.description.endswith(".")
        for field in InferenceSettings.model_fields.values()
    )
