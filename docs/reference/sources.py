"""The program's own source files, found and parsed without running them."""

from __future__ import annotations

import ast
from collections.abc import Iterator
from functools import cache
from pathlib import Path

ROOT = Path(__file__).parents[2]
PACKAGES = ("shared", "services", "local_stack", "backtest", "cli", "homeostat")


def sources(*packages: str) -> Iterator[Path]:
    """Python files of the packages (default: all of the program's), in order."""
    for package in packages or PACKAGES:
        yield from sorted((ROOT / package.replace(".", "/")).rglob("*.py"))


def module_name(path: Path) -> str:
    """The import name of a source file: the path is the import."""
    parts = path.relative_to(ROOT).with_suffix("").parts
    return ".".join(parts[:-1] if parts[-1] == "__init__" else parts)


@cache
def parse(path: Path) -> ast.Module:
    """The syntax tree of a source file."""
    return ast.parse(path.read_text(encoding="utf-8"), filename=str(path))


def service_of(path: Path) -> str:
    """`services.drift` for everything below it; else the top package."""
    parts = path.relative_to(ROOT).parts
    return ".".join(parts[:2]) if parts[0] == "services" and len(parts) > 2 else parts[0]
