"""Which earlier runs count as attempts on the same rows."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from types import SimpleNamespace
from typing import Any

from services.retraining.runs.evaluation_step import attempt_of

START = datetime(2026, 1, 1, tzinfo=UTC)


def run(run_id: str, day: int, *, champion: str = "old", gate: Any = None) -> Any:
    """A run whose holdout is the week from a day on."""
    start = START + timedelta(days=day)
    snapshot = {"holdout_from": start.isoformat(), "holdout_until": (start + timedelta(days=7)).isoformat()}
    return SimpleNamespace(run_id=run_id, champion=champion, snapshot=snapshot, gate=gate)


def test_compared_runs_against_the_same_champion_on_shared_rows_count() -> None:
    compared, failed = {"gain": {"mean": 0.0}}, {"gain": None}
    others = [
        run("this", 10),
        run("same week", 10, gate=compared),
        run("overlaps", 5, gate=compared),
        run("earlier", 0, gate=compared),
        run("other champion", 10, champion="older", gate=compared),
        run("broken model", 10, gate=failed),
        run("abandoned", 10),
    ]
    assert attempt_of(run("this", 10), others) == 3
    assert attempt_of(run("first", 10), []) == 1
