"""The structure of the tree as data: modules by folder, who imports whom, and which module a unit test is about."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from graphlib import CycleError, TopologicalSorter
from pathlib import PurePath

import grimp

PRODUCT = (
    "homeostat",
    "shared",
    "services",
    "local_stack",
    "backtest",
    "cli",
    "dashboards",
    "deploy",
    "examples",
    "loadtests",
    "docs",
)
UNIT = ("tests", "unit")


def modules_by_folder(paths: Iterable[PurePath]) -> dict[str, list[str]]:
    """The modules of each folder of product code; `__init__.py` is none."""
    folders: dict[str, list[str]] = {}
    for path in paths:
        if path.suffix == ".py" and path.parts[0] in PRODUCT and path.name != "__init__.py":
            folders.setdefault(path.parent.as_posix(), []).append(path.stem)
    return folders


def import_graph() -> dict[str, set[str]]:
    """The product modules that each product module imports, inside functions too, but not for type checking only."""
    graph = grimp.build_graph(*PRODUCT, exclude_type_checking_imports=True, cache_dir=None)
    return {module: set(graph.find_modules_directly_imported_by(module)) for module in graph.modules}


def cycle(graph: Mapping[str, set[str]]) -> list[str]:
    """One import cycle, from a module back to itself; empty if there is none."""
    try:
        TopologicalSorter(graph).prepare()
    except CycleError as error:
        return list(error.args[1])
    return []


def unit_tests_without_module(paths: Iterable[PurePath]) -> list[str]:
    """Unit test files that have no module: `tests/unit/a/test_b.py` is about `a/b.py` or the package `a/b`."""
    files = {path.as_posix() for path in paths}
    missing = []
    for name in sorted(files):
        path = PurePath(name)
        if path.parts[:2] != UNIT or not path.name.startswith("test_") or path.suffix != ".py":
            continue
        module = PurePath(*path.parts[2:-1], path.stem.removeprefix("test_")).as_posix()
        if not {f"{module}.py", f"{module}/__init__.py"} & files:
            missing.append(name)
    return missing
