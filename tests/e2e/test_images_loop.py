"""Sixteen days of pictures: a fading lamp is learned, and numbers of another scale are not."""

from __future__ import annotations

import re
import subprocess
import sys
from pathlib import Path

import pytest

SOURCES = Path(__file__).resolve().parents[2]


@pytest.mark.e2e
@pytest.mark.timeout(600)
def test_the_loop_learns_a_faded_lamp_and_refuses_broken_pictures(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    # Nothing here reads MLflow, which takes retraining three CPU seconds.
    monkeypatch.setenv("HOMEOSTAT_RETRAINING_MLFLOW", "false")
    done = subprocess.run(
        [
            *(sys.executable, "-m", "examples.images.demo"),
            *(f"--home={tmp_path / 'home'}", "--free-ports"),
        ],
        cwd=SOURCES,
        capture_output=True,
        text=True,
        timeout=580,
    )
    assert done.returncode == 0, done.stdout[-3000:] + done.stderr[-3000:]
    line = dict(re.findall(r"(\w+)=(\S+)", done.stdout.splitlines()[-1]))
    assert line["pictures"] == line["lake"] == "1920"
    assert line["failed"] == "0"
    assert int(line["promoted"]) >= 1
    assert int(line["data_faults"]) >= 1
    assert float(line["served"]) > float(line["version_1"])
    assert (tmp_path / "home" / "demo" / "pictures.png").stat().st_size > 10_000
