"""Bars are drawn where a person looks, and nowhere else."""

from __future__ import annotations

import io

import pytest
from rich.console import Console

from cli.output import Output
from cli.progress import bar


def work(*, terminal: bool, as_json: bool, total: float | None) -> str:
    err = io.StringIO()
    output = Output(as_json, err=Console(file=err, force_terminal=terminal, width=80))
    with bar(output, "sending", total) as shown:
        for _ in range(3):
            shown.advance()
        shown.step("waiting for the lake")
        shown.set(2, 4)
    return err.getvalue()


@pytest.mark.parametrize("total", [None, 3.0])
def test_progress_is_shown_on_a_terminal(total: float | None) -> None:
    drawn = work(terminal=True, as_json=False, total=total)
    assert "waiting for the lake" in drawn
    assert ("2/4" in drawn) is (total is not None)


@pytest.mark.parametrize(("terminal", "as_json"), [(True, True), (False, False), (False, True)])
def test_progress_is_hidden_in_pipes_and_json(terminal: bool, as_json: bool) -> None:
    assert work(terminal=terminal, as_json=as_json, total=3) == ""
