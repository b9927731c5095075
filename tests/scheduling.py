"""The order of the tests, and how long each may take.

1. Folders of long tests come first, so that no worker ends with one alone. `--dist loadfile` keeps the tests of a file together
   in one worker, in their order, with their module's fixtures.
2. The limit of a test grows with the load. pytest-timeout ends a slow test by a signal, so it fails alone and the run goes on.
3. A test that hangs in C code never sees that signal: at twice its limit its worker ends with a traceback, xdist reports the test
   as failed and starts another worker, which runs the rest of the file (`tests/crashed_workers.py`).
"""

from __future__ import annotations

import faulthandler
import signal
from collections.abc import Generator
from types import FrameType

import pytest

from tests.waiting import time_factor

LONGEST_FIRST = (
    "e2e",
    "integration",
    "containers",
    "browser",
    "clients",
    "export",
    "conformance",
    "kubernetes",
    "repo",
    "unit",
    "gpu",
)


def folder_of(item: pytest.Item) -> str:
    """The folder of the test below `tests`, such as `unit`."""
    pieces = item.path.relative_to(item.config.rootpath).parts
    return pieces[1] if len(pieces) > 2 else ""


def rank(item: pytest.Item) -> int:
    """Where the test's folder stands in the order."""
    folder = folder_of(item)
    return LONGEST_FIRST.index(folder) if folder in LONGEST_FIRST else len(LONGEST_FIRST)


def limit_of(item: pytest.Item) -> float:
    """The seconds that the test may take on an idle machine."""
    marker = item.get_closest_marker("timeout")
    if marker is not None and marker.args:
        return float(marker.args[0])
    return float(item.config.getini("timeout") or 0)


@pytest.hookimpl(tryfirst=True)
def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Put the longest folders first."""
    items.sort(key=rank)


# A wrapper, since pytest-timeout reads the limit in one.
@pytest.hookimpl(wrapper=True, tryfirst=True)
def pytest_runtest_protocol(item: pytest.Item) -> Generator[None, object, object]:
    """Scale the limit by the load, and end the process if the test exceeds twice the limit."""
    limit_s = limit_of(item) * time_factor()
    if not limit_s:
        return (yield)
    item.add_marker(pytest.mark.timeout(limit_s), append=False)
    faulthandler.dump_traceback_later(2 * limit_s, exit=True)
    try:
        return (yield)
    finally:
        faulthandler.cancel_dump_traceback_later()


def _stop(_number: int, _frame: FrameType | None) -> None:
    raise KeyboardInterrupt


def pytest_configure(config: pytest.Config) -> None:
    """End like Ctrl-C on SIGTERM: fixtures are torn down and the summary is written."""
    if not hasattr(config, "workerinput"):
        signal.signal(signal.SIGTERM, _stop)
