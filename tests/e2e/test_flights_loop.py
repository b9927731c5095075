"""The README's block about the flights, on the first weeks of the year: drift, retraining, swaps under load, and nothing lost."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from tests.e2e.walking import ACTIVATE, Walker, of_the_demo

DEMO = "homeostat demo --part 0.1 --keep"
BAD_DAYS = "--inject=broker-down,kill-drift,kill-sink"  # docs/fault-injection.md


@pytest.mark.e2e
@pytest.mark.timeout(420)
def test_the_loop_closes_on_a_tenth_of_the_year_of_bad_days(tmp_path: Path) -> None:
    demo, *after, down = of_the_demo()
    assert demo == DEMO
    walker = Walker(tmp_path / "clone", elsewhere={}, more={})
    walker.type(ACTIVATE)
    try:
        report = json.loads(walker.type(f"{demo} {BAD_DAYS} --json", within_s=400))
        for statement in after:
            walker.type(statement)
    finally:
        walker.type(down)
    assert [one for one in walker.typed if one.startswith("homeostat why")]
    assert report["problems"] == []
    assert report["injected"] == ["broker-down", "kill-drift", "kill-sink"]
    line = dict(word.split("=") for word in report["line"].split() if "=" in word)
    assert line["flights"] == line["lake"] == "30594"
    assert line["failed"] == "0"
    assert int(line["promoted"]) >= 1
    assert any(run["state"] == "promoted" and run["gate"] for run in report["runs"])
    kept = walker.folder / ".homeostat" / "flights" / "demo"
    assert (kept / "weekly_loss.html").is_file()
    assert (kept / "weekly_loss.png").is_file()
