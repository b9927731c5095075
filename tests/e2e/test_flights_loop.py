"""The whole stack on the first weeks of the year: it drifts, retrains, swaps under load, and loses nothing."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import pytest

from tests.waiting import bound

SOURCES = Path(__file__).resolve().parents[2]


@pytest.mark.e2e
@pytest.mark.timeout(420)
def test_the_loop_closes_on_a_tenth_of_the_year_of_bad_days(tmp_path: Path) -> None:
    done = subprocess.run(
        [
            *(sys.executable, "-m", "examples.flights.demo"),
            *(f"--home={tmp_path / 'home'}", "--part=0.1", "--free-ports", "--json"),
            "--inject=broker-down,kill-drift,kill-sink",
        ],
        cwd=SOURCES,
        capture_output=True,
        text=True,
        timeout=bound(400),
    )
    assert done.returncode == 0, done.stderr[-3000:]
    report = json.loads(done.stdout)
    assert report["problems"] == []
    assert report["injected"] == ["broker-down", "kill-drift", "kill-sink"]
    line = dict(word.split("=") for word in report["line"].split() if "=" in word)
    assert line["flights"] == line["lake"] == "30594"
    assert line["failed"] == "0"
    assert int(line["promoted"]) >= 1
    assert any(run["state"] == "promoted" and run["gate"] for run in report["runs"])
    assert (tmp_path / "home" / "demo" / "weekly_loss.html").is_file()
    assert (tmp_path / "home" / "demo" / "weekly_loss.png").is_file()
