"""Values of the Helm chart: what its values.yaml says about each."""

from __future__ import annotations

import json
import re
from typing import Any

import yaml

from docs.reference.markdown import code, table
from docs.reference.sources import ROOT

VALUES = ROOT / "deploy" / "helm" / "homeostat" / "values.yaml"
# Longer ones are in the file.
_MAX_DEFAULT = 60
_KEY = re.compile(r"^( *)([A-Za-z_][\w.-]*):( |$)")
_COMMENT = re.compile(r"^( *)# (.*)$")


def commented_values(text: str) -> dict[tuple[str, ...], str]:
    """The path of each value with a comment above it, and the comment on one line."""
    found: dict[tuple[str, ...], str] = {}
    path: list[tuple[int, str]] = []
    comment: list[str] = []
    for line in text.splitlines():
        if (said := _COMMENT.match(line)) is not None:
            comment.append(said[2])
        elif (key := _KEY.match(line)) is not None:
            path = [*(outer for outer in path if outer[0] < len(key[1])), (len(key[1]), key[2])]
            if comment:
                found[tuple(name for _, name in path)] = " ".join(comment)
            comment = []
        else:
            comment = []
    return found


def chart_values_table(_: str) -> str:
    """Every value with a comment, its default, and what the comment says."""
    text = VALUES.read_text(encoding="utf-8")
    values = yaml.safe_load(text)
    rows = [
        (code(".".join(path)), _default(_at(values, path)), meaning)
        for path, meaning in commented_values(text).items()
    ]
    return table(("value", "default", "meaning"), rows)


def _at(values: Any, path: tuple[str, ...]) -> Any:
    for name in path:
        values = values[name]
    return values


def _default(value: Any) -> str:
    if value in ("", {}, []):
        return "empty"
    text = value if isinstance(value, str) else json.dumps(value)
    return code(text) if len(text) <= _MAX_DEFAULT else "in the file"
