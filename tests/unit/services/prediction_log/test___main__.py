"""The entry point: which process runs, and what a wrong call gets."""

from __future__ import annotations

import pytest

from services.prediction_log import __main__ as entry_point


@pytest.mark.parametrize("arguments", [[], ["writer"], ["shipper", "sink"]])
def test_unknown_process_prints_usage_and_exits_2(
    arguments: list[str], capsys: pytest.CaptureFixture[str]
) -> None:
    assert entry_point.main(arguments) == 2
    assert capsys.readouterr().err == "usage: python -m services.prediction_log {shipper|sink}\n"


@pytest.mark.parametrize("name", ["shipper", "sink"])
def test_named_process_runs_and_gives_the_exit_code(name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(entry_point.PROCESSES, name, lambda: 7)
    assert entry_point.main([name]) == 7
