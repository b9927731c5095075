"""Kinds of findings about a data set."""

from __future__ import annotations

from docs.reference.markdown import code, table
from shared.data_checks.finding import MEANINGS


def findings_table(_: str) -> str:
    """A row per kind."""
    return table(("kind", "what was found"), [(code(kind), meaning) for kind, meaning in MEANINGS.items()])
