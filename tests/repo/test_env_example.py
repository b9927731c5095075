"""`.env.example` names settings that exist, with their defaults, and holds no secret."""

from __future__ import annotations

import re
from functools import cache
from pathlib import Path

import pytest

from docs.reference.settings import settings_classes

EXAMPLE = Path(__file__).parents[2] / ".env.example"
NO_TELEMETRY = {"BENTOML_DO_NOT_TRACK", "DO_NOT_TRACK", "MLFLOW_DISABLE_TELEMETRY"}


@cache
def defaults() -> dict[str, str]:
    """Every setting of the program with its default, as it would be written in the file."""
    found = {
        str(
            field.validation_alias or f"{one.model_config.get('env_prefix', '')}{name}"
        ).upper(): field.default
        for one in settings_classes()
        for name, field in one.model_fields.items()
    }
    return {name: "" if value in (None, ()) else str(value) for name, value in found.items()}


def lines() -> list[tuple[bool, str, str]]:
    found = re.findall(r"^(# )?([A-Z][A-Z_]+)=(.*)$", EXAMPLE.read_text(), re.MULTILINE)
    return [(bool(commented), name, value) for commented, name, value in found]


@pytest.mark.parametrize(("commented", "name", "value"), lines())
def test_each_line_is_a_setting_with_its_default(commented: bool, name: str, value: str) -> None:
    known = defaults()
    if name in NO_TELEMETRY:
        return
    assert name in known
    assert commented or value == known[name]


def test_the_file_was_read() -> None:
    assert len(lines()) > 15
