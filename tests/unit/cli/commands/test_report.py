"""`homeostat report`."""

from __future__ import annotations

import json
from pathlib import Path

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
