from __future__ import annotations

import sys
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import pytest

from cli.drift import replay_process
from tests.unit.cli.command import run
from tests.unit.cli.fake_service import FakeService


def test_newest_reports_are_drawn_before_the_export(
    service: FakeService, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    asked: list[tuple[Mapping[str, Any], tuple[str, ...]]] = []

    def exported(
        request: Mapping[str, Any],
        environment: Mapping[str, str],
        on_progress: Callable[[dict[str, Any]], None],
        *,
        command: tuple[str, ...],
        doing: str,
    ) -> dict[str, Any]:
        asked.append((request, command))
        on_progress({"done": 1, "total": 1, "step": "toy"})
        return {"workspace": request["folder"], "models": [{"model": "toy", "added": 1, "kept": 2}]}

    monkeypatch.setattr(replay_process, "run_replay", exported)
    service.answers["GET /verdicts"] = (200, {"verdicts": [{"verdict_id": "b"}, {"verdict_id": "a"}]})
    for verdict in "ab":
        service.answers[f"GET /reports/{verdict}/report.json"] = (200, {})
    folder = tmp_path / "workspace"
    shown = run(
        *("drift", "export-evidently", str(folder), "--model", "toy", "--draw", "2"),
        *("--drift-url", service.url, "--home", str(tmp_path)),
    )
    assert shown.exit_code == 0, shown.output
    assert [request for request, _ in service.asked] == [
        "GET /verdicts?limit=2&model=toy",
        "GET /reports/a/report.json",
        "GET /reports/b/report.json",
    ]
    assert asked == [
        ({"folder": str(folder), "model": "toy"}, (sys.executable, "-m", "services.drift.workspace"))
    ]
    assert "toy: 1 of 2 evaluations added" in shown.stdout
    assert "evidently ui --workspace" in shown.stdout
