"""Excerpts: functions of the program shown on a page as they stand in the source."""

from __future__ import annotations

import ast
import re
from pathlib import Path

ROOT = Path(__file__).parents[2]
_EXCERPT = re.compile(
    r"(<!-- excerpt: (?P<file>\S+) (?P<function>\S+) -->\n).*?(<!-- end of excerpt -->)", re.DOTALL
)


def with_excerpts(text: str) -> str:
    """The page's text with every excerpt as the source has it now. Raises LookupError for a function that is not there."""
    return _EXCERPT.sub(
        lambda match: f"{match[1]}```python\n{_source(match['file'], match['function'])}\n```\n{match[4]}",
        text,
    )


def _source(file: str, function: str) -> str:
    text = (ROOT / file).read_text(encoding="utf-8")
    for node in ast.parse(text).body:
        if isinstance(node, ast.FunctionDef) and node.name == function:
            return ast.get_source_segment(text, node) or ""
    raise LookupError(f"{file} has no function {function}")
