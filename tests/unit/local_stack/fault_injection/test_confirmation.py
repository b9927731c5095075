"""Rows that stay need a yes where they may do harm."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import cast

import pyarrow as pa
import pytest

from local_stack.fault_injection.confirmation import Injected, require_confirmation
from local_stack.fault_injection.target import Served
from shared.contracts.loop_spec import read_loop_spec
from shared.errors import CallerError
from shared.stores.lake import Lake

ROOT = Path(__file__).parents[4]
LOOP = read_loop_spec(ROOT / "cli" / "templates")
NOW = datetime(2026, 1, 1, tzinfo=UTC)


def served(automation: str) -> Served:
    loop = LOOP.model_copy(update={"automation": automation})
    return Served("parcels", "ab" * 32, 1, loop, pa.table({}), {})


class LakeOf:
    """A lake with that many rows of the model."""

    def __init__(self, rows: int) -> None:
        self.rows = rows

    def count_predictions(self, model: str) -> int:
        assert model == "parcels"
        return self.rows


def ask(folder: Path, automation: str, rows: int, *, yes: bool = False) -> None:
    require_confirmation(served(automation), cast(Lake, LakeOf(rows)), Injected(folder, "parcels"), yes=yes)


@pytest.mark.parametrize("automation", ["observe", "suggest"])
def test_an_empty_lake_and_a_person_who_decides_need_no_yes(tmp_path: Path, automation: str) -> None:
    ask(tmp_path, automation, 0)


@pytest.mark.parametrize("automation", ["retrain", "approve", "auto"])
def test_a_loop_that_trains_by_itself_needs_one(tmp_path: Path, automation: str) -> None:
    with pytest.raises(CallerError, match=f"automation: {automation}") as refused:
        ask(tmp_path, automation, 0)
    assert "--yes" in refused.value.hint
    ask(tmp_path, automation, 0, yes=True)


def test_rows_of_others_need_one_and_rows_of_scenarios_do_not(tmp_path: Path) -> None:
    sent = Injected(tmp_path, "parcels")
    sent.add(600, NOW, NOW + timedelta(days=1))
    sent.add(1, NOW + timedelta(days=5), NOW + timedelta(days=5))
    sent.add(0, NOW, NOW)
    assert Injected(tmp_path, "parcels").rows() == 601
    assert Injected(tmp_path, "flights").rows() == 0
    ask(tmp_path, "suggest", 601)
    with pytest.raises(CallerError, match=r"holds rows of parcels that no scenario has sent \(2\)"):
        ask(tmp_path, "suggest", 603)
    ask(tmp_path, "suggest", 603, yes=True)
