"""The tree can be searched by name: small folders, no import cycle, and a unit test file beside each module's path."""

from __future__ import annotations

from pathlib import PurePath

from tests.repo.structure import cycle, import_graph, modules_by_folder, unit_tests_without_module
from tests.repo.tracked import ROOT, tracked

# A folder with more does not fit into one look.
MAX_MODULES = 16


def relative() -> list[PurePath]:
    return [PurePath(path.relative_to(ROOT)) for path in tracked()]


def test_a_folder_holds_at_most_sixteen_modules() -> None:
    folders = modules_by_folder(relative())
    assert len(folders) > 30
    assert {name: len(modules) for name, modules in folders.items() if len(modules) > MAX_MODULES} == {}


def test_a_seventeenth_module_is_counted() -> None:
    paths = [PurePath(f"cli/checks/check_{number}.py") for number in range(17)]
    assert len(modules_by_folder([*paths, PurePath("cli/checks/__init__.py")])["cli/checks"]) == 17


def test_product_modules_have_no_import_cycle() -> None:
    graph = import_graph()
    assert len(graph) > 300
    assert cycle(graph) == []


def test_an_import_inside_a_function_can_close_a_cycle() -> None:
    graph = import_graph()
    # The completion imports it when it is asked for names.
    assert "cli.command_settings" in graph["cli.completion"]
    graph["cli.command_settings"].add("cli.completion")
    assert {"cli.command_settings", "cli.completion"} <= set(cycle(graph))


def test_every_unit_test_file_has_its_module() -> None:
    assert unit_tests_without_module(relative()) == []


def test_a_unit_test_file_without_module_is_found() -> None:
    paths = ["cli/wait.py", "cli/checks/__init__.py", "cli/checks/gpu.py"]
    tests = ["cli/test_wait.py", "cli/test_checks.py", "cli/checks/test_gpu.py", "cli/test_gpu.py"]
    found = unit_tests_without_module(map(PurePath, [*paths, *(f"tests/unit/{name}" for name in tests)]))
    assert found == ["tests/unit/cli/test_gpu.py"]
