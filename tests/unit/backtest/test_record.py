from __future__ import annotations

from pathlib import Path

import pytest

from backtest.record import armed, record_armed, record_results, recorded
from shared.errors import ProjectError


def test_results_are_kept_by_policy(tmp_path: Path) -> None:
    assert recorded(tmp_path, "aa") is None
    assert armed(tmp_path) is None
    record_results(tmp_path, {"aa": {"digest": "1"}, "bb": {"digest": "2"}})
    record_armed(tmp_path, "bb", "2")
    record_results(tmp_path, {"aa": {"digest": "3"}})
    assert recorded(tmp_path, "aa") == {"digest": "3"}
    assert recorded(tmp_path, "bb") == {"digest": "2"}
    assert armed(tmp_path) == {"policy": "bb", "result": "2"}


def test_an_unreadable_record_is_not_replaced(tmp_path: Path) -> None:
    (tmp_path / "backtests.json").write_text("{")
    with pytest.raises(ProjectError, match="restore or delete it"):
        record_results(tmp_path, {"aa": {}})
    assert (tmp_path / "backtests.json").read_text() == "{"
