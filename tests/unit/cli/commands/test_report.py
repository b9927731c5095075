"""`homeostat report`."""

from __future__ import annotations

import json
import re
from io import StringIO
from pathlib import Path

import pytest
from rich.console import Console

from cli.commands.report import verdicts_table
from tests.unit.cli.command import run
from tests.unit.cli.fake_service import FakeService

VERDICT = {
    "verdict_id": "c0ffee",
    "model": "flights",
    "window_start": "2013-02-01T00:00:00Z",
    "window_end": "2013-02-08T00:00:00Z",
    "state": "drift",
    "top_drifted_features": ["dest"],
    "rows": 5000,
}


def test_report_lists_verdicts_with_urls(service: FakeService, tmp_path: Path) -> None:
    service.answers["GET /verdicts"] = (200, {"verdicts": [VERDICT]})
    shown = run(
        "report", "flights", "--limit", "5", "--drift-url", service.url, "--home", str(tmp_path), "--json"
    )
    assert json.loads(shown.stdout)["verdicts"][0]["report"] == f"{service.url}/reports/c0ffee"
    assert service.asked == [("GET /verdicts?limit=5&model=flights", None)]


def listed(service: FakeService, home: Path, *words: str) -> list[str]:
    shown = run("report", *words, "--drift-url", service.url, "--home", str(home))
    assert shown.exit_code == 0, shown.output
    return shown.stdout.splitlines()


@pytest.mark.parametrize(
    ("changes", "reason"),
    [
        ({"drifted": ["feature"]}, "feature (dest)"),
        (
            {"drifted": ["performance"], "top_drifted_features": [], "loss": 1.23456},
            "performance (loss 1.235)",
        ),
        ({"drifted": ["feature", "performance"], "loss": 2}, "feature (dest), performance (loss 2)"),
        ({"drifted": ["prediction"], "top_drifted_features": []}, "prediction"),
        (
            {
                "drifted": ["performance"],
                "loss": 2,
                "found_slices": [{"signal": "performance", "where": 'dest == "SFO"'}],
            },
            'performance (loss 2), mostly where dest == "SFO"',
        ),
        ({"state": "data_fault", "top_drifted_features": ["origin"]}, "origin"),
        (
            {
                "state": "insufficient_data",
                "top_drifted_features": [],
                "explanation": "The window holds [3] rows.",
            },
            "The window holds [3] rows.",
        ),
        ({"state": "ok", "top_drifted_features": [], "explanation": "All scores are fine."}, ""),
    ],
)
def test_report_shows_the_reason(
    service: FakeService, tmp_path: Path, changes: dict[str, object], reason: str
) -> None:
    service.answers["GET /verdicts"] = (200, {"verdicts": [{**VERDICT, **changes}]})
    head, line = listed(service, tmp_path)
    start, end = head.index("reason"), head.index("rows")
    assert line[start:end].strip() == reason


def test_report_in_a_pipe_has_urls(service: FakeService, tmp_path: Path) -> None:
    service.answers["GET /verdicts"] = (200, {"verdicts": [VERDICT]})
    _, line = listed(service, tmp_path)
    assert line.split()[-2:] == ["c0ffee", f"{service.url}/reports/c0ffee"]


def test_report_in_a_terminal_links_the_id() -> None:
    out = Console(file=StringIO(), force_terminal=True, width=200)
    out.print(verdicts_table([{**VERDICT, "report": "http://drift/reports/c0ffee"}], urls=False))
    shown = out.file.getvalue()  # type: ignore[attr-defined]
    assert ";http://drift/reports/c0ffee\x1b\\c0ffee" in re.sub(r"\x1b\[[0-9;]*m", "", shown)
    assert shown.count("http://drift") == 1


def test_report_without_verdicts_names_the_model(service: FakeService, tmp_path: Path) -> None:
    service.answers["GET /verdicts"] = (200, {"verdicts": []})
    assert listed(service, tmp_path) == ["no verdicts yet"]
    shown = run("report", "flights", "--drift-url", service.url, "--home", str(tmp_path))
    assert shown.stdout == (
        "no verdicts yet of flights; the name was not checked, because inference serves no model or cannot be reached\n"
    )
