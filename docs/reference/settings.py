"""Settings: every class of settings in the program, with the variable each field is read from."""

from __future__ import annotations

import importlib
import inspect
import json
from dataclasses import dataclass
from datetime import timedelta
from functools import cache
from pathlib import Path
from typing import Any, get_args

from pydantic import SecretStr
from pydantic_core import PydanticUndefined
from pydantic_settings import BaseSettings

from docs.reference.markdown import code, table
from docs.reference.sources import module_name, service_of, sources

_WORDS = {
    "str": "text",
    "int": "integer",
    "float": "number",
    "bool": "true or false",
    "Path": "path",
    "timedelta": "duration",
}


@dataclass(frozen=True)
class Setting:
    """One setting: the environment `variable`, its `kind`, `default` and `description`, and who `owner` is."""

    owner: str
    variable: str
    kind: str
    default: str
    description: str


@cache
def all_settings() -> tuple[Setting, ...]:
    """Every setting, in the order of the code; one that a class inherits is listed with the class that declares it."""
    return tuple(setting for one in settings_classes() for setting in _settings_of(one))


def settings_classes() -> list[type[BaseSettings]]:
    """Every class of settings."""
    found = []
    for path in sources():
        if path.name == "settings.py":
            module = importlib.import_module(module_name(path))
            found += [
                member
                for _, member in inspect.getmembers(module, inspect.isclass)
                if issubclass(member, BaseSettings) and member.__module__ == module.__name__
            ]
    return found


def settings_table(owner: str) -> str:
    """The settings of `shared`, `cli` or one service."""
    rows = [
        (code(setting.variable), setting.kind, setting.default, setting.description)
        for setting in all_settings()
        if setting.owner == owner
    ]
    return table(("variable", "type", "default", "meaning"), rows)


def _settings_of(one: type[BaseSettings]) -> list[Setting]:
    inherited = {name for base in one.__mro__[1:] for name in getattr(base, "model_fields", {})}
    prefix = one.model_config.get("env_prefix", "")
    owner = service_of(Path(inspect.getfile(one)))
    return [
        Setting(
            owner=owner,
            variable=str(field.validation_alias or f"{prefix}{name}").upper(),
            kind=_kind(field.annotation),
            default=_default(field.default, field.default_factory),
            description=field.description or "",
        )
        for name, field in one.model_fields.items()
        if name not in inherited
    ]


def _kind(annotation: Any) -> str:
    choices = get_args(annotation)
    if choices and all(isinstance(choice, str) for choice in choices):
        return ", ".join(code(choice) for choice in choices)
    if choices and type(None) in choices:
        return _kind(next(choice for choice in choices if choice is not type(None)))
    if getattr(annotation, "__origin__", None) is tuple:
        return "JSON list"
    if getattr(annotation, "__origin__", None) is dict:
        return "JSON object"
    names = {
        "str": "text",
        "int": "integer",
        "float": "number",
        "bool": "true or false",
        "Path": "path",
        "SecretStr": "secret text",
        "timedelta": "duration",
    }
    name = getattr(annotation, "__name__", str(annotation))
    return names.get(name, name)


def _default(value: Any, factory: Any) -> str:
    if factory is not None:
        return "see the meaning"
    if value is PydanticUndefined:
        return "none: must be set"
    if isinstance(value, SecretStr):
        value = value.get_secret_value()
    if value in (None, "", (), {}):
        return "empty"
    if isinstance(value, tuple):
        return code(json.dumps(value))
    if isinstance(value, timedelta):
        return code(f"{value.total_seconds():g}")
    return code(str(value).lower() if isinstance(value, bool) else str(value))
