"""A policy as a document: some keys of `retraining` and `costs`, which replace those of a loop.yaml."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any, Final

import yaml

from shared.contracts.loop_spec import LoopSpec
from shared.contracts.loop_yaml import parse_loop_spec
from shared.errors import ProjectError
from shared.files import read_regular

KEYS: Final = ("triggers", "cooldown", "budget", "window", "minimum_rows")
PARTS: Final = ("retraining", "costs")
_MAX_BYTES = 1 << 20


def with_policy(loop: LoopSpec, given: Mapping[str, Any], origin: str) -> LoopSpec:
    """`loop` with the policy `given`, which was read from `origin`. Keys that it does not give stay as they are.

    Raises ProjectError for other keys, InvalidLoopSpec naming origin, key and expectation.
    """
    unknown = [key for key in given if key not in PARTS]
    retraining = given.get("retraining") or {}
    if not unknown and isinstance(retraining, dict):
        unknown = [f"retraining.{key}" for key in retraining if key not in KEYS]
    if unknown or not isinstance(retraining, dict):
        raise ProjectError(
            f"{origin} has {unknown[0] if unknown else 'no mapping in retraining'}; a policy has "
            f"{', '.join(f'retraining.{key}' for key in KEYS)} and costs",
            hint="everything else is the same for all policies: it comes from the project's loop.yaml",
        )
    # In JSON, as in a manifest, so that what the document does not give stays as it is.
    document = loop.model_dump(mode="json")
    document["retraining"] |= retraining
    if "costs" in given:
        document["costs"] = given["costs"]
    try:
        text = yaml.safe_dump(document)
    except RecursionError as error:  # a JSON parser follows more levels
        raise ProjectError(
            f"{origin} is nested too deeply", hint="triggers are a flat list: see docs/configuration.md"
        ) from error
    return parse_loop_spec(text, origin=origin)


def read_document(path: Path) -> dict[str, Any]:
    """The mapping in a YAML file. Raises ProjectError."""
    hint = "write it as YAML: `retraining:` with triggers, cooldown, budget, window or minimum_rows"
    try:
        document = yaml.safe_load(read_regular(path, maximum_bytes=_MAX_BYTES).decode("utf-8"))
    except (OSError, UnicodeDecodeError) as error:
        raise ProjectError(
            f"{path} cannot be read: {getattr(error, 'strerror', None) or 'it is not UTF-8 text'}", hint=hint
        ) from error
    except (yaml.YAMLError, RecursionError) as error:
        raise ProjectError(f"{path} is not YAML: {str(error).splitlines()[0]}", hint=hint) from error
    if not isinstance(document, dict) or not document:
        raise ProjectError(f"{path} has no keys", hint=hint)
    return {str(key): value for key, value in document.items()}
