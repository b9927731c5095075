from __future__ import annotations

import json
from datetime import UTC, datetime
from typing import Any

import httpx
import pytest

from services.console.aggregation.data_summary import DataSummary
from services.console.views.data_page import render_data
from tests.fakes.loop_services import full_loop
from tests.unit.services.console.harness import Console, run

EVIL = "</td><script>alert(1)</script>"
COLUMN: dict[str, Any] = {"name": "dest", "type": "string", "rows": 90, "missing": 3, "distinct": 7}
SUMMARY: dict[str, Any] = {
    "rows": 90,
    "columns": [{**COLUMN, "frequent": [[EVIL, 0.5]]}, {**COLUMN, "name": "x", "median": 2.5}],
    "findings": [
        {
            "kind": "new_category",
            "severity": "warning",
            "column": EVIL,
            "message": f"has {EVIL}",
            "hint": "look",
        }
    ],
    "first": "2026-02-01T00:00:00Z",
    "last": "2026-03-01T00:00:00Z",
    "is_part": True,
}
FOUND = {"model": "flights", "is_making": False, "made_at": datetime(2026, 3, 1, tzinfo=UTC).isoformat()}


def page(**changes: Any) -> str:
    return render_data(DataSummary.model_validate({**FOUND, "summary": SUMMARY, **changes}))


def test_findings_and_columns_are_shown_as_text() -> None:
    shown = page()
    assert "<script" not in shown
    assert shown.count("&lt;/td&gt;&lt;script&gt;alert(1)&lt;/script&gt;") == 3
    assert "new_category" in shown
    assert "90 rows" in shown
    assert "the newest of the last 7 days" in shown
    assert "http-equiv" not in shown


def test_page_reloads_while_the_summary_is_made() -> None:
    shown = page(is_making=True, summary=None, made_at=None)
    assert '<meta http-equiv="refresh" content="3">' in shown
    assert "is being made" in shown
    assert "took longer" in page(problem="the summary took longer than 120 s", summary=None)


def requested(answer: bytes | None) -> httpx.Response:
    loop = full_loop()
    if answer is not None:
        loop.lies["/drift/models/flights/data-summary"] = answer

    async def once() -> httpx.Response:
        return await Console(loop).http.get("/models/flights/data")

    answered: httpx.Response = run(once)
    return answered


def test_console_shows_the_summary_of_drift() -> None:
    answer = requested(json.dumps({**FOUND, "problem": "", "summary": SUMMARY}).encode())
    assert answer.status_code == 200
    assert "script-src" not in answer.headers["Content-Security-Policy"]
    assert "Logged data of flights" in answer.text
    main = full_loop()

    async def overview() -> str:
        return (await Console(main).http.get("/main")).text

    assert 'href="/models/flights/data"' in run(overview)


@pytest.mark.parametrize(("answer", "status"), [(None, 404), (b"{}", 503), (b"<html>", 503)])
def test_a_missing_or_wrong_summary_is_an_error(answer: bytes | None, status: int) -> None:
    assert requested(answer).status_code == status
