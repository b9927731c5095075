"""compose.yaml as the tests read it: merged with what is laid over it, and with its variables filled in."""

from __future__ import annotations

import re
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import yaml

ROOT = Path(__file__).parents[2]
COMPOSE = ROOT / "compose.yaml"
GPU = ROOT / "compose.gpu.yaml"
TLS = ROOT / "compose.tls.yaml"
KAFKA = ROOT / "compose.kafka.yaml"
BROKERS = ROOT / "compose.brokers.yaml"
# What deploy/containers/secrets.sh leaves in .env.
VARIABLES = {"SECRETS": "./secrets", "KAFKA_CLUSTER_ID": "5L6g3nShT-eMCtK--X86sw"}
# What somebody with a cluster writes there.
VARIABLES["KAFKA_SERVERS"] = "broker-1.example.org:9093"


def load(*files: Path, variables: Mapping[str, str] = VARIABLES) -> dict[str, Any]:
    """The files over one another, as `docker compose -f … -f …` would have them. Raises KeyError for an unset variable."""
    merged: dict[str, Any] = {}
    for file in files or (COMPOSE,):
        merged = _over(merged, yaml.safe_load(file.read_text(encoding="utf-8")))
    found: dict[str, Any] = _filled(merged, variables)
    return found


def is_ours(service: Mapping[str, Any]) -> bool:
    """Whether the image is built from our Dockerfile."""
    return "build" in service


def names_of(service: Mapping[str, Any]) -> dict[str, str]:
    """Where each named volume of a service is mounted."""
    pairs = (volume.split(":") for volume in service.get("volumes", ()))
    return {pair[0]: pair[1] for pair in pairs if not pair[0].startswith((".", "/"))}


def _over(below: Any, above: Any) -> Any:
    """Mappings are merged and lists joined (a command is replaced), anything else is replaced."""
    if isinstance(below, list) and isinstance(above, list) and not _is_command(above):
        return [*below, *above]
    if isinstance(below, dict) and isinstance(above, dict):
        return {
            **below,
            **{name: _over(below[name], value) if name in below else value for name, value in above.items()},
        }
    return above


def _is_command(words: list[Any]) -> bool:
    return any(str(word).startswith("--") for word in words)


def _filled(value: Any, variables: Mapping[str, str]) -> Any:
    if isinstance(value, dict):
        return {name: _filled(each, variables) for name, each in value.items()}
    if isinstance(value, list):
        return [_filled(each, variables) for each in value]
    if isinstance(value, str):
        return re.sub(r"\$\{(\w+)(:[-?+][^}]*)?\}", lambda match: _value(match, variables), value)
    return value


def _value(match: re.Match[str], variables: Mapping[str, str]) -> str:
    name, rest = match[1], match[2] or ""
    if rest.startswith(":+"):
        return rest[2:] if variables.get(name) else ""
    if variables.get(name):
        return variables[name]
    if rest.startswith(":-"):
        return rest[2:]
    raise KeyError(f"{name} must be set: {rest[2:]}")
