"""The notebook runs from its first cell to its last on a stack of its own, and the loop it shows really closes."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from local_stack.state import read_state
from tests.waiting import bound

pytestmark = [pytest.mark.e2e, pytest.mark.timeout(400)]
NOTEBOOK = Path(__file__).parents[2] / "docs" / "loop.ipynb"


@pytest.fixture
def book() -> Any:
    """The notebook. Its library takes seconds to import, and every worker collects all tests."""
    import nbformat

    return nbformat.read(NOTEBOOK, as_version=4)


@pytest.fixture
def home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    """A home for the notebook's stack, which is ended also where a cell fails."""
    place = tmp_path / "home"
    monkeypatch.setenv("HOMEOSTAT_HOME", str(place))
    # Nothing here reads MLflow, which takes retraining three CPU seconds.
    monkeypatch.setenv("HOMEOSTAT_RETRAINING_MLFLOW", "false")
    yield place
    if read_state(place) is not None:
        subprocess.run(
            [sys.executable, "-m", "cli", "down"], cwd=NOTEBOOK.parents[1], check=True, timeout=bound(120)
        )


def test_the_notebook_runs_and_its_loop_promotes(home: Path, book: Any) -> None:
    from nbclient import NotebookClient

    NotebookClient(
        book, timeout=int(bound(300)), resources={"metadata": {"path": str(home.parent)}}
    ).execute()
    shown = [
        str(output.get("text") or output.get("data", {}).get("text/plain"))
        for cell in book.cells
        for output in cell.get("outputs", [])
    ]
    assert any("promoted –" in text for text in shown)
    assert any(text.startswith("realised loss after the change") for text in shown)
    assert read_state(home) is None


def test_the_notebook_is_kept_without_its_outputs(book: Any) -> None:
    assert not [cell["id"] for cell in book.cells if cell.get("outputs") or cell.get("execution_count")]
