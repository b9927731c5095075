"""Scenarios that need a confirmation."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from pathlib import Path

import pyarrow as pa
import pytest

from local_stack.fault_injection.confirmation import InjectionLog, require_confirmation
from local_stack.fault_injection.target import Target
from shared.contracts.loop_yaml import read_loop_spec
from shared.errors import CallerError

ROOT = Path(__file__).parents[4]
LOOP = read_loop_spec(ROOT / "cli" / "templates")
NOW = datetime(2026, 1, 1, tzinfo=UTC)


def target(automation: str) -> Target:
    loop = LOOP.model_copy(update={"automation": automation})
    return Target("parcels", "ab" * 32, 1, loop, pa.table({}), {})


def ask(folder: Path, automation: str, rows: int, *, yes: bool = False) -> None:
    require_confirmation(target(automation), rows, InjectionLog(folder, "parcels"), yes=yes)


@pytest.mark.parametrize("automation", ["observe", "suggest"])
def test_empty_lake_and_manual_level_need_no_confirmation(tmp_path: Path, automation: str) -> None:
    ask(tmp_path, automation, 0)


@pytest.mark.parametrize("automation", ["retrain", "approve", "auto"])
def test_automatic_retraining_needs_confirmation(tmp_path: Path, automation: str) -> None:
    with pytest.raises(CallerError, match=f"automation: {automation}") as refused:
        ask(tmp_path, automation, 0)
    assert "--yes" in refused.value.hint
    ask(tmp_path, automation, 0, yes=True)


def test_rows_that_were_not_injected_need_confirmation(tmp_path: Path) -> None:
    sent = InjectionLog(tmp_path, "parcels")
    sent.add(600, NOW, NOW + timedelta(days=1))
    sent.add(1, NOW + timedelta(days=5), NOW + timedelta(days=5))
    sent.add(0, NOW, NOW)
    assert InjectionLog(tmp_path, "parcels").rows() == 601
    assert InjectionLog(tmp_path, "flights").rows() == 0
    ask(tmp_path, "suggest", 601)
    with pytest.raises(CallerError, match=r"the lake holds rows of parcels that were not injected \(2\)"):
        ask(tmp_path, "suggest", 603)
    ask(tmp_path, "suggest", 603, yes=True)
