"""Who reads an error of the command line also reads what to do about it."""

from __future__ import annotations

import ast
from collections.abc import Iterator

from docs.reference.sources import ROOT, parse, sources

# Errors whose reader must act elsewhere than in the command he typed: on the machine, or in a service that is away.
ACTIONABLE = {"OperatorError", "DependencyUnavailable"}


def made() -> Iterator[tuple[str, ast.Call]]:
    """Every place in the command line that makes such an error."""
    for path in (*sources("cli"), *sources("local_stack")):
        for node in ast.walk(parse(path)):
            if isinstance(node, ast.Call) and isinstance(node.func, ast.Name) and node.func.id in ACTIONABLE:
                yield f"{path.relative_to(ROOT)}:{node.lineno}", node


def test_every_operator_error_has_a_hint() -> None:
    places = dict(made())
    assert len(places) > 20
    silent = []
    for place, call in places.items():
        hints = [word.value for word in call.keywords if word.arg == "hint"]
        empty = hints and isinstance(hints[0], ast.Constant) and not hints[0].value
        if not hints or empty:
            silent.append(place)
    assert silent == [], "these errors have no hint"
